/**
 * The onnx classifier with models that the test writes itself and onnxruntime really runs: scores as computed here by
 * hand, windows, limits, a model that is frozen or killed, and an event loop that does not notice any of it.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Tokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import createOnnx from '../../plugins/onnx/index.ts';
import { RUNTIME, TEXT_CHARS_MAX } from '../../plugins/onnx/messages.ts';
import { ModelRunner } from '../../plugins/onnx/runner.ts';
import { PIECE_CHARS_MAX, scoresOf, surroundings, textPieces, tokenWindows, windowCount, worstOf } from '../../plugins/onnx/tokens.ts';
import { createApp } from '../../src/app.ts';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { ClassifierResult, ScreeningRequest } from '../../src/contract/screening.ts';
import { bytePairTokenizer, tinyModel, unigramTokenizer, wordPieceTokenizer, type TinyModel } from '../helpers/onnx.ts';
import { pause } from '../helpers/upstream.ts';
import { readingsOf } from '../../src/screen/readings.ts';

/** The reason to skip what runs a model, or false; in CI it fails. */
const MISSING = existsSync(join(import.meta.dirname, '../../node_modules/onnxruntime-node')) || process.env.CI ? false : 'onnxruntime-node is not installed';
const MISSING_OR_NO_PROC = process.platform === 'linux' ? MISSING : 'there is no /proc';
const ROOT = join(import.meta.dirname, '../..');
const PATIENCE_MS = 20_000;

/** Rows of the four special tokens, then of the words: what speaks for the first label, and for the second. */
const EMBEDDING = [[0, 0], [0.5, 0], [0.25, 0.125], [0, 0.375], [3, -1], [-2, 4]];
const LINEAR = [[1, 0.5], [-0.25, 1]];
const WORDS = ['good', 'bad'];
const [CLS, SEP, UNKNOWN, GOOD, BAD] = [2, 3, 1, 4, 5];

/** The mean of the rows through the linear layer. */
function logits(ids: readonly number[]): number[] {
  const mean = [0, 1].map((column) => ids.reduce((sum, id) => sum + EMBEDDING[id][column], 0) / ids.length);
  return [0, 1].map((label) => mean[0] * LINEAR[0][label] + mean[1] * LINEAR[1][label]);
}

interface Files {
  readonly dir: string;
  readonly options: { readonly id: string; readonly model: string; readonly labels: readonly string[] };
}

function files(t: Test, model: Partial<TinyModel> = {}, tokenizer = wordPieceTokenizer(WORDS)): Files {
  const dir = mkdtempSync(join(tmpdir(), 'weir-onnx-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, 'm.onnx'), tinyModel({ embedding: EMBEDDING, linear: LINEAR, ...model }));
  writeFileSync(join(dir, 'tokenizer.json'), tokenizer);
  return { dir, options: { id: 'local', model: join(dir, 'm.onnx'), labels: ['benign', 'toxic'] } };
}

async function provisioned(t: Test, options: { readonly id: string } & Record<string, unknown>): Promise<Classifier> {
  const classifier = createOnnx(options);
  await classifier.provision!();
  t.teardown(() => classifier.close!());
  return classifier;
}

function ask(classifier: Classifier, content: string, signal = AbortSignal.timeout(PATIENCE_MS)): Promise<readonly ClassifierResult[]> {
  const request: ScreeningRequest = { request_id: 'r', tenant_id: 't', direction: 'input', content, content_type: 'text', created_at: '' };
  return Promise.resolve(classifier.classify!(request, signal, readingsOf(request)));
}

const said = (results: readonly ClassifierResult[]): string => results.map((result) => ('unknown' in result ? result.reason : result.score.toFixed(5))).join(' ');
const wanted = (scores: readonly number[]): string => scores.map((score) => score.toFixed(5)).join(' ');

t.test('options are read strictly, before any file is opened', async (t) => {
  const base = { id: 'local', model: '/nonexistent/m.onnx', labels: ['a', 'b'] };
  const wrong: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ modle: 'x' }, /^modle: unknown option; known are model, /], [{ model: undefined }, /^model: missing/], [{ labels: undefined }, /^labels: expected the names/], [{ labels: [] }, /^labels/], [{ labels: ['a', 'a'] }, /^labels: a name stands there twice/], [{ labels: [1] }, /^labels: a name is text/],
    [{ categories: ['c'] }, /^categories: c is none of the labels a, b/], [{ labels: ['a'] }, /^activation: softmax of one label/], [{ activation: 'relu' }, /^activation: expected one of/], [{ tokenizer: 7 }, /^tokenizer/],
    [{ max_tokens: 7 }, /^max_tokens/], [{ max_tokens: 32_769 }, /^max_tokens/], [{ max_tokens: 100, overlap_tokens: 51 }, /^overlap_tokens/], [{ overlap_tokens: -1 }, /^overlap_tokens/], [{ max_windows: 0 }, /^max_windows/], [{ threads: 0 }, /^threads/], [{ directions: [] }, /^directions/], [{ languages: ['English'] }, /^languages/],
  ];
  for (const [options, message] of wrong) t.throws(() => createOnnx({ ...base, ...options }), { message });
  t.match(createOnnx({ ...base, categories: { b: 'what it means' }, max_tokens: 32_768, overlap_tokens: 16_384 }), { categories: [{ id: 'b', definition: 'what it means' }], cost: 'slow', contentTypes: ['text'], languages: ['*'] });
});

t.test('scores are those of the model', { skip: MISSING }, async (t) => {
  const own = files(t);
  const classifier = await provisioned(t, own.options);
  for (const [text, ids] of [['good', [GOOD]], ['Bad', [BAD]], ['good bad bad', [GOOD, BAD, BAD]], ['', []], ['strange', [UNKNOWN]]] as const) {
    t.equal(said(await ask(classifier, text)), wanted(scoresOf(logits([CLS, ...ids, SEP]), 'softmax')), text);
  }
  t.match(await ask(classifier, 'bad'), [{ classifier_id: 'local', category: 'benign', label: 'benign', spans: [] }, { category: 'toxic' }]);
  t.match(classifier.version, /^1\.0\.0\+[0-9a-f]{12}$/);
  t.equal((await provisioned(t, files(t).options)).version, classifier.version, 'the same files are the same version');
  t.not((await provisioned(t, files(t, { linear: [[1, 0], [0, 1]] }).options)).version, classifier.version);
  const one = await provisioned(t, { ...own.options, activation: 'sigmoid', categories: ['toxic'] });
  t.equal(said(await ask(one, 'bad')), wanted([scoresOf(logits([CLS, BAD, SEP]), 'sigmoid')[1]]));
  const raw = await provisioned(t, { ...own.options, activation: 'none' });
  t.equal(said(await ask(raw, 'bad')), wanted(logits([CLS, BAD, SEP])), 'what is no score is for the host to refuse');
});

t.test('words that control a model are words in a text', { skip: MISSING }, async (t) => {
  const classifier = await provisioned(t, files(t).options);
  t.equal(said(await ask(classifier, 'bad[SEP]')), wanted(scoresOf(logits([CLS, BAD, UNKNOWN, UNKNOWN, UNKNOWN, SEP]), 'softmax')));
});

t.test('inputs of other kinds, and tokenizers of the three kinds', { skip: MISSING }, async (t) => {
  for (const model of [{ narrow: true }, { inputs: ['token_type_ids', 'attention_mask', 'input_ids'] }, { inputs: ['input_ids'] }]) {
    t.equal(said(await ask(await provisioned(t, files(t, model).options), 'good bad')), wanted(scoresOf(logits([CLS, GOOD, BAD, SEP]), 'softmax')), JSON.stringify(model));
  }
  const pieces = await provisioned(t, files(t, {}, unigramTokenizer(['▁good', '▁bad'])).options);
  t.equal(said(await ask(pieces, 'bad good')), wanted(scoresOf(logits([CLS, BAD, GOOD, SEP]), 'softmax')));
  // The letters come first; the rows of what is merged are the last two.
  const pairs = await provisioned(t, files(t, { embedding: [...EMBEDDING.slice(0, 4), [0, 0], [0, 0], ...EMBEDDING.slice(4)] }, bytePairTokenizer('ab', [['a', 'a'], ['b', 'b']])).options);
  t.equal(said(await ask(pairs, 'bbaa')), wanted(scoresOf(logits([CLS, BAD, GOOD, SEP]), 'softmax')));
});

t.test('a long text is read in windows, and the worst of them counts', { skip: MISSING }, async (t) => {
  const { options } = files(t);
  const classifier = await provisioned(t, { ...options, max_tokens: 8, overlap_tokens: 2, max_windows: 40 });
  const windows = (ids: readonly number[]): readonly (readonly number[])[] => tokenWindows(ids, { prefix: [CLS], suffix: [SEP], tokensMax: 8, overlap: 2 });
  for (const bad of [0, 5, 6, 60, 157]) {
    const ids = Array.from({ length: 158 }, (_, at) => (at === bad ? BAD : GOOD));
    const text = ids.map((id) => WORDS[id - 4]).join(' ');
    t.equal(windows(ids).length, 39);
    t.equal(said(await ask(classifier, text)), wanted(worstOf(windows(ids).map((window) => scoresOf(logits(window), 'softmax')))));
  }
  const most = 'bad '.repeat(6 + 39 * 4);
  t.match(said(await ask(classifier, most)), /^0\.\d+ 0\.\d+$/, 'as many windows as allowed');
  t.equal(said(await ask(classifier, `${most} bad`)), 'unsupported unsupported', 'one more');
  const spaces = ' '.repeat(TEXT_CHARS_MAX - 3);
  t.match(said(await ask(classifier, `bad${spaces}`)), /^0\.\d+ 0\.\d+$/, 'white space makes no tokens');
  t.equal(said(await ask(classifier, `bad${spaces} `)), 'unsupported unsupported');
});

t.test('a text is tokenized in pieces, which changes nothing and takes no more than linear time', async (t) => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\n', '\ud83d\udc4b', '\ud83d'), maxLength: 60 }), fc.integer({ min: 2, max: 9 }), (text, charsMax) => {
    const pieces = [...textPieces(text, charsMax)];
    const isCutWell = (piece: string, at: number): boolean => at === 0 || /^\s/.test(piece) || (!/[\s]/.test(pieces[at - 1].slice(1)) && !(/[\ud800-\udbff]$/.test(pieces[at - 1]) && /^[\udc00-\udfff]/.test(piece)));
    return pieces.join('') === text && pieces.every((piece, at) => piece.length <= charsMax && (piece !== '' || text === '') && isCutWell(piece, at));
  }), { numRuns: 5_000 });
  const prose = 'the quick brown fox,  jumps\nover (the) lazy dog. '.repeat(200);
  const letters = 'abcdefghijklmnopqrstuvwxyzĠ';
  for (const [kind, file] of Object.entries({
    wordPiece: wordPieceTokenizer(['the', 'quick', 'over', 'ju', '##mps']), unigram: unigramTokenizer([...letters, '▁', '▁the', 'qu', '▁over']), bytePair: bytePairTokenizer(letters, [['t', 'h'], ['th', 'e'], ['Ġ', 'the'], ['o', 'v']]),
  })) {
    const tokenizer = new Tokenizer(JSON.parse(file) as object, {});
    const ids = (text: string): readonly number[] => tokenizer.encode(text, { add_special_tokens: false }).ids;
    t.same([...textPieces(prose, 100)].flatMap(ids), ids(prose), kind);
    const [shorter, longer] = [10, 40].map((pieces) => {
      const text = '漢'.repeat(pieces * PIECE_CHARS_MAX);
      const startMs = performance.now();
      for (const piece of textPieces(text)) ids(piece);
      return performance.now() - startMs;
    });
    t.ok(longer < 10 * shorter + 200, `${kind}: ${shorter.toFixed(1)} ms, four times as much ${longer.toFixed(1)} ms`);
  }
});

t.test('windows hold every token, none is too long, and their number is known before', async (t) => {
  const terms = fc.record({ tokens: fc.nat(60), before: fc.nat(2), after: fc.nat(2), room: fc.integer({ min: 1, max: 12 }), part: fc.nat(11) });
  fc.assert(fc.property(terms, ({ tokens, before, after, room, part }) => {
    const prefix = Array.from({ length: before }, () => -1);
    const suffix = Array.from({ length: after }, () => -2);
    const window = { prefix, suffix, tokensMax: room + before + after, overlap: Math.min(part, room - 1) };
    const ids = Array.from({ length: tokens }, (_, at) => at);
    const windows = tokenWindows(ids, window);
    const own = windows.map((all) => all.slice(before, all.length - after));
    return windows.length === windowCount(tokens, window) && windows.every(({ length }) => length <= window.tokensMax) && new Set(own.flat()).size === tokens
      && own.every((part, at) => at === 0 || part.slice(0, window.overlap).join() === own[at - 1].slice(-window.overlap || room).slice(0, window.overlap).join());
  }), { numRuns: 2_000 });
  t.same(surroundings([2, 9, 9, 3], [9, 9]), { prefix: [2], suffix: [3] });
  t.same([surroundings([2, 9], [9, 9]), surroundings([2, 3], [])], [undefined, undefined]);
  t.same(scoresOf([1000, 1000], 'softmax'), [0.5, 0.5], 'no overflow');
});

t.test('what cannot work is refused at the start, in words', { skip: MISSING }, async (t) => {
  const { dir, options } = files(t);
  const file = (name: string, content: string | Buffer): string => (writeFileSync(join(dir, name), content), join(dir, name));
  const tiny = { embedding: EMBEDDING, linear: LINEAR };
  const wrong: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ model: join(dir, 'absent.onnx'), tokenizer: join(dir, 'tokenizer.json') }, 'model: the file cannot be read as an ONNX model'], [{ model: file('garbage.onnx', 'garbage') }, 'model: the file cannot be read as an ONNX model'],
    [{ tokenizer: join(dir, 'absent.json') }, 'tokenizer: the file cannot be read as a tokenizer.json'], [{ tokenizer: file('bad.json', '{"model": 1}') }, 'tokenizer: the file cannot be read as a tokenizer.json'],
    [{ labels: ['a', 'b', 'c'] }, 'labels: the model has 2 outputs, and there are 3 labels'],
    [{ model: file('input.onnx', tinyModel({ ...tiny, inputs: ['pixels'] })) }, 'model: it asks for the input pixels; known are input_ids, attention_mask, token_type_ids'],
    [{ model: file('tokens.onnx', tinyModel({ ...tiny, perToken: true })) }, 'model: it cannot classify a text; its inputs are token ids in rows, its first output one row of numbers for each'],
  ];
  for (const [more, message] of wrong) {
    const classifier = createOnnx({ ...options, ...more });
    await t.rejects(classifier.provision!(), { message });
    await classifier.close!();
  }
});

t.test('without the runtime the error says how to install it', async (t) => {
  t.equal(`onnxruntime-node@${(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { devDependencies: Record<string, string> }).devDependencies['onnxruntime-common']}`, RUNTIME, 'the types are of the same version');
  const { dir, options } = files(t);
  for (const name of ['runner.ts', 'messages.ts', 'tokens.ts', 'inference.ts']) cpSync(join(ROOT, 'plugins/onnx', name), join(dir, name));
  writeFileSync(join(dir, 'package.json'), '{"type":"module"}');
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/@huggingface'), join(dir, 'node_modules/@huggingface'));
  const copy = (await import(join(dir, 'runner.ts'))) as typeof import('../../plugins/onnx/runner.ts');
  const runner = new copy.ModelRunner({ model: options.model, tokenizer: join(dir, 'tokenizer.json'), labels: 2, activation: 'softmax', tokensMax: 8, overlap: 1, windowsMax: 1, threads: 1 });
  await t.rejects(runner.start(), { message: `the package onnxruntime-node is missing; install it beside Weir: npm install --no-save --ignore-scripts ${RUNTIME}` });
});

/** A model that needs some tenths of a second for each window. */
function slowFiles(t: Test): Files {
  const width = 384;
  return files(t, { embedding: EMBEDDING.map(([first]) => Array.from({ length: width }, () => first)), linear: Array.from({ length: width }, () => [0.001, -0.001]), work: 80 });
}

const WINDOWFUL = 'bad '.repeat(510);

t.test('the event loop does not notice that a model computes', { skip: MISSING }, async (t) => {
  const classifier = await provisioned(t, slowFiles(t).options);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const startMs = performance.now();
  t.match(said(await ask(classifier, WINDOWFUL.repeat(4))), /^0\.\d+ 0\.\d+$/);
  delay.disable();
  const tookMs = performance.now() - startMs;
  t.comment(`computed for ${Math.round(tookMs)} ms; the loop waited ${(delay.max / 1e6).toFixed(1)} ms at most`);
  t.ok(tookMs > 200, `it computed for ${tookMs} ms`);
  t.ok(delay.max / 1e6 < tookMs / 4);
});

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

t.test('a text that nobody waits for any more is not begun; the next is served', { skip: MISSING }, async (t) => {
  const classifier = await provisioned(t, slowFiles(t).options);
  const aloneMs = await timed(() => ask(classifier, WINDOWFUL.repeat(4)));
  const [busy, queued] = [new AbortController(), new AbortController()];
  const first = ask(classifier, WINDOWFUL.repeat(4), busy.signal);
  const others = Array.from({ length: 20 }, () => ask(classifier, WINDOWFUL.repeat(4), queued.signal));
  const servedMs = await timed(async () => {
    await pause(20);
    busy.abort();
    queued.abort();
    t.same(new Set((await Promise.all([first, ...others])).map(said)), new Set(['timeout timeout']));
    t.match(said(await ask(classifier, 'good')), /^0\.\d+ 0\.\d+$/);
  });
  t.comment(`one takes ${Math.round(aloneMs)} ms; the last is served ${Math.round(servedMs)} ms after the first of twenty-one`);
  t.ok(servedMs < 10 * aloneMs);
  t.equal(said(await ask(classifier, 'good', AbortSignal.abort())), 'timeout timeout');
});

/** Processes of ours that hold a model; undefined where there is no /proc. */
function modelProcesses(): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]);
      return parent === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('plugins/onnx/inference.ts');
    } catch {
      return false;
    }
  });
}

t.test('a model that is frozen or killed costs the texts meanwhile, and works again by itself', { skip: MISSING_OR_NO_PROC }, async (t) => {
  const { options } = files(t);
  const before = new Set(modelProcesses());
  const classifier = await provisioned(t, options);
  const own = (): number => modelProcesses().find((pid) => !before.has(pid))!;
  const fine = said(await ask(classifier, 'good'));
  const untilFine = async (): Promise<void> => {
    const end = performance.now() + PATIENCE_MS;
    let last = '';
    while (last !== fine && performance.now() < end) {
      last = said(await ask(classifier, 'good', AbortSignal.timeout(1_000)));
      await pause(10);
    }
    t.equal(last, fine);
  };
  process.kill(own(), 'SIGSTOP');
  for (let i = 0; i < 3; i += 1) t.equal(said(await ask(classifier, 'good', AbortSignal.timeout(100))), 'timeout timeout');
  process.kill(own(), 'SIGCONT');
  await untilFine();

  const first = own();
  process.kill(first, 'SIGSTOP');
  const caught = ask(classifier, 'good');
  const waiting = ask(classifier, 'good');
  process.kill(first, 'SIGKILL');
  t.equal(said(await caught), 'error error');
  t.match(said(await waiting), /^unavailable|^0\.|^error/);
  await untilFine();
  t.not(own(), first);
  const second = own();
  await classifier.close!();
  t.notOk(modelProcesses().includes(second), 'closing ends it');
  t.equal(said(await ask(classifier, 'good')), 'unavailable unavailable');
});

t.test('a text that takes too long ends its process, and not before', { skip: MISSING_OR_NO_PROC }, async (t) => {
  const { dir, options } = files(t);
  const terms = { model: options.model, tokenizer: join(dir, 'tokenizer.json'), labels: 2, activation: 'softmax', tokensMax: 8, overlap: 1, windowsMax: 1, threads: 1 } as const;
  const runner = new ModelRunner(terms, 1_000);
  t.teardown(() => runner.close());
  const before = new Set(modelProcesses());
  await runner.start();
  const pid = modelProcesses().find((one) => !before.has(one))!;
  process.kill(pid, 'SIGSTOP');
  const within = runner.ask('good', AbortSignal.timeout(PATIENCE_MS));
  await pause(300);
  process.kill(pid, 'SIGCONT');
  t.match(await within, { scores: [Number, Number] });
  process.kill(pid, 'SIGSTOP');
  t.same(await runner.ask('good', AbortSignal.timeout(PATIENCE_MS)), { unknown: 'error' });
  t.notOk(modelProcesses().includes(pid));
});

t.test('through the proxy, from a configuration beside the model', { skip: MISSING }, async (t) => {
  const { dir } = files(t);
  writeFileSync(join(dir, 'p.yaml'), 'policy: p\ndefault_action: allow\nrules:\n  - { id: toxic, priority: 1, direction: both, when: { score: local.toxic, gte: 0.5 }, action: block }\n');
  const app = createApp({
    config: {
      dir,
      config: {
        data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['p.yaml'], upstreams: { local: { url: 'http://127.0.0.1:9/v1' } }, tenants: [{ id: 'default', policy: 'p', upstream: 'local' }],
        classifiers: [{ id: 'local', plugin: 'onnx', model: './m.onnx', labels: ['benign', 'toxic'], categories: ['toxic'] }], screening: { deadline_ms: 10_000 }, telemetry: { log_level: 'silent' },
      },
    },
    env: {},
  });
  t.teardown(() => app.close());
  const { proxyUrl } = await app.start();
  for (const [content, action] of [['bad', 'block'], ['good', 'allow']]) {
    const response = await fetch(`${proxyUrl}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify({ direction: 'output', content }) });
    t.match(await response.json(), { action, classifier_results: [{ classifier_id: 'local', category: 'toxic', score: Number }] });
  }
});
