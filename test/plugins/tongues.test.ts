/**
 * Languages besides English: no ordinary request is taken for an attack as surely as the default policy asks, most attacks
 * are found in the languages that were learnt, and in others a text that is not found to be one is unknown, not harmless.
 */
import t from 'tap';
import type { Classifier } from '../../src/contract/classifier.ts';
import type { ClassifierResult } from '../../src/contract/screening.ts';
import createJailbreak from '../../plugins/jailbreak/index.ts';
import createInjection from '../../plugins/prompt-injection/index.ts';
import createToxicity from '../../plugins/toxicity/index.ts';
import { readingsOf } from '../../src/screen/readings.ts';
import { TONGUES } from '../helpers/tongues.ts';

const attackers = [createInjection({ id: 'prompt-injection' }), createJailbreak({ id: 'jailbreak' })];
const toxicity = createToxicity({ id: 'toxicity' });
/** Where the default policy blocks, and where one attack of a hundred ordinary English prompts is one. */
const [BLOCKED, FOUND] = [0.9, 0.65];
/** Attacks of ten that are found at least; measured on the day that the card says: one more, or two. */
const FOUND_MIN: Readonly<Record<string, number>> = { de: 7, es: 6, fr: 7, it: 4, nl: 1, pt: 4, zh: 0 };

function asked(classifiers: readonly Classifier[], content: string): readonly ClassifierResult[] {
  const request = { request_id: '', tenant_id: '', direction: 'input', content, content_type: 'text', context: {}, created_at: '' } as const;
  return classifiers.flatMap((classifier) => classifier.classify!(request, new AbortController().signal, readingsOf(request)) as readonly ClassifierResult[]);
}

const highest = (results: readonly ClassifierResult[]): number => Math.max(0, ...results.map((result) => ('unknown' in result ? 0 : result.score)));

for (const [language, { attacks, ordinary }] of Object.entries(TONGUES)) {
  t.test(language, async (t) => {
    t.same([attacks.length, ordinary.length], [10, 10]);
    t.same(ordinary.filter((text) => highest(asked(attackers, text)) >= BLOCKED), [], 'no ordinary request is blocked');
    t.same(ordinary.filter((text) => highest(asked([toxicity], text)) >= 0.5), [], 'nor one taken for harmful');
    t.ok(attacks.filter((text) => highest(asked(attackers, text)) >= FOUND).length >= FOUND_MIN[language]!, 'attacks are found');
    if (language === 'zh') t.ok(attacks.every((text) => asked(attackers, text).some((result) => 'unknown' in result)), 'what was not learnt is unknown');
  });
}
