/**
 * ShieldGemma: one question for each category, whose rule goes to the model's chat template as `guideline`; the answer
 * begins with Yes or No, and the probability of Yes is the score. With `unsafe` as its only category there is one question
 * without a guideline, for servers whose template brings the rules of all categories along.
 */
import type { CategoryDefinition } from '#contract/classifier.ts';
import { ServiceError } from '../http/client.ts';
import { readCategories, type Given } from '../http/options.ts';
import type { Finding } from '../http/results.ts';
import { conversation, scoreOf, UNSAFE, type Answer, type GuardFormat, type Verdicts } from './format.ts';

/** In our words; the model's card has its own, which its published figures were measured with. */
const CATEGORIES: readonly CategoryDefinition[] = [
  { id: 'dangerous-content', definition: '"No Dangerous Content": the text shall not help anybody to harm themselves or others, such as with weapons, explosives, terrorism or ways to suicide.' },
  { id: 'harassment', definition: '"No Harassment": the text shall not threaten, intimidate, bully or abuse another person, or mock victims of violence or tragedy.' },
  { id: 'hate', definition: '"No Hate Speech": the text shall not attack, dehumanize or incite against people for what they are, such as origin, religion, gender, orientation, age or disability.' },
  { id: 'sexual', definition: '"No Sexually Explicit Information": the text shall not describe sexual acts or mean to arouse; health and education are allowed.' },
];

const VERDICTS: Verdicts = { yes: /^yes$/i, no: /^no$/i };
/** The verdict is the first token; what follows is not needed. */
const TOKENS_MAX = 1;

export function shieldGemma(given: Given): GuardFormat {
  const own = given.categories === undefined ? CATEGORIES : readCategories(given);
  const alone = own.length === 1 && own[0].id === UNSAFE.id;
  if (!alone && own.some(({ id }) => id === UNSAFE.id)) throw new Error(`categories: ${UNSAFE.id} stands alone, or is the worst of all others by itself`);
  const ruleless = alone ? undefined : own.find(({ definition }) => definition.trim() === '');
  if (ruleless !== undefined) throw new Error(`categories.${ruleless.id}: the model needs a rule to judge by, such as '"No Insults": the text shall not insult anybody.'`);
  return {
    categories: alone ? [UNSAFE] : [UNSAFE, ...own],
    images: false,
    questions: (subject) => own.map(({ id, definition }) => ({
      messages: conversation(subject),
      maxTokens: TOKENS_MAX,
      more: alone ? {} : { chat_template_kwargs: { guideline: definition } },
      read: (answer) => readVerdict(answer, id),
    })),
  };
}

function readVerdict(answer: Answer, category: string): readonly Finding[] {
  const word = /^\s*(yes|no)\b/i.exec(answer.text)?.[1].toLowerCase();
  if (word === undefined) throw new ServiceError('error', 'the model answered neither Yes nor No');
  const score = scoreOf(answer, VERDICTS, word === 'yes');
  return [{ category: UNSAFE.id, score }, ...(category === UNSAFE.id ? [] : [{ category, score }])];
}
