/**
 * Llama Guard 3 and 4: the server's chat template writes the model's prompt, so messages are all that is sent. The model
 * answers `safe`, or `unsafe` and on the next line the codes of its categories.
 */
import { ServiceError } from '../http/client.ts';
import { isMapping, kindOf, type Given } from '../http/options.ts';
import { conversation, scoreOf, UNSAFE, type Answer, type GuardFormat, type Verdicts } from './format.ts';
import type { Finding } from '../http/results.ts';

/** The hazards of the model's card. */
export const LLAMA_GUARD_CODES: Readonly<Record<string, string>> = {
  S1: 'violent-crimes', S2: 'non-violent-crimes', S3: 'sex-crimes', S4: 'child-exploitation', S5: 'defamation', S6: 'specialized-advice', S7: 'privacy',
  S8: 'intellectual-property', S9: 'indiscriminate-weapons', S10: 'hate', S11: 'self-harm', S12: 'sexual', S13: 'elections', S14: 'code-interpreter-abuse',
};

const VERDICTS: Verdicts = { yes: /^un/i, no: /^safe/i };
/** The word, and every code. */
const TOKENS_MAX = 100;

export function llamaGuard(given: Given): GuardFormat {
  const codes = readCodes(given.codes);
  const names = [...new Set(Object.values(codes))];
  return {
    categories: [UNSAFE, ...names.map((id) => ({ id, definition: `Llama Guard: ${Object.keys(codes).filter((code) => codes[code] === id).join(', ')}` }))],
    images: true,
    questions: (subject) => [{ messages: conversation(subject), maxTokens: TOKENS_MAX, read: (answer) => readVerdict(answer, codes, names) }],
  };
}

/** A named category has the verdict's score, and one that is not named 0; a verdict without codes leaves them unknown. */
function readVerdict(answer: Answer, codes: Readonly<Record<string, string>>, names: readonly string[]): readonly Finding[] {
  const [verdict, ...lines] = answer.text.trim().split(/\s*\n\s*/);
  const word = verdict.toLowerCase();
  if ((word !== 'safe' && word !== 'unsafe') || (word === 'safe' && lines.length > 0) || lines.length > 1) throw new ServiceError('error', 'the model answered neither safe nor unsafe');
  const violated = lines.flatMap((line) => line.split(/\s*,\s*/)).map((code) => {
    if (!Object.hasOwn(codes, code)) throw new ServiceError('error', 'the model named a category that it has no code for here');
    return codes[code];
  });
  const score = scoreOf(answer, VERDICTS, word === 'unsafe');
  const unsafe = { category: UNSAFE.id, score };
  if (word === 'unsafe' && violated.length === 0) return [unsafe, ...names.map((category): Finding => ({ category, unknown: 'error' }))];
  return [unsafe, ...names.map((category) => ({ category, score: violated.includes(category) ? score : 0 }))];
}

function readCodes(codes: unknown): Readonly<Record<string, string>> {
  if (codes === undefined) return LLAMA_GUARD_CODES;
  if (!isMapping(codes) || Object.keys(codes).length === 0) throw new Error(`codes: expected the model's codes with names, such as S1: violent-crimes, got ${kindOf(codes)}`);
  for (const [code, name] of Object.entries(codes)) {
    if (!/^S\d{1,2}$/.test(code)) throw new Error('codes: a code is S and a number');
    const isName = typeof name === 'string' && /^[a-z][a-z0-9/_-]{0,63}$/.test(name) && name !== UNSAFE.id;
    if (!isName) throw new Error(`codes.${code}: expected a name of lower-case letters, digits, -, _ and /, other than ${UNSAFE.id}`);
  }
  return codes as Record<string, string>;
}
