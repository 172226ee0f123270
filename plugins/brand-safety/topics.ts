/**
 * How far a text is from the topics that are allowed. A topic is the words of its examples, each weighed by how few of the
 * topics have it; a word counts in other forms and, less, by words of its kin. No example says all of a topic, so one word
 * that belongs to it goes far; a text without any is off. Small talk is on every topic. Pure.
 */
import { SMALL, KIN_OF, NUMBER, readWords, stemOf } from '../grounding/words.ts';
import { COURTESY, HEDGES } from '../grounding/lists.ts';
import type { Topic } from './options.ts';

/** Words of a text that mean something; with fewer it is small talk. */
const CONTENT_MIN = 2;
const KINDRED = 0.6;
const SOFT = 0.4;
/** The log-odds of off without any word of a topic, what each such word takes away, and what the share of them does. */
const ALONE = 2.4;
const PER_WORD = 2.2;
const PER_SHARE = 4;
/** More words of a topic say no more. */
const WORDS_MAX = 4;

/** What people write about anything. */
const COMMON = new Set([...COURTESY, ...HEDGES, ...`tell explain write give list show need want know find make get good best better bad way ways much many lot time times day days today tomorrow week people person someone thing things work works working
use used using go going come coming look looking say saying said call called take taking put keep try trying start mean means meaning think like new old big small long short different same right left first last next long name names kind type part
place places example examples word words sentence number idea ideas tips steps problem problems issue question questions reason reasons change help possible sure able please recommend suggest suggestion describe compare difference between create
generate summarize summarise translate text article story poem email message letter code function program happen happened happens yesterday tonight now soon year years month months hour hours minute minutes world life man woman child children`.split(/\s+/)].map(stemOf));

interface TopicWords {
  readonly stems: ReadonlyMap<number, number>;
  readonly prefixes: ReadonlySet<number>;
}

export class Topics {
  readonly #topics: readonly TopicWords[];

  constructor(topics: readonly Topic[]) {
    const read = topics.map(({ examples }) => {
      const stems = new Set<number>(), prefixes = new Set<number>();
      for (const example of examples) {
        const words = readWords(example);
        for (let at = 0; at < words.count; at += 1) {
          if (!isContent(words.stems[at], words.kinds[at])) continue;
          stems.add(words.stems[at]);
          if (words.prefixes[at] !== 0) prefixes.add(words.prefixes[at]);
        }
      }
      return { stems, prefixes };
    });
    this.#topics = read.map(({ stems, prefixes }) => ({ prefixes, stems: new Map([...stems].map((stem) => [stem, weightOf(read.filter((other) => other.stems.has(stem)).length, read.length)])) }));
  }

  /** From 0 (on a topic) to 1. */
  offTopic(text: string): number {
    const words = readWords(text);
    const content = new Map<number, number>();
    for (let at = 0; at < words.count; at += 1) if (isContent(words.stems[at], words.kinds[at])) content.set(words.stems[at], words.prefixes[at]);
    if (content.size < CONTENT_MIN) return 0;
    let least = Infinity;
    for (const topic of this.#topics) {
      let found = 0;
      for (const [stem, prefix] of content) found += worthOf(topic, stem, prefix);
      least = Math.min(least, ALONE - PER_WORD * Math.min(WORDS_MAX, found) - (PER_SHARE * found) / content.size);
    }
    return 1 / (1 + Math.exp(-least));
  }
}

function isContent(stem: number, kinds: number): boolean {
  return (kinds & (SMALL | NUMBER)) === 0 && !COMMON.has(stem);
}

/** A word of every topic still tells it from all else. */
function weightOf(having: number, topics: number): number {
  return topics === 1 ? 1 : 1 - 0.4 * ((having - 1) / (topics - 1));
}

function worthOf({ stems, prefixes }: TopicWords, stem: number, prefix: number): number {
  const own = stems.get(stem);
  if (own !== undefined) return own;
  if (KIN_OF.get(stem)?.some((kin) => stems.has(kin)) === true) return KINDRED;
  return prefix !== 0 && prefixes.has(prefix) ? SOFT : 0;
}
