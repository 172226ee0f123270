/**
 * What a guard model's format is: the questions that it asks of one text, and how an answer to each is read. The
 * probability of a verdict comes from the model's own token probabilities where the server gives them. An answer that
 * does not parse is a ServiceError, never a verdict.
 */
import type { CategoryDefinition } from '#contract/classifier.ts';
import type { ScreeningRequest } from '#contract/screening.ts';
import { ServiceError } from '../http/client.ts';
import { isMapping } from '../http/options.ts';
import type { Finding } from '../http/results.ts';

/** The category that every format has: the verdict as a whole. */
export const UNSAFE: CategoryDefinition = { id: 'unsafe', definition: 'The model finds that the text breaks one of its rules.' };

export interface GuardFormat {
  readonly categories: readonly CategoryDefinition[];
  /** What the model judges besides text. */
  readonly images: boolean;
  questions(subject: Subject): readonly Question[];
}

/** What is judged: a part of a prompt, or of an answer to it. */
export interface Subject {
  readonly direction: ScreeningRequest['direction'];
  readonly content: string | readonly ImagePart[];
}

export interface ImagePart {
  readonly type: 'image_url';
  readonly image_url: { readonly url: string };
}

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: Subject['content'];
}

export interface Question {
  readonly messages: readonly Message[];
  readonly maxTokens: number;
  /** Fields of the body besides those that every question has. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Throws ServiceError for what is no verdict. */
  read(answer: Answer): readonly Finding[];
}

export interface Answer {
  readonly text: string;
  readonly tokens: readonly Token[];
}

interface Token {
  readonly token: string;
  readonly logprob: number;
  readonly others: readonly Omit<Token, 'others'>[];
}

/** Stands before an answer, whose prompt is not known here: the models expect a conversation that a user begins. */
const NO_PROMPT = '(not shown)';

/** The conversation that the models with a chat template of their own judge the last message of. */
export function conversation({ direction, content }: Subject): readonly Message[] {
  if (direction === 'input') return [{ role: 'user', content }];
  return [{ role: 'user', content: NO_PROMPT }, { role: 'assistant', content }];
}

/** The one choice of a chat completion. Throws ServiceError where it says nothing, or was cut off before its end. */
export function readCompletion(completion: unknown, { maxTokens }: Pick<Question, 'maxTokens'>): Answer {
  const choice: unknown = isMapping(completion) && Array.isArray(completion.choices) ? completion.choices[0] : undefined;
  if (!isMapping(choice) || !isMapping(choice.message) || typeof choice.message.content !== 'string') throw new ServiceError('error', 'the model answered no text');
  if (choice.finish_reason === 'length' && maxTokens > 1) throw new ServiceError('error', 'the answer of the model was cut off at max_tokens');
  const logprobs = isMapping(choice.logprobs) && Array.isArray(choice.logprobs.content) ? choice.logprobs.content : [];
  return { text: choice.message.content, tokens: logprobs.filter(isToken).map((token) => ({ ...token, others: Array.isArray(token.top_logprobs) ? token.top_logprobs.filter(isToken) : [] })) };
}

function isToken(value: unknown): value is { readonly token: string; readonly logprob: number; readonly top_logprobs?: unknown } {
  return isMapping(value) && typeof value.token === 'string' && typeof value.logprob === 'number' && value.logprob <= 0;
}

/** The two answers that a verdict can be, by how their first tokens begin. */
export interface Verdicts {
  readonly yes: RegExp;
  readonly no: RegExp;
}

/**
 * How sure the model was of what it answered: the probability of `yes` against `no` at the token where the verdict
 * stands. 1 or 0 where the server gave no probabilities, or some that contradict the text: those of other words.
 */
export function scoreOf(answer: Answer, verdicts: Verdicts, isYes: boolean): number {
  const probability = probabilityOf(answer, verdicts);
  return probability === undefined || probability >= 0.5 !== isYes ? Number(isYes) : probability;
}

function probabilityOf({ tokens }: Answer, { yes, no }: Verdicts): number | undefined {
  const verdict = tokens.find(({ token }) => yes.test(token.trim()) || no.test(token.trim()));
  if (verdict === undefined) return undefined;
  const candidates = verdict.others.some(({ token }) => token === verdict.token) ? verdict.others : [verdict, ...verdict.others];
  const weight = (pattern: RegExp): number => candidates.filter(({ token }) => pattern.test(token.trim())).reduce((sum, { logprob }) => sum + Math.exp(logprob), 0);
  const [forYes, forNo] = [weight(yes), weight(no)];
  // With one of the two alone, the rest of the probability is the other's.
  if (forNo === 0) return Math.min(1, forYes);
  if (forYes === 0) return Math.max(0, 1 - forNo);
  return forYes / (forYes + forNo);
}
