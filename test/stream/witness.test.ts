/**
 * What a witness of an answer hears, so that it can be kept: each text once, as it came and as it left, however the
 * provider cuts it, repeats it, says more of it each time, or is cut short by the policy.
 */
import fc from 'fast-check';
import t from 'tap';
import type { AnswerWitness } from '../../src/contract/content.ts';
import { openaiResponses } from '../../src/dialect/openai-responses.ts';
import { answer, Framed } from '../helpers/framed.ts';
import { accumulated, cutBytes, guarded } from '../helpers/guarded.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';
import { framesOf, responseEvents, wholeResponse } from '../helpers/responses.ts';
import { seed } from '../helpers/runs.ts';

const redact = planOf(REDACT_PII);
const block = planOf(REDACT_PII.replace('action: redact', 'action: block'));
const SAID = ['write to ana@example.com today', 'nothing here', 'ana@example.com', 'call 4111 1111 1111 1111, then ana@example.com or bo@example.org'];
const LEFT = ['write to [EMAIL] today', 'nothing here', '[EMAIL]', 'call [CREDIT_CARD], then [EMAIL] or [EMAIL]'];

class Heard implements AnswerWitness {
  readonly inward: Record<string, string> = {};
  readonly outward: Record<string, string> = {};

  came(key: string, text: string): void {
    this.inward[key] = (this.inward[key] ?? '') + text;
  }

  cameAgain(key: string): void {
    delete this.inward[key];
  }

  left(key: string, text: string): void {
    this.outward[key] = (this.outward[key] ?? '') + text;
  }

  leftAgain(key: string): void {
    delete this.outward[key];
  }
}

const pieces = (text: string, sizes: readonly number[]): string[] => {
  const out: string[] = [];
  for (let at = 0, i = 0; at < text.length; i++) {
    const size = sizes[i % sizes.length]!;
    out.push(text.slice(at, at + size));
    at += size;
  }
  return out;
};
/** Those of the texts that were heard that are known. */
const among = (said: Readonly<Record<string, string>>, known: readonly string[]): string[] => Object.values(said).filter((text) => known.includes(text)).sort();
const cuts = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 });
const chunk = (index: number, content: string): string => `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index, delta: { content }, finish_reason: null }] })}\n\n`;

t.test('several choices, in any order and cut', async (t) => {
  fc.assert(fc.property(fc.array(fc.nat(SAID.length - 1), { minLength: 1, maxLength: 3 }), cuts, fc.nat(), (which, sizes, order) => {
    const waiting = which.map((one, index) => pieces(SAID[one]!, sizes).map((piece) => chunk(index, piece)));
    const frames: string[] = [];
    for (let at = order; waiting.some((list) => list.length > 0); at += 7) frames.push(...waiting[at % waiting.length]!.splice(0, 1));
    const heard = new Heard();
    const { bytes } = guarded(redact, cutBytes(Buffer.from(`${frames.join('')}data: [DONE]\n\n`), order + 1, 40), { witness: heard });
    t.strictSame(heard.inward, Object.fromEntries(which.map((one, index) => [`${index}/content`, SAID[one]])));
    t.strictSame(heard.outward, Object.fromEntries(which.map((one, index) => [`${index}/content`, LEFT[one]])));
    t.strictSame(heard.outward, accumulated(bytes), 'what the client puts together');
  }), { seed, numRuns: 60 });
});

t.test('one choice that waits while many events of another queue behind it', async (t) => {
  const heard = new Heard();
  const frames = [chunk(0, 'write to ana@exam'), ...Array.from({ length: 30 }, (_, i) => chunk(1, `word ${i} `)), chunk(0, 'ple.com today')];
  const { bytes } = guarded(redact, frames.map((frame) => Buffer.from(frame)).concat(Buffer.from('data: [DONE]\n\n')), { witness: heard });
  t.equal(heard.outward['0/content'], LEFT[0], 'in two parts, each once');
  t.strictSame(heard.outward, accumulated(bytes));
});

t.test('an answer that repeats its texts says each once, streamed or whole', async (t) => {
  const items = [{ message: [{ text: SAID[0]! }, { text: SAID[1]! }] }, { reasoning: { summary: [SAID[2]!] } }];
  fc.assert(fc.property(cuts, (sizes) => {
    const heard = new Heard();
    guarded(redact, [Buffer.from(framesOf(responseEvents({ items, cut: (text) => pieces(text, sizes) })).join(''))], { dialect: openaiResponses, witness: heard });
    // Beside them stand the texts of the tools that a response repeats.
    t.strictSame(among(heard.inward, SAID), SAID.slice(0, 3).sort());
    t.strictSame(among(heard.outward, LEFT), LEFT.slice(0, 3).sort());
    t.notMatch(Object.values(heard.outward).join(' '), /ana|@/);
  }), { seed, numRuns: 20 });
  const heard = new Heard();
  guarded(redact, [Buffer.from(JSON.stringify(wholeResponse({ items })))], { dialect: openaiResponses, mediaType: 'application/json', witness: heard });
  t.same([among(heard.inward, SAID), among(heard.outward, LEFT)], [SAID.slice(0, 3).sort(), LEFT.slice(0, 3).sort()]);
});

t.test('what the policy stops has come and has not left', async (t) => {
  for (const sizes of [[1], [5], [100]]) {
    const heard = new Heard();
    const frames = pieces(SAID[0]!, sizes).map((piece) => chunk(0, piece));
    const { blocked, bytes } = guarded(block, [Buffer.from(`${frames.join('')}data: [DONE]\n\n`)], { witness: heard });
    t.ok(blocked);
    t.ok(SAID[0]!.startsWith(heard.inward['0/content']!) && heard.inward['0/content']!.includes('ana@example.com'));
    t.same(heard.outward['0/content'] ?? '', accumulated(bytes)['0/content'] ?? '');
    t.notMatch(heard.outward['0/content'] ?? '', /ana|@/);
  }
});

t.test('answers of a WebSocket, and a transcript that grows and is revised', async (t) => {
  fc.assert(fc.property(cuts, (sizes) => {
    const heard = new Heard();
    const framed = new Framed(redact, { witness: heard }).feed(...answer(pieces(SAID[0]!, sizes))).end();
    t.strictSame([Object.values(heard.inward), Object.values(heard.outward)], [[SAID[0]], [LEFT[0]]]);
    t.strictSame(Object.values(framed.texts), [LEFT[0]]);
  }), { seed, numRuns: 20 });
  const says = (type: string, transcript: string): object => ({ type: `conversation.item.input_audio_transcription.${type}`, event_id: 'e', item_id: 'item_u', content_index: 0, transcript });
  const texts = ['my card is 4111 1111', 'My card is 4111 1111 1111 1111', 'My card is 4111 1111 1111 1111, or'];
  const heard = new Heard();
  new Framed(redact, { witness: heard }).feed(...texts.map((text) => says('updated', text)), says('completed', texts.at(-1)!)).end();
  t.same([Object.values(heard.inward), Object.values(heard.outward)], [['My card is 4111 1111 1111 1111, or'], ['My card is [CREDIT_CARD], or']]);
});
