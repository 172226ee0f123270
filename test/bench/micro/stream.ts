/**
 * Streaming: what a delta costs in the redactor, against redactors that search a kept tail again; what an event costs
 * in the guard, and which part of that is framing, JSON and clocks; how many characters and tokens wait. What leaves is
 * compared with the redaction of the whole text before anything is timed.
 */
import assert from 'node:assert/strict';
import type { PatternDefinition } from '../../../src/contract/classifier.ts';
import { openaiChat } from '../../../src/dialect/openai-chat.ts';
import type { Component } from '../../../src/match/scan.ts';
import type { PatternSet } from '../../../src/match/compiled.ts';
import { requirePolicy } from '../../../src/policy/parse.ts';
import type { OutputPlan } from '../../../src/screen/output.ts';
import { compilePlan } from '../../../src/screen/plan.ts';
import type { Ruling } from '../../../src/stream/channel.ts';
import { createGuard } from '../../../src/stream/guard.ts';
import { Redactor } from '../../../src/stream/redactor.ts';
import { SseFramer } from '../../../src/stream/sse.ts';
import { applyEdits } from '../../../src/text/edits.ts';
import { testPii } from '../../helpers/pii.ts';
import { DIGIT_OR_LITERAL, PII, setOf, TWENTY } from '../detectors.ts';
import { RescanRedactor, v8Alternation, v8Separate } from '../engines.ts';
import { millionsPerSecond, type Row, type Table } from '../report.ts';
import { progress, timeCases, type Case, type Effort } from '../rounds.ts';
import { piecesOf, textOf, tokensOf, type TextKind } from '../texts.ts';

const DELTA_CHARS = 5;
const TAIL_CHARS = 256;

export function measureStream(effort: Effort): readonly Table[] {
  return [deltas(effort), deltaSizes(effort), events(effort), parts(effort), waiting(effort)];
}

interface Redacting {
  feed(text: string): string;
  flush(): string;
}

function judge({ start, end, findings }: Component): Ruling {
  return { blocked: false, edits: [{ start, end, text: `[${findings[0].pattern.definition.label}]` }] };
}

function redacted(redactor: Redacting, pieces: readonly string[]): string {
  return pieces.map((piece) => redactor.feed(piece)).join('') + redactor.flush();
}

/** The work of a stream, without keeping what leaves. */
function drained(redactor: Redacting, pieces: readonly string[]): number {
  let chars = 0;
  for (const piece of pieces) chars += redactor.feed(piece).length;
  return chars + redactor.flush().length;
}

function deltas(effort: Effort): Table {
  const chars = effort.quick ? 20_000 : 100_000;
  const rows: Row[] = [];
  for (const kind of ['prose', 'dense', 'digits', 'near-misses'] as const) {
    const text = textOf(kind, chars);
    const pieces = piecesOf(text, DELTA_CHARS);
    const [twenty, pii] = [setOf(TWENTY), setOf(PII)];
    const [separate, alternation] = [v8Separate(TWENTY), v8Alternation(TWENTY)];
    const ways: readonly (readonly [string, () => Redacting])[] = [
      ['weir, 20 detectors', () => new Redactor(twenty, judge)],
      ['weir, pii plugin', () => new Redactor(pii, judge)],
      ['20 regexes, kept tail', () => new RescanRedactor(separate, TAIL_CHARS)],
      ['one alternation, kept tail', () => new RescanRedactor(alternation, TAIL_CHARS)],
    ];
    for (const [name, open] of ways) {
      progress(`checking ${kind}, ${name}`);
      if (name.startsWith('weir')) assert.equal(redacted(open(), pieces), redacted(open(), [text]), `${name} depends on the cut of ${kind}`);
      else if (kind === 'prose' || kind === 'dense') assert.equal(redacted(open(), pieces), applyEdits(text, separate(text)), name);
    }
    const timings = timeCases(`deltas, ${kind}`, ways.map(([name, open]): Case => ({ name, work: pieces.length, run: () => drained(open(), pieces) })), effort);
    ways.forEach(([name], i) => {
      const { medianNs, minNs, maxNs } = timings[i];
      rows.push({ cells: [`${kind}: ${name}`, medianNs, minNs, maxNs, millionsPerSecond(medianNs / DELTA_CHARS), `${(medianNs / timings[0].medianNs).toFixed(1)}×`], timing: timings[i] });
    });
  }
  return { title: `Redactors, ${DELTA_CHARS}-character deltas, ns for each delta`, columns: ['text: way', 'ns/delta', 'min', 'max', 'MB/s', 'of weir'], rows, note: `A kept tail of ${TAIL_CHARS} characters delays every character by ${TAIL_CHARS}; "waiting" below says what ours delays.` };
}

/** What a delta costs besides its characters: the slope between many short and few long ones. */
function deltaSizes(effort: Effort): Table {
  const sizes = [1, 2, 5, 20, 100, 1_000];
  const rows: Row[] = [];
  for (const [name, definitions] of [['20 detectors', TWENTY], ['pii plugin', PII]] as const) {
    for (const kind of ['prose', 'dense'] as const) {
      const set = setOf(definitions);
      const text = textOf(kind, effort.quick ? 20_000 : 100_000);
      const cases = sizes.map((size): Case => {
        const pieces = piecesOf(text, size);
        return { name: `${size}`, work: pieces.length, run: () => drained(new Redactor(set, judge), pieces) };
      });
      const ns = timeCases(`delta sizes, ${name}, ${kind}`, cases, effort).map(({ medianNs }) => medianNs);
      const perChar = (ns[5] - ns[4]) / (sizes[5] - sizes[4]);
      rows.push({ cells: [`${name}, ${kind}`, ...ns, perChar, ns[2] - sizes[2] * perChar] });
    }
  }
  return { title: 'Redactor, ns for each delta, by characters in a delta', columns: ['set, text', ...sizes.map(String), 'ns/char', 'ns/delta of 5'], rows, note: 'The last two columns: the slope from 100 to 1,000 characters, and what a delta of five costs besides it.' };
}

// The guard.

const POLICIES = {
  'redact pii': 'policy: bench\ndefault_action: allow\nrules:\n  - { id: pii, priority: 1, direction: both, when: { score: pii.*, gte: 0.5 }, action: redact }\n',
  'warn only': 'policy: bench\ndefault_action: allow\nrules:\n  - { id: pii, priority: 1, direction: both, when: { score: pii.*, gte: 0.5 }, action: warn }\n',
} as const;

function planOf(policy: keyof typeof POLICIES): OutputPlan {
  return compilePlan(requirePolicy(POLICIES[policy], 'bench.yaml'), [testPii()], { file: 'bench.yaml', hashKey: Buffer.alloc(32, 1) }).forOutput({});
}

/** Frames of a chat stream of about 330 bytes, one token each, as a provider sends them. */
function framesOf(kind: TextKind, events: number): readonly Buffer[] {
  const tokens = tokensOf(textOf(kind, events * 6)).slice(0, events);
  const frames = tokens.map((content) => frameOf({ index: 0, delta: { content }, logprobs: null, finish_reason: null }));
  return [...frames, frameOf({ index: 0, delta: {}, logprobs: null, finish_reason: 'stop' }), Buffer.from('data: [DONE]\n\n')];
}

function frameOf(choice: object): Buffer {
  return Buffer.from(`data: ${JSON.stringify({
    id: 'chatcmpl-made-up-0123456789', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'made-up-model-2026-01-01', service_tier: 'default', system_fingerprint: 'fp_0123456789',
    choices: [choice], usage: null, obfuscation: 'made-up-padding-that-some-providers-add-to-each-event-0123456789',
  })}\n\n`);
}

function guardedBytes(plan: OutputPlan, chunks: readonly Buffer[], onBytes: (bytes: Buffer) => void): void {
  let done = false;
  const guard = createGuard({
    dialect: openaiChat, request: { segments: [], opaque: [], stream: true, parameters: {} }, plan, requestId: 'bench', status: 200, mediaType: 'text/event-stream',
    limits: { eventBytesMax: 1 << 20, responseBytesMax: 1 << 26 }, onBytes, onDone: () => { done = true; },
  });
  for (const chunk of chunks) guard.feed(chunk);
  guard.end();
  assert.ok(done);
}

const EVENTS = 200;

function events(effort: Effort): Table {
  const plans = [['redact pii', planOf('redact pii')], ['warn only', planOf('warn only')]] as const;
  const cases: Case[] = [];
  const perChunk = [1, 8] as const;
  for (const kind of ['prose', 'dense'] as const) {
    const frames = framesOf(kind, EVENTS);
    for (const [policy, plan] of plans) {
      const out: Buffer[] = [];
      guardedBytes(plan, frames, (bytes) => out.push(Buffer.from(bytes)));
      const same = Buffer.concat(out).equals(Buffer.concat(frames));
      assert.equal(same, kind === 'prose' || policy === 'warn only', `${kind}, ${policy}: ${same ? 'nothing was redacted' : 'bytes changed'}`);
      for (const size of perChunk) {
        const chunks = Array.from({ length: Math.ceil(frames.length / size) }, (_, i) => Buffer.concat(frames.slice(i * size, (i + 1) * size)));
        cases.push({ name: `${kind}, ${policy}, ${size} in a chunk`, work: frames.length, run: () => { let bytes = 0; guardedBytes(plan, chunks, (piece) => { bytes += piece.length; }); return bytes; } });
      }
    }
  }
  const timings = timeCases('guard', cases, effort);
  return {
    title: `Guard, chat streams of ${EVENTS} events of ${framesOf('prose', 1)[0].length} bytes, one token in each`,
    columns: ['text, policy, chunks', 'µs/event', 'min', 'max', 'events/s'],
    rows: cases.map(({ name }, i): Row => ({ cells: [name, timings[i].medianNs / 1e3, timings[i].minNs / 1e3, timings[i].maxNs / 1e3, 1e9 / timings[i].medianNs], timing: timings[i] })),
    note: 'A stream is opened for every 200 events, so a figure holds a two-hundredth of what opening one costs.',
  };
}

/** What an event costs before the guard does anything with it. */
function parts(effort: Effort): Table {
  const frames = framesOf('prose', EVENTS);
  const texts = frames.slice(0, -1).map((frame) => frame.toString('utf8').slice(6, -2));
  const parsed = texts.map((text) => JSON.parse(text) as unknown);
  const plan = planOf('redact pii');
  const work = frames.length;
  const cases: readonly Case[] = [
    { name: 'guard, all of it', work, run: () => guardedBytes(plan, frames, () => undefined) },
    { name: 'framing', work, run: () => { const framer = new SseFramer(1 << 20); return frames.reduce((n, frame) => n + framer.feed(frame).length, 0); } },
    { name: 'JSON.parse', work, run: () => texts.map((text) => JSON.parse(text) as unknown) },
    { name: 'reading the event', work, run: () => { const reader = openaiChat.createReader({ segments: [], opaque: [], stream: true, parameters: {} }); return parsed.map((event) => reader.readEvent(event)); } },
    { name: 'performance.now(), twice', work, run: () => frames.reduce((n) => n + performance.now() - performance.now(), 0) },
    { name: 'opening and closing a stream', work: 1, run: () => guardedBytes(plan, frames.slice(0, 1), () => undefined) },
  ];
  const timings = timeCases('parts of the guard', cases, effort);
  return { title: 'What an event of prose costs, in parts', columns: ['part', 'µs', 'min', 'max'], rows: cases.map(({ name }, i): Row => ({ cells: [name, timings[i].medianNs / 1e3, timings[i].minNs / 1e3, timings[i].maxNs / 1e3], timing: timings[i] })) };
}

/** Not a time: how many characters and tokens wait, which depends on patterns and text alone. */
function waiting(effort: Effort): Table {
  const rows: Row[] = [];
  for (const [name, definitions] of [['pii plugin', PII], ['20 detectors', TWENTY], ['digits and literals', DIGIT_OR_LITERAL]] as const satisfies readonly (readonly [string, readonly PatternDefinition[]])[]) {
    for (const kind of ['prose', 'code', 'json', 'dense'] as const) {
      const set = setOf(definitions);
      const { heldMean, heldMax, delays } = waits(set, tokensOf(textOf(kind, effort.quick ? 50_000 : 500_000)));
      const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
      const sorted = Int32Array.from(delays).sort();
      const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))];
      rows.push({ cells: [`${name}, ${kind}`, heldMean, heldMax, mean, at(0.5), at(0.99), sorted[sorted.length - 1], `${((100 * delays.filter((delay) => delay === 0).length) / delays.length).toFixed(1)} %`] });
    }
  }
  return { title: 'Waiting, tokens of about four characters', columns: ['set, text', 'held mean', 'held max', 'gaps mean', 'p50', 'p99', 'max', 'at once'], rows, note: 'Held: characters that wait after a token. Gaps: further tokens that must arrive before all of a token has left.' };
}

function waits(set: PatternSet, tokens: readonly string[]): { readonly heldMean: number; readonly heldMax: number; readonly delays: readonly number[] } {
  const redactor = new Redactor(set, judge);
  const delays: number[] = [];
  const ends: number[] = [];
  let [fed, held, heldMax, next] = [0, 0, 0, 0];
  tokens.forEach((token, i) => {
    redactor.feed(token);
    fed += token.length;
    ends.push(fed);
    held += redactor.heldChars;
    heldMax = Math.max(heldMax, redactor.heldChars);
    for (; next <= i && ends[next] <= fed - redactor.heldChars; next += 1) delays.push(i - next);
  });
  return { heldMean: held / tokens.length, heldMax, delays };
}
