/**
 * Who is asked. About a prompt all scored classifiers are, since the log's scores are what other policies are tried on;
 * only those are left out of whose scores nothing but such are left that a rule would have to name, and none does. About
 * an answer, whose every window waits, only those are asked that rules on answers read.
 */
import type { Classifier } from '../contract/classifier.ts';
import type { Policy } from '../contract/policy.ts';
import { askedCategories } from './answer.ts';
import { ENSEMBLE, isMember, type Combination } from './combine.ts';
import type { Ensemble } from './ensemble.ts';
import { reads } from './pattern-sets.ts';

export class Asked {
  /** Not asked about prompts either. */
  readonly unread: ReadonlySet<Classifier>;
  /** `classifier.category` of what nobody is asked for, though the classifier is heard. */
  readonly unreadScores: readonly string[];
  readonly #policy: Policy;
  readonly #ensemble: Ensemble;
  /** Of answers: told once, since every answer needs it. */
  #ofOutput: ReadonlySet<Classifier> | undefined;
  #heardOfOutput: readonly string[] | undefined;
  #unreadScoresOfOutput: readonly string[] | undefined;

  /** The shadow decides on prompts as the policy does, and on answers with what is asked for the policy. */
  constructor(policy: Policy, shadow: Policy | undefined, ensemble: Ensemble) {
    this.#policy = policy;
    this.#ensemble = ensemble;
    const isNamed = (classifier: Classifier): boolean => [policy, shadow].some((one) => one?.rules.some((rule) => rule.enabled && askedCategories(classifier).some(({ id }) => reads(rule.when, classifier.id, id, true))));
    const waitsForName = (classifier: Classifier): boolean => askedCategories(classifier).length > 0 && askedCategories(classifier).every(({ named }) => named === true);
    this.unread = new Set(ensemble.classifiers.filter((classifier) => waitsForName(classifier) && !isNamed(classifier) && !ensemble.combinations.some((combination) => isMember(combination, classifier.id))));
    this.unreadScores = scoresOf(this.unread);
  }

  /** What rules read of a combination, they read of its members. */
  get ofOutput(): ReadonlySet<Classifier> {
    if (this.#ofOutput !== undefined) return this.#ofOutput;
    const isRead = (classifier: Classifier): boolean => askedCategories(classifier).some(({ id, named }) => this.#isReadOfOutput(classifier.id, id, named));
    const combined = this.combinedOfOutput();
    this.#ofOutput = new Set(this.#ensemble.classifiers.filter((classifier) => classifier.contentTypes.includes('text') && (isRead(classifier) || combined.some((combination) => isMember(combination, classifier.id)))));
    return this.#ofOutput;
  }

  /** Combinations that a rule about answers reads. */
  combinedOfOutput(): readonly Combination[] {
    return this.#ensemble.combinations.filter(({ category }) => this.#isReadOfOutput(ENSEMBLE, category));
  }

  /** Of `ids`, those whose silence about an answer means that they found nothing: all with patterns, and those that are asked. */
  heardOfOutput(ids: Iterable<string>): readonly string[] {
    if (this.#heardOfOutput === undefined) {
      const silent = new Set(this.#ensemble.classifiers.filter((classifier) => !hasPatterns(classifier) && !this.ofOutput.has(classifier)).map(({ id }) => id));
      this.#heardOfOutput = [...ids].filter((id) => id !== ENSEMBLE && !silent.has(id));
    }
    return this.#heardOfOutput;
  }

  get unreadScoresOfOutput(): readonly string[] {
    return (this.#unreadScoresOfOutput ??= scoresOf(this.#ensemble.classifiers.filter((classifier) => hasPatterns(classifier) && !this.ofOutput.has(classifier))));
  }

  #isReadOfOutput(classifier: string, category: string, named?: true): boolean {
    return this.#policy.rules.some((rule) => rule.enabled && rule.direction !== 'input' && reads(rule.when, classifier, category, named));
  }
}

const hasPatterns = ({ patterns = [] }: Classifier): boolean => patterns.length > 0;

function scoresOf(classifiers: Iterable<Classifier>): readonly string[] {
  return [...classifiers].flatMap((classifier) => askedCategories(classifier).map(({ id }) => `${classifier.id}.${id}`));
}
