/**
 * The demo: what it prints, played through the real proxy over real sockets; and its parts: the drawing, the scripted
 * model, the listener for closing records.
 */
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { Readable } from 'node:stream';
import t from 'tap';
import { UsageError, type Io } from '../../src/cli/command.ts';
import { demo } from '../../src/cli/demo.ts';
import { fact, LiveFrame, markLabels, markSpans, paint, sideBySide, wrap, type Run } from '../../src/cli/demo/frame.ts';
import { EXCHANGES } from '../../src/cli/demo/script.ts';
import { plantedPrompts, wantsTheCode } from '../../src/cli/demo/traffic.ts';
import { piecesOf, startUpstream } from '../../src/cli/demo/upstream.ts';
import { ExchangeWatch } from '../../src/cli/demo/watch.ts';
import { CHANNELS } from '../../src/contract/channels.ts';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { randomOf } from '../../src/learn/measure.ts';
import { ask } from '../helpers/admin.ts';
import { until } from '../helpers/house.ts';

interface Captured extends Io {
  readonly stop: AbortController;
  output(): string;
  /** Resolves when the output contains the text. */
  shows(text: string): Promise<void>;
}

function captureIo(terminal: { readonly columns: number } | undefined): Captured {
  const stop = new AbortController();
  let output = '';
  const waiting = new Map<string, () => void>();
  return {
    stop,
    output: () => output,
    shows: (text) => new Promise((resolve) => (output.includes(text) ? resolve() : waiting.set(text, resolve))),
    stdout(text) {
      output += text;
      for (const [wanted, resolve] of waiting) if (output.includes(wanted)) resolve();
    },
    stderr(text) {
      output += text;
    },
    stdin: Readable.from([]),
    env: {},
    isTerminal: terminal !== undefined,
    columns: terminal?.columns ?? 80,
    color: terminal !== undefined,
    stopSignal: () => stop.signal,
  };
}

const demoFolders = async (): Promise<readonly string[]> => (await readdir(tmpdir())).filter((name) => name.startsWith('weir-demo-'));

/** What stands right of the bar: what the proxy let through. */
function rightColumns(output: string): string {
  return output.split('\n').flatMap((line) => (line.includes(' │ ') ? [line.slice(line.indexOf(' │ ') + 3)] : [])).join(' ');
}

t.test('plays every example and ends', async (t) => {
  const before = await demoFolders();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.once('error', () => resolve()).listen(8080, '127.0.0.1', resolve));
  t.teardown(() => taken.close());
  const io = captureIo(undefined);
  t.equal(await demo.run(['--once', '--speed', '40'], io), 0);
  const output = io.output();
  t.match(output, /proxy http:\/\/127\.0\.0\.1:\d+/);
  t.notMatch(output, /proxy http:\/\/127\.0\.0\.1:8080 /, 'another port when its own is taken');
  for (const exchange of EXCHANGES) t.match(output, exchange.title);
  const passed = rightColumns(output);
  for (const label of ['[EMAIL]', '[PHONE_NUMBER]', '[CREDIT_CARD]', '[IBAN]', '[IP_ADDRESS]', '[US_SSN]', '[API_KEY]']) t.ok(passed.includes(label), label);
  for (const { start, end, text } of EXCHANGES.flatMap(({ prompt, answer }) => [prompt, answer]).flatMap((marked) => marked.secrets.map((span) => ({ ...span, text: marked.text })))) {
    t.notOk(passed.replace(/\s+/g, '').includes(text.slice(start, end).replace(/\s+/g, '')), 'a secret does not pass');
  }
  t.match(output, /block by rule code-names/);
  t.match(output, /HTTP 400 content_filter/);
  t.match(output, /escalate by rule ask-a-person[\s\S]*HTTP 400[\s\S]*wait +\d+\.\d s for a person: nobody decided, so block/);
  t.match(output, /finish_reason content_filter/);
  t.match(output, /nothing: every character as it was sent/);
  t.notMatch(output, /\x1b/, 'no escapes where there is no terminal');
  t.ok(output.split('\n').every((line) => line.length <= 80), 'no line is longer than 80');
  t.same(await demoFolders(), before, 'leaves nothing behind');
});

t.test('keeps running, answers visitors, ends on the signal', async (t) => {
  const io = captureIo({ columns: 80 });
  const running = demo.run(['--speed', '100'], io);
  t.teardown(() => (io.stop.abort(), running));
  await io.shows('Ctrl-C ends the demo.');
  const proxyUrl = /proxy (http:\/\/[\d.:]+)/.exec(io.output())?.[1] as string;
  const response = await fetch(`${proxyUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'I am bo@example.com' }] }),
  });
  const { choices } = (await response.json()) as { choices: { message: { content: string } }[] };
  t.equal(choices[0]?.message.content, 'What reached me: "I am [EMAIL]". Questions? Ask [EMAIL] or call [PHONE_NUMBER].');
  await io.shows('prompt redact, answer redact');
  io.stop.abort();
  t.equal(await running, 0);
  t.match(io.output(), /\x1b\[\d+A/, 'draws in place on a terminal');
  t.equal(io.output().split('\x1b[?25l').length, io.output().split('\x1b[?25h').length, 'gives the cursor back');
});

t.test('a visitor lets their own request go, as the demo says how', async (t) => {
  const io = captureIo({ columns: 80 });
  const running = demo.run(['--speed', '100'], io);
  t.teardown(() => (io.stop.abort(), running));
  await io.shows('Ctrl-C ends the demo.');
  const [, proxyUrl] = /proxy (http:\/\/[\d.:]+)/.exec(io.output())!;
  const [, adminUrl, token] = /(http:\/\/[\d.:]+)\/review\s+(weir_\S+)/.exec(io.output())!;
  const asked = ask(proxyUrl!, '/v1/chat/completions', { method: 'POST', body: { model: 'demo', messages: [{ role: 'user', content: 'Where is Kestrel?' }] } });
  let item: any;
  await until(async () => (item = (await ask(adminUrl!, '/api/v1/reviews', { token })).body.items.find(({ holding }: { holding: boolean }) => holding)) !== undefined, 'an item that is waited for');
  t.match((await ask(adminUrl!, `/api/v1/reviews/${item.review_id}/content`, { token })).text, /Where is Kestrel\?/, 'its text is there to be seen');
  const { body: { fence } } = await ask(adminUrl!, `/api/v1/reviews/${item.review_id}/claim`, { method: 'POST', token });
  t.match((await ask(adminUrl!, `/api/v1/reviews/${item.review_id}/verdict`, { method: 'POST', token, body: { fence, resolution: 'allow' } })).body, { status: 'resolved', released: true });
  t.match((await asked).text, /What reached me: \\"Where is Kestrel\?\\"/);
  await io.shows('prompt escalate');
});

t.test('a campaign is drawn behind the script, mostly labelled, and the rest waits for the visitor', async (t) => {
  const io = captureIo({ columns: 80 });
  const running = demo.run(['--speed', '100'], io);
  t.teardown(() => (io.stop.abort(), running));
  await io.shows('Ctrl-C ends the demo.');
  const [, adminUrl, token] = /(http:\/\/[\d.:]+)\/review\s+(weir_\S+)/.exec(io.output())!;
  for (const path of ['risk', 'risk/annotate', 'learn']) t.ok(io.output().includes(`${adminUrl}/${path}\n`), 'it says where to look');
  const { total, agreement } = (await ask(adminUrl!, '/api/v1/risk/campaigns/help-desk', { token })).body;
  t.comment(JSON.stringify(total));
  t.ok(total.drawn >= 40 && total.labelled > total.drawn / 3 && total.violations > 0 && total.waiting >= 3);
  t.equal(agreement?.raw ?? 1, 1);
  const { status, body } = await ask(adminUrl!, '/api/v1/risk/next', { method: 'POST', token, body: {} });
  t.equal(status, 200);
  t.match(body.texts, [{ text: /^[A-Z]/, role: 'user' }], 'a text to label');
  t.match(await ask(adminUrl!, `/api/v1/risk/annotations/${body.annotation.annotation_id}/label`, { method: 'POST', token, body: { label: 'safe' } }), { status: 200 });
});

t.test('the help desk is asked the same every time, and a person tells what it is', async (t) => {
  const asked = (): ReturnType<typeof plantedPrompts> => plantedPrompts(300, 40, randomOf(5));
  t.same(asked(), asked());
  t.equal(new Set(asked().map(({ text }) => text)).size, 300);
  t.equal(asked().filter(({ isViolation }) => isViolation).length, 40);
  t.ok(asked().every(({ text, isViolation }) => wantsTheCode(text) === isViolation));
  t.notOk(asked().some(({ text }) => /Kestrel|Bluebird|Operation Heron|wire transfer/i.test(text)), 'the demo’s policy stops none of it');
});

t.test('ends in the middle of an example', async (t) => {
  const before = await demoFolders();
  const io = captureIo({ columns: 80 });
  const running = demo.run(['--no-color'], io);
  t.teardown(() => (io.stop.abort(), running));
  await io.shows('[EMAIL]');
  io.stop.abort();
  t.equal(await running, 0);
  t.match(io.output(), /The demo ends\.\n$/);
  t.notMatch(io.output(), /\x1b\[1;3\dm/, 'no colours when told so');
  t.same(await demoFolders(), before);
});

t.test('wrong calls', async (t) => {
  for (const args of [['--speed', 'fast'], ['--speed', '0'], ['--sped', '2'], ['extra']]) await t.rejects(demo.run(args, captureIo(undefined)), UsageError);
});

t.test('drawing', async (t) => {
  const run = (text: string): Run => ({ text, style: 'plain' });
  const lines = (text: string, width: number): string[] => wrap([run(text)], width).map((line) => line.map((r) => r.text).join('').trimEnd());
  t.same(lines('one two three', 7), ['one two', 'three']);
  t.same(lines('one two three', 8), ['one two', 'three']);
  t.same(lines('abcdefghij k', 4), ['abcd', 'efgh', 'ij k']);
  t.same(lines('', 4), []);
  t.same(wrap([run('to '), { text: 'a b', style: 'secret' }, run('.')], 4), [[run('to '), { text: 'a', style: 'secret' }], [{ text: 'b', style: 'secret' }, run('.')]]);
  t.same(markSpans('ab cd', [{ start: 3, end: 5 }], 'secret'), [run('ab '), { text: 'cd', style: 'secret' }]);
  t.same(markLabels('to [EMAIL].'), [run('to '), { text: '[EMAIL]', style: 'label' }, run('.')]);
  t.equal(paint('x', 'secret', true), '\x1b[1;31mx\x1b[0m');
  t.equal(paint('x', 'secret', false), 'x');
  const long = 'word '.repeat(60) + 'x'.repeat(200);
  for (const width of [60, 61, 80, 100]) {
    const page = { width, color: false };
    const drawn = [...sideBySide(page, ['left', 'right'], [run(long)], [run('short')]), ...fact(page, 'name', [run(long)])];
    t.ok(drawn.every((line) => line.length <= width), `fits ${width}`);
    t.ok(drawn.join('').replace(/[\s│┼─]/g, '').includes('x'.repeat(200)), 'loses nothing');
  }
  const colored = sideBySide({ width: 80, color: true }, ['l', 'r'], [{ text: 'a', style: 'secret' }], []);
  t.equal(colored.join('\n').replace(/\x1b\[[\d;]*m/g, ''), sideBySide({ width: 80, color: false }, ['l', 'r'], [{ text: 'a', style: 'secret' }], []).join('\n'), 'colours change no column');
});

t.test('a live frame goes up over what it drew; a plain one writes once', async (t) => {
  let live = '';
  const frame = new LiveFrame((text) => (live += text), true);
  frame.draw(['a']);
  frame.draw(['a']);
  frame.draw(['a', 'b']);
  frame.draw(['c', 'd']);
  frame.close();
  t.equal(live, '\x1b[?25la\x1b[K\n\x1b[J\x1b[1Aa\x1b[K\nb\x1b[K\n\x1b[J\x1b[2Ac\x1b[K\nd\x1b[K\n\x1b[J\x1b[?25h');
  let plain = '';
  const once = new LiveFrame((text) => (plain += text), false);
  once.draw(['a']);
  once.draw(['b']);
  once.close();
  t.equal(plain, 'b\n');
});

t.test('the scripted model cuts its text into pieces and streams them', async (t) => {
  for (const { answer } of EXCHANGES) t.equal(piecesOf(answer.text).join(''), answer.text);
  t.ok(piecesOf('maria.kowalska@example.com').length > 5, 'an address is cut');
  const pieces: string[] = [];
  const prompts: string[] = [];
  const upstream = await startUpstream({ exchanges: EXCHANGES, pauseMs: 0, onPrompt: (seed, prompt) => prompts.push(`${seed} ${prompt}`), onPiece: (_, piece) => pieces.push(piece) });
  t.teardown(() => upstream.close());
  const post = (body: unknown): Promise<Response> => fetch(`${upstream.url}/chat/completions`, { method: 'POST', body: JSON.stringify(body) });
  const streamed = await (await post({ stream: true, seed: 0, messages: [{ role: 'user', content: 'hello' }] })).text();
  t.match(streamed, /data: \[DONE\]\n\n$/);
  t.equal(pieces.join(''), EXCHANGES[0].answer.text);
  const tool = await (await post({ stream: true, seed: 1, messages: [] })).text();
  t.match(tool, /"finish_reason":"tool_calls"/);
  t.match(await (await post({ messages: [{ role: 'user', content: 'hello' }] })).json(), { choices: [{ message: { content: /^What reached me: "hello"/ } }] });
  t.same(prompts, ['0 hello', '1 ', '-1 hello']);
  const broken = fetch(`${upstream.url}/chat/completions`, { method: 'POST', body: '{' });
  await t.rejects(broken, 'a request that is no JSON ends the connection');
});

t.test('the listener hands out records by id, early or late', async (t) => {
  const watch = new ExchangeWatch();
  t.teardown(() => watch.close());
  const close = (id: string): void => CHANNELS.exchangeClosed.publish({ record: { request_id: id } as ExchangeRecord });
  CHANNELS.stageEnded.publish({ requestId: 'a', stage: 'guard', startMs: 1, endMs: 3 });
  CHANNELS.stageEnded.publish({ requestId: 'a', stage: 'guard', startMs: 5, endMs: 6 });
  const early = watch.closing('a', 1000);
  close('a');
  t.same([...(await early)?.stages ?? []], [['guard', 3]]);
  t.equal((await watch.closing('a', 1000))?.record.request_id, 'a');
  t.equal(await watch.closing('b', 5), undefined);
  for (let i = 0; i < 300; i++) close(`n${i}`);
  t.equal(await watch.closing('a', 5), undefined, 'old ones are forgotten');
});
