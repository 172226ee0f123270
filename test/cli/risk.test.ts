/**
 * `weir risk`: every verb with what is right and wrong, and labelling by keys in a pseudo terminal: what is shown does no
 * harm, each label is kept at once, and however it ends nothing is lost.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import { author } from '../../src/cli/beside.ts';
import type { Io } from '../../src/cli/command.ts';
import { Keyboard, STOP } from '../../src/cli/keyboard.ts';
import { risk } from '../../src/cli/risk.ts';
import { until } from '../helpers/house.ts';
import { knownItems, openCampaign, type Campaign } from '../helpers/labelling.ts';
import { NO_TERMINAL, openTerminal, type Terminal } from '../helpers/terminal.ts';

t.setTimeout(300_000);

const MAIN = join(import.meta.dirname, '../../src/main.ts');

async function call(dir: string, ...args: readonly string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let [out, err] = ['', ''];
  const io = { stdout: (text: string) => void (out += text), stderr: (text: string) => void (err += text), stdin: Readable.from([]), env: {}, isTerminal: false, columns: 80, color: false } as unknown as Io;
  return { code: await risk.run(args.length === 0 || args[0] === 'plan' ? args : [...args, '--config', join(dir, 'weir.yaml')], io), out, err };
}

t.test('plan says what a claim takes', async (t) => {
  t.match(await call('', 'plan'), { code: 0, out: /below 2 % at one-sided 95 %[\s\S]*\n0 +149[\s\S]*\n7 +655/ });
  t.match(JSON.parse((await call('', 'plan', '--below', '1', '--errors', '0', '--json')).out), { below: 0.01, plans: [{ errors: 0, n: 299 }] });
  t.match(JSON.parse((await call('', 'plan', '--below', '2', '--precision', '1', '--json')).out), { rate: 0.02, half_width: 0.01, labels: 753 });
  for (const [args, message] of [[['--below', '0'], /--below takes a percentage/], [['--below', '100'], /--below/], [['--below', 'x'], /--below/], [['--errors', '51'], /0 to 50/], [['--errors', '1.5'], /0 to 50/], [['--confidence', '100'], /--confidence/], [['--error', '1'], /did you mean --errors/], [['more'], /unexpected argument "more"/]] as const) await t.rejects(call('', 'plan', ...args), { message }, args.join(' '));
});

t.test('wrong calls say what to do, and what is not there is told', async (t) => {
  const { house: { dir } } = await openCampaign(t, []);
  for (const [args, message] of [[[], /what to do is missing; there is plan, sample/], [['stauts'], /did you mean status/], [['x'], /there is plan, sample/], [['sample'], /which campaign is missing/], [['sample', 'q', '--limit', '0'], /1 to 1000/], [['sample', 'q', '--limit', '1001'], /1 to 1000/], [['label'], /which file is missing; without one, label asks for keys/], [['label', '--json'], /which file is missing/], [['import'], /which file is missing/], [['import', 'f', '--format', 'xml'], /--format takes jsonl, csv, label-studio/], [['export', '--format', 'xml'], /--format takes/], [['annotators', '--resume', 'ana'], /--resume and --reason go together/]] as const) await t.rejects(call(dir, ...args), { message, name: 'UsageError' }, args.join(' '));
  t.match(await call(dir, 'status', 'none'), { code: 1, err: /there is no campaign none; weir risk status lists them/ });
  t.match(await call(dir, 'sample', 'none'), { code: 0, out: 'nothing is drawn\n' });
  t.match(await call(dir, 'annotators'), { code: 0, out: 'nobody has labelled\n' });
  t.match(await call(dir, 'calibration'), { code: 0, out: 'there are no items with known answers\n' });
  t.match(await call(dir, 'annotators', '--resume', 'ana', '--reason', 'trained'), { code: 1, err: /ana is not paused/ });
  t.match(await call(dir, 'import', join(dir, 'none')), { code: 1, err: /cannot be read \(ENOENT\)/ });
  t.match(await call(dir, 'calibration', join(dir, 'none')), { code: 1, err: /cannot be read \(ENOENT\)/ });
  writeFileSync(join(dir, 'bad'), '{"text":"x","label":"safe"}\n{"text":"x","label":"violation","category":"none"}\n');
  t.match(await call(dir, 'calibration', join(dir, 'bad')), { code: 1, err: /row 1: item 2: a violation has a category/ });
  t.match(await call(dir, 'calibration'), { out: 'there are no items with known answers\n' }, 'nothing of it counts');
  writeFileSync(join(dir, 'bad'), '{"text":\n');
  t.match(await call(dir, 'calibration', join(dir, 'bad')), { code: 1, err: /row 1: it is no JSON/ });
  t.match(await call(dir, 'import', join(dir, 'bad')), { code: 1, err: /row 1: it is no JSON/ });
  const run = (...args: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } => spawnSync(process.execPath, [MAIN, 'risk', ...args], { encoding: 'utf8', input: '' });
  t.match(run('label', '--config', join(dir, 'weir.yaml')), { status: 2, stderr: /weir risk: which file is missing[\s\S]*run weir risk --help/, stdout: '' });
  t.match(run('status', 'none', '--config', join(dir, 'weir.yaml')), { status: 1 });
  t.match(run('status', '--config', join(dir, 'none.yaml')), { status: 1 });
  t.match(run('label', '--help'), { status: 0, stdout: /exit code: 0 done, 1 .* 2 wrong call/ });
});

t.test('a campaign from its draw to its labels, taken elsewhere and brought back', async (t) => {
  const { house, call: api, person, labelNext } = await openCampaign(t, ['one', 'two', 'three'], { calibration_percent: 0 });
  const { dir } = house;
  t.match((await call(dir, 'sample', 'q')).out, /^stratum all: drawn with probability 100 %\nrequest +tenant[\s\S]*default +input +all +100 % +passed +waiting/);
  t.match(JSON.parse((await call(dir, 'sample', 'q', '--limit', '2', '--json')).out), { campaign: 'q', strata: [{ stratum: 'all', probability: 1 }], tasks: [{ status: 'waiting' }, { status: 'waiting' }] });
  writeFileSync(join(dir, 'items'), knownItems(2).map((item) => JSON.stringify(item)).join('\n'));
  t.match(await call(dir, 'calibration', join(dir, 'items')), { code: 0, out: '2 items are new, 0 were there\n' });
  t.same(JSON.parse((await call(dir, 'calibration', join(dir, 'items'), '--json')).out), { added: 0, known: 2 });
  t.match((await call(dir, 'calibration')).out, /any +safe +2/);
  const ana = await person('ana');
  for (let i = 0; i < 2; i++) await labelNext(ana, () => (i === 0 ? { label: 'violation', category: 'toxicity.hate', note: 'not for export' } : { label: 'safe' }));
  t.match((await call(dir, 'status', 'q')).out, /^q: below 2 % is [\s\S]*\nall +3 +2 +0 +1 +50 %/);
  t.match(JSON.parse((await call(dir, 'status', '--json')).out), { campaigns: [{ campaign: 'q', total: { drawn: 3, labelled: 2 } }] });
  t.match(JSON.parse((await call(dir, 'annotators', '--json')).out), { annotators: [{ annotator_id: 'ana', state: 'active', calibration: { n: 0, agreement: null } }] });
  for (const format of ['jsonl', 'csv', 'label-studio']) {
    const file = join(dir, `labels.${format}`);
    t.match(await call(dir, 'export', '--format', format, '--out', file), { code: 0, out: `2 labels are in ${file}\n` });
    t.notMatch(readFileSync(file, 'utf8'), /not for export|"one"|known text/, 'without content, notes and known answers');
    for (const verb of ['import', 'label']) t.match(await call(dir, verb, file, '--format', format), { code: 0, out: '0 labels are new, 2 were there\n' });
  }
  t.equal((await call(dir, 'export', '--campaign', 'none')).out, '');
  await api('POST', 'risk/annotators/ana/pause', { reason: 'a talk' });
  t.match((await call(dir, 'annotators')).out, /ana +paused/);
  t.match(await call(dir, 'annotators', '--resume', 'ana', '--reason', 'trained'), { code: 0, out: /ana +active/ });
  await until(async () => (await api('GET', 'audit?kind=annotation')).body.entries.some((one: { change: string; author: string }) => one.change === 'resumed' && one.author === author()), 'the entry');
});

t.test('keys: lines, arrows, and the end, after which nothing is done any more', async (t) => {
  const input = Object.assign(new Readable({ read: () => undefined }), { isTTY: true, raw: [] as boolean[], setRawMode(isRaw: boolean) { this.raw.push(isRaw); } });
  let out = '';
  const keyboard = new Keyboard(input, (text) => void (out += text), new AbortController().signal);
  input.push('a\u001b[A\u001bOBb');
  t.same([await keyboard.next(), await keyboard.next()], ['a', 'b'], 'arrows are no keys');
  input.push(`hat\u007fte\r`);
  t.equal(await keyboard.line('what: '), 'hate');
  input.push('x\u001b');
  t.equal(await keyboard.line(''), undefined);
  input.push('ss\u0003s');
  await new Promise((resolve) => setImmediate(resolve));
  t.same([await keyboard.next(), await keyboard.next()], [STOP, STOP], 'what was pressed before Ctrl-C is not done any more');
  t.equal(await keyboard.line(''), undefined);
  keyboard.close();
  t.same(input.raw, [true, false], 'the terminal is as it was');
  t.match(out, /^what: hat\x08 \x08te\n/);
});

const open = (t: Parameters<typeof openTerminal>[0], { house: { dir } }: Campaign): Terminal => openTerminal(t, [process.execPath, MAIN, 'risk', 'label', '--config', join(dir, 'weir.yaml')]);
const drawn = async ({ call: api }: Campaign): Promise<object> => (await api('GET', 'risk/campaigns/q')).body.total as object;
/** Texts lie on disk a moment after they are drawn. */
const onDisk = (campaign: Campaign): Promise<unknown> => until(async () => { const { body } = await campaign.call('GET', 'risk/current'); return body.state === 'none' && existsSync(join(campaign.house.dir, 'data/content/default')); }, 'the texts').then(() => new Promise((resolve) => setTimeout(resolve, 600)));

t.test('texts are labelled by keys in a terminal, shown so that they do no harm', { skip: NO_TERMINAL }, async (t) => {
  const campaign = await openCampaign(t, Array.from({ length: 6 }, (_, i) => `text ${i} \u001b]0;owned\u0007\u001b[2J\u202Eolleh`), {}, { batch_items: 3 });
  await onDisk(campaign);
  const terminal = open(t, campaign);
  await terminal.sees(/text 1 of 3: what somebody wrote[\s\S]*v show/);
  t.notMatch(terminal.screen(), /owned/, 'covered');
  terminal.press('v');
  const shown = await terminal.sees(/olleh/);
  t.match(shown, /text \d ⟨001B⟩\]0;owned⟨0007⟩⟨001B⟩\[2J⟨202E⟩olleh/);
  t.notMatch(terminal.screen().replaceAll('\u0008', ''), /[\u001b\u0007\u202e]/, 'nothing that a terminal would obey');
  terminal.press('?');
  await terminal.sees(/guide, version 1[\s\S]*3 {2}Hate[\s\S]*more of/);
  terminal.press('3\r');
  await terminal.sees(/near the line:[\s\S]*differs between cultures[\s\S]*more of/);
  terminal.press('\r');
  await terminal.sees(/s safe/);
  terminal.press('lx');
  await terminal.sees(/category/);
  terminal.press('tox\r');
  await terminal.sees(/14 categories fit[\s\S]*category/);
  terminal.press('hate\r');
  await terminal.sees(/violation, Hate[\s\S]*text 2 of 3[\s\S]*u undo/);
  t.match(await drawn(campaign), { labelled: 1, violations: 1 }, 'kept at once');
  terminal.press('u');
  await terminal.sees(/taken back[\s\S]*text 1 of 3[\s\S]*s safe/);
  t.match(await drawn(campaign), { labelled: 0 });
  terminal.press('s');
  await terminal.sees(/text 2 of 3[\s\S]*k skip/);
  terminal.press('k');
  await terminal.sees(/Esc back/);
  terminal.press('o');
  await terminal.sees(/skipped[\s\S]*text 3 of 3[\s\S]*s safe/);
  terminal.press('s');
  await terminal.sees(/The batch is done/);
  terminal.press('t');
  await terminal.sees(/text 1 of 3[\s\S]*s safe/);
  terminal.press('q');
  await terminal.sees(/2 labelled\. What is left of the batch \(3\) is yours until \S+Z; weir risk label goes on with it/);
  t.equal(await terminal.ended(), 0);
  t.match(await drawn(campaign), { labelled: 2, waiting: 4 });
  t.match((await campaign.call('GET', 'risk/annotators')).body.annotators, [{ annotator_id: author(), skipped: { language: 1 } }]);
});

t.test('Ctrl-C loses nothing: what is labelled counts, the rest of the batch is there again', { skip: NO_TERMINAL }, async (t) => {
  const campaign = await openCampaign(t, Array.from({ length: 4 }, (_, i) => `text ${i}`), {}, { batch_items: 4 });
  await onDisk(campaign);
  const first = open(t, campaign);
  await first.sees(/text 1 of 4[\s\S]*s safe/);
  first.press('s');
  await first.sees(/text 2 of 4[\s\S]*s safe/);
  first.press('x');
  await first.sees(/category/);
  first.press('ha\u0003');
  await first.sees(/1 labelled\. What is left of the batch \(3\)/);
  t.equal(await first.ended(), 0);
  t.match(await drawn(campaign), { labelled: 1, waiting: 3, violations: 0 });
  const again = open(t, campaign);
  await again.sees(/text 2 of 4[\s\S]*u undo/);
  again.press('sss');
  await again.sees(/The batch is done/);
  again.press('t');
  await again.sees(/nothing waits for you/);
  t.equal(await again.ended(), 0);
  t.match(await drawn(campaign), { labelled: 4 });
});

t.test('a text that is not here is left alone, and who is paused is told', { skip: NO_TERMINAL }, async (t) => {
  const campaign = await openCampaign(t, ['one'], {}, { batch_items: 4 });
  await onDisk(campaign);
  writeFileSync(join(campaign.house.dir, 'elsewhere.yaml'), readFileSync(join(campaign.house.dir, 'weir.yaml'), 'utf8').replace('"data_dir":"data"', `"data_dir":"other","store":{"url":"sqlite:${join(campaign.house.dir, 'data/weir.db')}"}`));
  t.ok(existsSync(join(campaign.house.dir, 'data/weir.db')));
  const elsewhere = openTerminal(t, [process.execPath, MAIN, 'risk', 'label', '--config', join(campaign.house.dir, 'elsewhere.yaml')]);
  await elsewhere.sees(/not in data_dir, or its key is another/);
  t.equal(await elsewhere.ended(), 1);
  t.match(await drawn(campaign), { waiting: 1, missing: 0 });
  await campaign.call('POST', `risk/annotators/${encodeURIComponent(author())}/pause`, { reason: 'a talk' });
  const paused = open(t, campaign);
  await paused.sees(/you are paused/);
  t.equal(await paused.ended(), 1);
});
