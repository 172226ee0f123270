/**
 * The prompt-injection classifier: instructions that take over a model (injection), those that stand in what it is given
 * to read (indirect), and requests for its prompt (prompt_leak), from one small linear model that is shipped with it
 * (MODEL_CARD.md says what it is worth). Reads the text and its views. No download, no network, no spans. It does not
 * know who wrote a text: rules that should hold for results of tools only ask for the role.
 */
import type { CreateClassifier, GivenModels } from '#contract/classifier.ts';
import { attackReader, attackResult, type AttackKind } from './reading.ts';

const CATEGORIES: readonly { readonly id: Exclude<AttackKind, 'jailbreak'>; readonly definition: string }[] = [
  { id: 'injection', definition: 'tells the model to drop or replace its instructions, or forges a role or delimiter' },
  { id: 'indirect', definition: 'speaks to the model from within a document, a web page, code or the result of a tool' },
  { id: 'prompt_leak', definition: 'asks for the system prompt, hidden instructions or the context' },
];

/** What the host may give in place of what is shipped. */
export const models = ['prompt-injection'] as const;

const createPromptInjection: CreateClassifier = ({ id, models: given, ...options }) => {
  const [unknown] = Object.keys(options);
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; this classifier has none`);
  const reader = attackReader((given as GivenModels | undefined)?.['prompt-injection']);
  return {
    id,
    version: reader.version,
    categories: CATEGORIES,
    directions: ['input', 'output'],
    contentTypes: ['text'],
    // It says itself what it cannot read: an attack in English within a text in another language is an attack.
    languages: ['*'],
    cost: 'fast',
    needsContext: false,
    idempotent: true,

    classify({ content }, _signal, readings) {
      const { scores, foreign } = reader.read(content, readings);
      return CATEGORIES.map(({ id: category }) => attackResult(id, category, scores[category], foreign));
    },
  };
};

export default createPromptInjection;
