/**
 * Answers made from sources: sentences as they stand, shortened, joined; and the same with one thing wrong. What is wrong
 * is known, so these rows also teach what contradicts a source (a number, a name, a denial, an opposite, who did it to
 * whom) apart from what it merely does not say.
 */
import type { PairRow } from '#model/recipe.ts';
import { NUMBER_WORDS, OPPOSITES } from '../lists.ts';

/** Made from one source at most. */
const PER_SOURCE = 4;
const WORDS_MIN = 6;
const WORDS_MAX = 40;

/** A sentence with one thing done to it; undefined where there is nothing to do it to. */
type Change = (sentence: string, others: readonly string[], random: () => number) => string | undefined;

export function writtenPairs(rows: readonly PairRow[], random: () => number): readonly PairRow[] {
  const sources = [...new Set(rows.map(({ context }) => context))];
  return sources.flatMap((context, at) => {
    const sentences = sentencesOf(context);
    const strange = sentencesOf(sources[(at + 1 + Math.floor(random() * (sources.length - 1))) % sources.length]);
    const made: PairRow[] = [];
    for (let turn = 0; turn < PER_SOURCE && sentences.length > 0; turn += 1) {
      const sentence = pick(sentences, random);
      const others = sentences.filter((other) => other !== sentence);
      const [kind, changes] = turn % 2 === 0 ? pick(FAITHFUL, random) : pick(WRONG, random);
      const changed = pick(changes, random)(sentence, kind === 'strange' ? strange : others, random);
      if (changed === undefined || changed === sentence && turn % 2 === 1) continue;
      made.push({ context, text: cased(changed, random), source: `written ${kind}`, labels: LABELS[kind] });
    }
    return made;
  });
}

type Kind = 'faithful' | 'contrary' | 'strange' | 'mixed';

const LABELS: Readonly<Record<Kind, PairRow['labels']>> = {
  faithful: { unsupported: 0, contradicted: 0 }, contrary: { unsupported: 1, contradicted: 1 }, strange: { unsupported: 1, contradicted: 0 }, mixed: { unsupported: 1, contradicted: 0 },
};

/** Small letters throughout, as much of what is summarised by machines is. */
function cased(text: string, random: () => number): string {
  return random() < 0.4 ? text.toLowerCase() : text;
}

const sameSentence: Change = (sentence) => sentence;

const lastClauseLeftOut: Change = (sentence) => {
  const at = sentence.lastIndexOf(', ');
  return at > 30 ? `${sentence.slice(0, at)}.` : undefined;
};

const firstClauseLeftOut: Change = (sentence) => {
  const at = sentence.indexOf(', ');
  return at > 0 && sentence.length - at > 40 ? capitalised(sentence.slice(at + 2)) : undefined;
};

const insertLeftOut: Change = (sentence) => {
  const shorter = sentence.replace(/, [^,]{5,60}, /, ' ').replace(/ \([^)]*\)/, '');
  return shorter === sentence ? undefined : shorter;
};

const qualityLeftOut: Change = (sentence, _, random) => {
  const words = sentence.split(' ');
  const at = places(words, (word) => /^[a-z]{4,}(?:ly|al|ive|ous|ful|ic)$/.test(word));
  if (at.length === 0) return undefined;
  words.splice(pick(at, random), 1);
  return words.join(' ');
};

const endFronted: Change = (sentence) => {
  const found = /^(.{20,}?) ((?:in|on|at|after|before|during|by|from|for|because of|due to) [^,]{3,45})[.!?]["”']?$/.exec(sentence);
  return found === null ? undefined : `${capitalised(found[2])}, ${found[1].slice(0, 1).toLowerCase()}${found[1].slice(1)}.`;
};

const introduced: Change = (sentence, _, random) => `${pick(['According to the text, ', 'Yes, ', 'It says that ', 'The document states that ', 'In short, ', 'Sure! ', 'As the source explains, ', 'Note that '], random)}${sentence}`;

const numberChanged: Change = (sentence, _, random) => {
  const found = [...sentence.matchAll(/\d+(?:[.,]\d+)*/g)];
  if (found.length > 0) {
    const { 0: digits, index } = pick(found, random);
    const value = Number(digits.replaceAll(',', ''));
    const other = Math.max(1, Math.round(value > 1000 && value < 2100 ? value + 1 + random() * 12 : value * pick([0.5, 1.5, 2, 3, 0.8], random)));
    return other === value ? undefined : sentence.slice(0, index) + String(other) + sentence.slice(index + digits.length);
  }
  const words = sentence.split(' ');
  const at = places(words, (word) => NUMBER_WORDS[word.toLowerCase()] !== undefined);
  if (at.length === 0) return undefined;
  words[pick(at, random)] = pick(Object.keys(NUMBER_WORDS).slice(1, 12), random);
  return words.join(' ');
};

const NAME = /(?<!^)(?<![.!?]["”']? )\b\p{Lu}[\p{Ll}\p{L}'-]+(?: \p{Lu}[\p{Ll}\p{L}'-]+)*/gu;

const nameChanged: Change = (sentence, others, random) => {
  const own = [...sentence.matchAll(NAME)];
  const strange = others.flatMap((other) => [...other.matchAll(NAME)].map(([name]) => name)).filter((name) => !sentence.includes(name));
  if (own.length === 0 || strange.length === 0) return undefined;
  const { 0: name, index } = pick(own, random);
  return sentence.slice(0, index) + pick(strange, random) + sentence.slice(index + name.length);
};

const namesSwapped: Change = (sentence, _, random) => {
  const own = [...sentence.matchAll(NAME)];
  if (own.length < 2) return undefined;
  const first = Math.floor(random() * (own.length - 1));
  const [{ 0: one, index: a }, { 0: two, index: b }] = [own[first], own[first + 1]];
  if (one === two) return undefined;
  return sentence.slice(0, a) + two + sentence.slice(a + one.length, b) + one + sentence.slice(b + two.length);
};

const DENIABLE = /\b(is|are|was|were|has|have|had|will|would|can|could|should|must|did|does|do)\b(?! not\b|n['’]t)/g;

const denied: Change = (sentence, _, random) => {
  const without = sentence.replace(/ (?:not|never)\b|n['’]t\b/, '');
  if (without !== sentence) return without;
  const found = [...sentence.matchAll(DENIABLE)];
  if (found.length === 0) return undefined;
  const { 0: verb, index } = pick(found, random);
  return `${sentence.slice(0, index)}${verb} ${pick(['not', 'not', 'never'], random)}${sentence.slice(index + verb.length)}`;
};

const opposite: Change = (sentence, _, random) => {
  const words = sentence.split(' ');
  const at = places(words, (word) => AGAINST.has(word.toLowerCase()));
  if (at.length === 0) return undefined;
  const place = pick(at, random);
  words[place] = pick(AGAINST.get(words[place].toLowerCase())!, random);
  return words.join(' ');
};

const AGAINST = new Map<string, string[]>();
for (const [one, other] of OPPOSITES) {
  AGAINST.set(one, [...(AGAINST.get(one) ?? []), other]);
  AGAINST.set(other, [...(AGAINST.get(other) ?? []), one]);
}

/** Who of one sentence did what is told in another. */
const wronglyJoined: Change = (sentence, others, random) => {
  if (others.length === 0) return undefined;
  const split = (text: string): readonly [string, string] | undefined => {
    const found = [...text.matchAll(/ (?:is|are|was|were|has|have|had|will|would|can|could|said|told|won|made|became|took|played|died|in|on|after|before|because|by)\b /g)].find(({ index }) => index > 4);
    return found === undefined ? undefined : [text.slice(0, found.index), text.slice(found.index)];
  };
  const [one, other] = [split(sentence), split(pick(others, random))];
  return one === undefined || other === undefined ? undefined : one[0] + other[1];
};

const strangeSentence: Change = (_, others, random) => (others.length === 0 ? undefined : pick(others, random));

const strangeEnd: Change = (sentence, others, random) => {
  if (others.length === 0) return undefined;
  const tail = pick(others, random).split(' ').slice(-(3 + Math.floor(random() * 4))).join(' ');
  const words = sentence.replace(/[.!?]["”']?$/, '').split(' ');
  return `${words.slice(0, Math.max(4, Math.ceil(words.length * (0.5 + random() / 2)))).join(' ')} ${tail}`;
};

const detailAdded: Change = (sentence, _, random) => `${sentence.replace(/[.!?]["”']?$/, '')} ${pick(DETAILS, random)}.`;

const DETAILS = [
  'in London', 'in the United States', 'last year', 'for the first time', 'at the age of 31', 'on Monday', 'with two friends', 'after a long illness', 'because of the weather', 'in front of a large crowd', 'for charity', 'to save money', 'during the war',
  'at the end of the season', 'according to police', 'for the second time', 'in a hospital', 'on national television', 'with the help of a neighbour', 'against the advice of doctors', 'since 2012', 'for more than ten years', 'at no extra cost', 'within thirty days',
  'free of charge', 'and won an award for it', 'which made it famous', 'as the first woman', 'despite strong criticism', 'in the north of England', 'at a film festival', 'by accident', 'in a single night', 'with a record number of visitors', 'in the final minute',
];

const OPINIONS = [
  'I love that, my favourite part is the end.', 'I have never been there but I would like to go.', 'Do you like it too? I watch it every weekend.', 'My brother told me about that, he is a big fan.', 'I think they should make another one.',
  'That is so cool, I used to play it when I was a kid.', 'I am not sure, but I heard it costs a lot.', 'Have you ever tried it yourself?', 'It is one of the best in the world, everybody knows that.', 'I did not know that, how interesting.',
  'I wonder why they did it that way.', 'I really enjoy it, especially in summer.', 'My family goes there every year.', 'He is a great guy and very talented.', 'I agree, it was pretty funny.', 'You should buy one, they are cheap these days.',
];

const opinion: Change = (_, __, random) => pick(OPINIONS, random);

const FAITHFUL: readonly (readonly [Kind, readonly Change[]])[] = [['faithful', [sameSentence, lastClauseLeftOut, lastClauseLeftOut, firstClauseLeftOut, insertLeftOut, insertLeftOut, qualityLeftOut, qualityLeftOut, endFronted, endFronted, endFronted, introduced]]];
const WRONG: readonly (readonly [Kind, readonly Change[]])[] = [
  ['contrary', [numberChanged, nameChanged, namesSwapped, denied, opposite]], ['contrary', [numberChanged, nameChanged, namesSwapped, denied, opposite]], ['mixed', [wronglyJoined]], ['mixed', [strangeEnd, detailAdded]], ['strange', [strangeSentence, strangeEnd, opinion]],
];

function sentencesOf(text: string): readonly string[] {
  return text.split(/(?<=[.!?]["”']?)\s*(?=[\p{Lu}"“])|\n+/u).map((one) => one.trim()).filter((one) => {
    const words = one.split(/\s+/).length;
    return words >= WORDS_MIN && words <= WORDS_MAX;
  });
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

function places(words: readonly string[], wanted: (word: string) => boolean): readonly number[] {
  return words.flatMap((word, at) => (wanted(word) ? [at] : []));
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)];
}
