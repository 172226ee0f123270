/**
 * `kill -9` of the whole proxy under load, in strict durability, again and again on the same log: every answer that a
 * client received is in it, it opens each time, and it verifies. `WEIR_TEST_RUNS` multiplies the rounds.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { linesOf } from '../helpers/audit.ts';
import { runWeir } from '../helpers/process.ts';
import { runs, seed, randomOf } from '../helpers/runs.ts';

const CLIENTS = 6;
const ANSWERS_EACH_ROUND = 30;
const ANSWER = JSON.stringify({ id: 'c', object: 'chat.completion', created: 1, model: 'm', choices: [{ index: 0, message: { role: 'assistant', content: 'fine' }, finish_reason: 'stop' }] });
const PROMPT = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });

/** The request id of a whole answer; undefined when there was none. */
function ask(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const sent = request({ port, method: 'POST', path: '/v1/chat/completions', headers: { 'content-type': 'application/json' }, timeout: 20_000 }, (answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => void (body += chunk.toString())).on('error', () => resolve(undefined));
      answer.on('close', () => resolve(answer.statusCode === 200 && body === ANSWER ? String(answer.headers['x-weir-request-id']) : undefined));
    });
    sent.on('error', () => resolve(undefined)).on('timeout', () => sent.destroy()).end(PROMPT);
  });
}

t.setTimeout(3_000_000);

t.test('every answer that a client received is in the log', { timeout: 2_900_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'weir-kill-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const upstream = createServer((received, answer) => received.resume().on('end', () => answer.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER)));
  await once(upstream.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\nrules: []\n');
  writeFileSync(join(dir, 'weir.yaml'), JSON.stringify({ data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }], audit: { durability: 'strict' }, telemetry: { log_level: 'silent' } }));
  const audit = join(dir, 'data/audit');
  const random = randomOf(seed);
  const received: string[] = [];
  const rounds = runs(2);
  for (let round = 0; round < rounds; round++) {
    const weir = await runWeir(t, dir);
    const [before, target] = [received.length, 1 + Math.floor(random() * ANSWERS_EACH_ROUND)];
    let isKilled = false;
    const client = async (): Promise<void> => {
      while (!isKilled) {
        const id = await ask(weir.port);
        if (id !== undefined) received.push(id);
        if (received.length - before >= target && !isKilled) {
          isKilled = true;
          await weir.kill();
        }
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    const { damage } = await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 });
    if (damage !== undefined) t.fail(`round ${round}: ${JSON.stringify(damage)}`);
  }
  const have = new Set(linesOf(audit).map((line) => (JSON.parse(line) as { readonly request_id?: string }).request_id));
  t.same(received.filter((id) => !have.has(id)), [], `${received.length} answers over ${rounds} kills, seed ${seed}`);
  t.ok(received.length >= rounds);
});
