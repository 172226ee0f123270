/**
 * The draw, repeated: OpenAI's SDKs, streaming and not, through the real proxy; then the log held against the seed, by the
 * command and by a calculation of this test's own. Every draw is there with its probability, and what is taken out, put in
 * or changed is found.
 */
import { createHmac } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import type { Io } from '../../src/cli/command.ts';
import { risk } from '../../src/cli/risk.ts';
import { linesOf } from '../helpers/audit.ts';
import { freshFolder, openHouse, until } from '../helpers/house.ts';
import { answering, SDKS } from '../helpers/sdk.ts';
import { cutsOf } from '../helpers/runs.ts';
import { ScriptedUpstream } from '../helpers/upstream.ts';

t.setTimeout(300_000);

const SEED = Buffer.alloc(32, 9);
const POLICY = `policy: acme
patterns:
  - { id: heron, label: BIRD, literal: [Heron] }
  - { id: ibis, label: BIRD, literal: [Ibis] }
rules:
  - { id: veil, priority: 1, direction: output, when: { score: patterns.heron, gte: 1 }, action: redact }
  - { id: stop, priority: 2, direction: output, when: { score: patterns.ibis, gte: 1 }, action: block }
`;
const CAMPAIGN = { id: 'q', directions: ['input', 'output'], decisions: ['passed', 'redacted', 'blocked'], strata: [{ id: 'blocked', decisions: ['blocked'], probability_percent: 70 }, { id: 'redacted', decisions: ['redacted'], probability_percent: 40 }, { id: 'rest', probability_percent: 20 }] };

/** As the documentation has it, with nothing of the code. */
function chanceOf(requestId: string, direction: string): number {
  const key = createHmac('sha256', SEED).update('weir campaign q').digest();
  return createHmac('sha256', key).update(`${requestId}.${direction}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

async function call(...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await risk.run(args, io), out, err };
}

const TEXTS = ['all is well', 'a Heron stands there', 'the Ibis', 'nothing', 'two: Heron and Heron'];
const EXCHANGES = 120;

t.test('what was drawn is what the seed draws, whole and streamed', async (t) => {
  const upstream = new ScriptedUpstream((socket, request) => {
    const { messages } = JSON.parse(request.body.toString()) as { messages: { content: string }[] };
    const text = TEXTS[Number(messages[0]!.content) % TEXTS.length]!;
    return answering({ choices: [{ content: text }], cut: (all) => cutsOf(all, 3) })(socket, request);
  });
  const url = await upstream.listen();
  t.teardown(() => upstream.close());
  const dir = freshFolder(t);
  writeFileSync(join(dir, 'q.seed'), SEED);
  const house = await openHouse(t, { dir, config: { upstreams: { local: { url } }, risk: { campaigns: [{ ...CAMPAIGN, seed_file: './q.seed' }] }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: true } }] }, files: { 'acme.yaml': POLICY } });
  for (let i = 0; i < EXCHANGES; i++) {
    const { chat } = SDKS[i % SDKS.length]!.connect(`http://127.0.0.1:${house.port}/v1`);
    const messages = [{ role: 'user' as const, content: String(i) }];
    if (i % 4 < 2) await chat.create({ model: 'm', messages });
    else for await (const _ of await chat.create({ model: 'm', messages, stream: true })) continue;
  }
  const audit = join(dir, 'data/audit');
  const exchanges = (): any[] => linesOf(audit).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'exchange');
  await until(() => exchanges().length === EXCHANGES, 'the entries');

  const seen = { passed: 0, redacted: 0, blocked: 0 };
  for (const entry of exchanges()) {
    const expected = ['input', 'output'].flatMap((direction) => {
      const { action } = entry[direction];
      const decision = action === 'redact' ? 'redacted' : action === 'block' ? 'blocked' : 'passed';
      const [stratum, probability] = decision === 'passed' ? ['rest', 0.2] : decision === 'redacted' ? ['redacted', 0.4] : ['blocked', 0.7];
      if (chanceOf(entry.request_id, direction) >= (probability as number)) return [];
      seen[decision]++;
      return [{ campaign: 'q', direction, stratum, probability, decision, modality: 'text' }];
    });
    t.same(entry.samples ?? [], expected);
  }
  t.ok(Object.values(seen).every((count) => count > 0), JSON.stringify(seen));

  const config = ['--config', join(dir, 'weir.yaml')];
  const { code, out } = await call('verify', 'q', '--json', ...config);
  t.equal(code, 0, out);
  const told = JSON.parse(out);
  t.match(told, { ok: true, exchanges: EXCHANGES, faults: 0 });
  t.equal(told.strata.reduce((sum: number, { population }: any) => sum + population, 0), 2 * EXCHANGES, 'every text has a stratum');
  t.equal(told.strata.reduce((sum: number, { drawn }: any) => sum + drawn, 0), seen.passed + seen.redacted + seen.blocked);
  t.match(await call('verify', ...config), { code: 0, out: new RegExp(`\n${EXCHANGES} exchanges: every draw is as the seed says\n$`) });
  t.match(JSON.parse((await call('verify', '--json', '--until', '2000-01-01', ...config)).out), { ok: true, exchanges: 0 });

  const altered = join(freshFolder(t), 'audit');
  mkdirSync(altered);
  const all = linesOf(audit).map((line) => JSON.parse(line));
  const [drawn, plain] = [all.filter(({ samples }) => samples?.length > 0), all.filter(({ kind, samples }) => kind === 'exchange' && samples === undefined)];
  drawn[0].samples = drawn[0].samples.slice(1);
  drawn[1].samples[0].probability = 0.9;
  plain[0].samples = [{ campaign: 'q', direction: 'input', stratum: 'rest', probability: 0.2, decision: 'passed', modality: 'text' }];
  writeFileSync(join(altered, readdirSync(audit).find((name) => name.endsWith('.jsonl'))!), all.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
  const found = await call('verify', '--json', '--dir', altered, ...config);
  t.equal(found.code, 1);
  t.match(JSON.parse(found.out).first_faults.map(({ fault, index }: any) => [fault, index]).sort(), [['different', drawn[1].index], ['extra', plain[0].index], ['missing', drawn[0].index]]);
  t.match((await call('verify', '--dir', altered, ...config)).out, new RegExp(`entry ${plain[0].index}: ${plain[0].request_id} input is recorded and not drawn for q\n`));

  const former = JSON.parse(readFileSync(join(dir, 'weir.yaml'), 'utf8'));
  await house.app.close();
  const later = { ...former, risk: { campaigns: [{ ...CAMPAIGN, directions: ['input'], strata: [{ id: 'all', probability_percent: 50 }], seed_file: './q.seed' }] } };
  const again = await openHouse(t, { dir, config: { ...later, upstreams: { local: { url } } }, files: { 'acme.yaml': POLICY } });
  for (let i = 0; i < 20; i++) await again.chat(String(i));
  await until(() => exchanges().length === EXCHANGES + 20, 'the entries');
  t.match(await call('verify', ...config), { code: 0, out: new RegExp(`\nq +all +50 % +20 [\\s\\S]*\n${EXCHANGES + 20} exchanges: every draw is as the seed says\n$`) }, 'each by what was declared when it began');

  writeFileSync(join(dir, 'q.seed'), Buffer.alloc(32, 8));
  const other = await call('verify', ...config);
  t.equal(other.code, 1, 'with another seed');
  t.match(other.out, /entry 0: the seed is not the one that was declared for q\n/);
});

t.test('wrong calls, and what is not there', async (t) => {
  const dir = freshFolder(t);
  const configure = (risk: object): readonly string[] => {
    writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', policies: [], upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local' }], risk }));
    return ['--config', join(dir, 'weir.yaml')];
  };
  t.match(await call('verify', ...configure({})), { code: 1, err: /there is no campaign; risk\.campaigns makes one/ });
  const config = configure({ campaigns: [CAMPAIGN] });
  t.match(await call('verify', 'other', ...config), { code: 1, err: /there is no campaign other in the configuration/ });
  t.match(await call('verify', ...config), { code: 1, err: /hash\.key is not there, of which the seed is made/ });
  mkdirSync(join(dir, 'data'));
  writeFileSync(join(dir, 'data/hash.key'), SEED);
  t.match(await call('verify', ...config), { code: 1, err: /there is no log in .*; name its folder by --dir/ });
  t.equal(readFileSync(join(dir, 'data/hash.key')).equals(SEED), true);
  await t.rejects(call('verify', '--since', 'then', ...config), { message: /--since takes a time/ });
});
