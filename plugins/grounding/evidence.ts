/**
 * How far sources bear out one sentence: some dozens of numbers, from word overlap to what is turned around. What they are
 * worth together the model has learnt (src/model/pairs.ts). Linear in the sentence, but for the places of its words in
 * the sources, which are bounded. Pure.
 */
import { COURTESY } from './lists.ts';
import { PLACES_MAX, type Sources } from './sources.ts';
import { CAPITAL, FIRST, HEDGE, KIN_OF, NEGATION, NUMBER, OPPOSITES_OF, readWords, SECOND, SMALL, stemOf, THIRD, type Words } from './words.ts';

/** How rare a word is, by its stem: from 0 for the commonest to 1. */
export type Rarity = (stem: number) => number;

export const EVIDENCE = [
  'words', 'content', 'contentShare', 'sourceWords', 'sourceSentences',
  'covered', 'covered2', 'covered3', 'covered5', 'density', 'longest', 'longestShare', 'fragments',
  'support', 'supportRare', 'unsupported', 'unsupportedShare', 'unsupportedRarest', 'unsupportedRare', 'softShare', 'kinShare',
  'firstSupport', 'lastSupport', 'unsupportedRun',
  'best', 'bestTwo', 'bestNext', 'bestGain', 'bestContent',
  'pairsNear', 'pairsClose', 'pairsSentence', 'pairsTurned', 'pairsLost',
  'numbers', 'numbersLost', 'numbersMoved', 'capitals', 'capitalsLost', 'names', 'namesShare', 'namesApart',
  'negations', 'negationAdded', 'negationDropped', 'opposites',
  'inverted', 'skipped', 'skippedNegation', 'aligned', 'headAligned', 'tailAligned',
  'repeated', 'hedges', 'first', 'second', 'third', 'question', 'exclamation', 'yesNo',
] as const;

export type Evidence = (typeof EVIDENCE)[number];

const AT = Object.fromEntries(EVIDENCE.map((name, at) => [name, at])) as Readonly<Record<Evidence, number>>;
const COURTEOUS = new Set(COURTESY.map(stemOf));
const YES_NO = new Set(['yes', 'no', 'yeah', 'yep', 'nope', 'correct'].map(stemOf));
/** What a match of another form of a word, or of a word of its kin, is worth. */
const SOFT = 0.5;
const KINDRED = 0.7;
/** Words between two that belong together. */
const NEAR = 4;
const CLOSE = 12;

/** A sentence, and where its words first stand in the sources. */
interface Claim {
  readonly words: Words;
  /** By word: its first place in the sources, or -1. */
  readonly firsts: Int32Array;
  /** The words that are not small. */
  readonly content: readonly number[];
}

/** The numbers in the order of `EVIDENCE`; undefined for a sentence that claims nothing. */
export function evidenceOf(sentence: string, sources: Sources, rarity: Rarity): Float64Array | undefined {
  if (DENIAL.test(sentence) && ABSENCE.test(sentence)) return undefined;
  const said = withoutLead(sentence);
  const words = readWords(said);
  if (isTalk(words)) return undefined;
  const found = new Float64Array(EVIDENCE.length);
  const set = (name: Evidence, value: number): void => { found[AT[name]] = value; };
  const { count, stems, kinds } = words;
  const firsts = new Int32Array(count);
  const content: number[] = [];
  for (let at = 0; at < count; at += 1) {
    firsts[at] = sources.first(stems[at]);
    if ((kinds[at] & SMALL) === 0) content.push(at);
  }
  const claim: Claim = { words, firsts, content };
  set('words', Math.log2(1 + count));
  set('content', Math.log2(1 + content.length));
  set('contentShare', content.length / count);
  set('sourceWords', Math.log2(1 + sources.words.count));
  set('sourceSentences', Math.log2(1 + sources.words.sentenceCount));
  weighRuns(claim, sources, set);
  const rarities = Float64Array.from(content, (at) => rarity(stems[at]));
  weighSupport(claim, rarities, sources, set);
  const best = weighSentences(claim, rarities, sources, set);
  weighPairs(claim, sources, set);
  weighNamesAndNumbers(claim, sources, best, set);
  weighDenials(claim, sources, best, set);
  weighOrder(claim, sources, best, set);
  weighManner(words, said, set);
  return found;
}

/** Says that the sources do not say it: nothing that they could bear out. */
const DENIAL = /not|n['’]t|unable/i;
const ABSENCE = /\b(?:(?:(?:do|did|could|can)(?: not|n['’]t)|cannot|unable to|not able to) (?:have|find|see|locate|provide|access) (?:\w+ ){0,3}(?:information|details?|data|mention|answer|reference|documents?|sources?|context)\b|(?:sources?|documents?|text|context|passages?|articles?|information|manual|page|provided \w+) (?:do|does|did)(?: not|n['’]t) (?:mention|say|state|specify|contain|include|provide|cover|give|address|indicate|tell|list)\b|(?:is|are) not (?:mentioned|specified|stated|covered|given|provided|included|addressed) (?:in|by) the\b)/i;

/** "Yes, …", "Based on the information provided, …": what stands before the claim. */
function withoutLead(sentence: string): string {
  const at = sentence.search(/[,:!]\s/);
  if (at < 3 || at > LEAD_CHARS_MAX || !isTalk(readWords(sentence.slice(0, at)))) return sentence;
  const rest = sentence.slice(at + 1);
  return LETTER.test(rest) ? rest : sentence;
}

const LEAD_CHARS_MAX = 80;
const LETTER = /\p{L}/u;

type Put = (name: Evidence, value: number) => void;

function isTalk({ count, stems, kinds }: Words): boolean {
  for (let at = 0; at < count; at += 1) if (!COURTEOUS.has(stems[at]) || (kinds[at] & NUMBER) !== 0) return false;
  return true;
}

/** Runs of words that stand in the sources as they stand here. */
function weighRuns({ firsts }: Claim, sources: Sources, set: Put): void {
  const { length: count } = firsts;
  const runs = sources.runsOf(firsts);
  let covered = 0, covered2 = 0, covered3 = 0, covered5 = 0, squares = 0, longest = 0, fragments = 0;
  for (let at = 0; at < count;) {
    const run = runs[at];
    if (run === 0) { at += 1; continue; }
    fragments += 1;
    covered += run;
    if (run >= 2) covered2 += run;
    if (run >= 3) covered3 += run;
    if (run >= 5) covered5 += run;
    squares += run * run;
    longest = Math.max(longest, run);
    at += run;
  }
  set('covered', covered / count);
  set('covered2', covered2 / count);
  set('covered3', covered3 / count);
  set('covered5', covered5 / count);
  set('density', Math.log2(1 + squares / count));
  set('longest', Math.log2(1 + longest));
  set('longestShare', longest / count);
  set('fragments', fragments / count);
}

/** For each content word what bears it out: 1 its stem, less its kin or its beginning, 0 nothing. */
function weighSupport({ words: { stems, prefixes }, firsts, content }: Claim, rarities: Float64Array, sources: Sources, set: Put): void {
  const supports = content.map((at): number => {
    if (firsts[at] >= 0) return 1;
    if (KIN_OF.get(stems[at])?.some((kin) => sources.first(kin) >= 0) === true) return KINDRED;
    return sources.hasPrefix(prefixes[at]) ? SOFT : 0;
  });
  let rareAll = 0, rareFound = 0, rarest = 0, rareLost = 0, lost = 0, run = 0, longestRun = 0, soft = 0, kin = 0;
  for (let place = 0; place < content.length; place += 1) {
    const rare = rarities[place];
    rareAll += rare;
    rareFound += rare * supports[place];
    if (supports[place] === SOFT) soft += 1;
    if (supports[place] === KINDRED) kin += 1;
    run = supports[place] === 0 ? run + 1 : 0;
    longestRun = Math.max(longestRun, run);
    if (supports[place] > 0) continue;
    lost += 1;
    rareLost += rare;
    rarest = Math.max(rarest, rare);
  }
  const count = Math.max(1, content.length);
  set('support', supports.reduce<number>((sum, one) => sum + one, 0) / count);
  set('supportRare', rareAll === 0 ? 1 : rareFound / rareAll);
  set('unsupported', lost);
  set('unsupportedShare', lost / count);
  set('unsupportedRarest', rarest);
  set('unsupportedRare', rareLost);
  set('softShare', soft / count);
  set('kinShare', kin / count);
  set('firstSupport', supports[0] ?? 1);
  set('lastSupport', supports.at(-1) ?? 1);
  set('unsupportedRun', longestRun);
}

/** The sentences of the sources that say most of it: their number, or -1. */
interface Best {
  readonly one: number;
  readonly two: number;
}

function weighSentences({ firsts, content }: Claim, rarities: Float64Array, sources: Sources, set: Put): Best {
  const own = Int32Array.from(content, (at) => firsts[at]);
  const weights = rarities.map((rare) => COMMON + rare);
  let all = 0;
  for (const weight of weights) all += weight;
  const { sentence: one, sum: most, beside } = sources.best(own, weights);
  if (one < 0) return { one, two: -1 };
  const { sentence: two, sum: more } = sources.best(own, weights.map((weight, order) => (sources.standsIn(own[order], one) ? 0 : weight)));
  set('best', most / all);
  set('bestTwo', Math.min(1, (most + more) / all));
  set('bestGain', more / all);
  set('bestNext', Math.min(1, (most + beside) / all));
  set('bestContent', Math.min(3, content.length / Math.max(1, sources.content[one])));
  return { one, two };
}

/** What the commonest word weighs. */
const COMMON = 0.1;

/** Neighbours here: are they neighbours there, and in the same order? */
function weighPairs({ firsts, content }: Claim, sources: Sources, set: Put): void {
  const { sentences } = sources.words;
  let near = 0, close = 0, together = 0, turned = 0, lost = 0;
  for (let order = 1; order < content.length; order += 1) {
    let left = firsts[content[order - 1]], right = firsts[content[order]];
    if (left < 0 || right < 0) { lost += 1; continue; }
    let least = Infinity, isTogether = false;
    for (let steps = 0; left >= 0 && right >= 0 && steps < PLACES_MAX; steps += 1) {
      const gap = right - left;
      if (Math.abs(gap) < Math.abs(least) && gap !== 0) least = gap;
      if (sentences[left] === sentences[right]) isTogether = true;
      if (gap > 0) left = sources.next(left);
      else right = sources.next(right);
    }
    if (least > 0 && least <= NEAR) near += 1;
    if (Math.abs(least) <= CLOSE) close += 1;
    if (least < 0 && least >= -CLOSE) turned += 1;
    if (isTogether) together += 1;
  }
  const count = Math.max(1, content.length - 1);
  set('pairsNear', near / count);
  set('pairsClose', close / count);
  set('pairsSentence', together / count);
  set('pairsTurned', turned / count);
  set('pairsLost', lost / count);
}

function weighNamesAndNumbers({ words: { count, stems, kinds }, firsts }: Claim, sources: Sources, { one, two }: Best, set: Put): void {
  const isInBest = (first: number): boolean => one >= 0 && (sources.standsIn(first, one) || (two >= 0 && sources.standsIn(first, two)));
  let numbers = 0, numbersLost = 0, numbersMoved = 0, capitals = 0, capitalsLost = 0, names = 0, apart = 0;
  for (let at = 0; at < count; at += 1) {
    const isThere = firsts[at] >= 0;
    if ((kinds[at] & NUMBER) !== 0) {
      numbers += 1;
      if (!isThere) numbersLost += 1;
      else if (!isInBest(firsts[at])) numbersMoved += 1;
    } else if ((kinds[at] & CAPITAL) !== 0) {
      capitals += 1;
      if (!isThere) capitalsLost += 1;
    }
    if ((kinds[at] & SMALL) === 0 && sources.isName(stems[at])) {
      names += 1;
      if (!isInBest(firsts[at])) apart += 1;
    }
  }
  set('numbers', numbers);
  set('numbersLost', numbersLost);
  set('numbersMoved', numbersMoved);
  set('capitals', capitals);
  set('capitalsLost', capitalsLost);
  set('names', names);
  set('namesShare', names / count);
  set('namesApart', names === 0 ? 0 : apart / names);
}

/** What one of both denies and the other does not, and words whose opposite stands there. */
function weighDenials({ words: { count, stems, kinds }, firsts }: Claim, sources: Sources, { one }: Best, set: Put): void {
  let here = 0, opposites = 0;
  for (let at = 0; at < count; at += 1) if ((kinds[at] & NEGATION) !== 0) here += 1;
  set('negations', here);
  if (one < 0) return;
  const there = sources.negations[one];
  for (let at = 0; at < count; at += 1) {
    const against = OPPOSITES_OF.get(stems[at]);
    if (against !== undefined && !sources.standsIn(firsts[at], one) && against.some((stem) => sources.standsIn(sources.first(stem), one))) opposites += 1;
  }
  set('negationAdded', here > 0 && there === 0 ? 1 : 0);
  set('negationDropped', here === 0 && there > 0 ? 1 : 0);
  set('opposites', opposites);
}

/** The content words in the best sentence, each at its place nearest behind the one before: what is out of order, what was left out. */
function weighOrder({ words: { stems, kinds }, content }: Claim, { words, sentenceFrom }: Sources, { one }: Best, set: Put): void {
  if (one < 0) return;
  const [from, to] = [sentenceFrom[one], sentenceFrom[one + 1]];
  const places: number[] = [];
  const found = new Set<number>();
  let last = from - 1;
  for (const at of content) {
    let behind = -1, any = -1;
    for (let place = from; place < to; place += 1) {
      if (words.stems[place] !== stems[at]) continue;
      any = place;
      if (place > last) { behind = place; break; }
    }
    if (any < 0) continue;
    last = behind >= 0 ? behind : any;
    places.push(last);
    found.add(at);
  }
  let inverted = 0, skipped = 0, denied = 0;
  for (let order = 1; order < places.length; order += 1) {
    if (places[order] < places[order - 1]) inverted += 1;
    for (let place = places[order - 1] + 1; place < places[order]; place += 1) {
      if ((words.kinds[place] & SMALL) === 0) skipped += 1;
      if ((words.kinds[place] & NEGATION) !== 0) denied += 1;
    }
  }
  const saysNo = kinds.some((kind) => (kind & NEGATION) !== 0);
  set('inverted', inverted / Math.max(1, places.length - 1));
  set('skipped', skipped / Math.max(1, places.length));
  set('skippedNegation', saysNo ? 0 : denied);
  set('aligned', places.length / Math.max(1, content.length));
  const share = (part: readonly number[]): number => part.reduce((sum, at) => sum + (found.has(at) ? 1 : 0), 0) / Math.max(1, part.length);
  set('headAligned', share(content.slice(0, 3)));
  set('tailAligned', share(content.slice(-3)));
}

function weighManner({ count, stems, kinds }: Words, sentence: string, set: Put): void {
  let hedges = 0, first = 0, second = 0, third = 0;
  const pairs = new Set<number>();
  for (let at = 0; at < count; at += 1) {
    const kind = kinds[at];
    if ((kind & HEDGE) !== 0) hedges += 1;
    if ((kind & FIRST) !== 0) first += 1;
    if ((kind & SECOND) !== 0) second += 1;
    if ((kind & THIRD) !== 0) third += 1;
    if (at > 0) pairs.add(Math.imul(stems[at - 1], 31) ^ stems[at]);
  }
  set('repeated', Math.max(0, count - 1 - pairs.size) / count);
  set('hedges', hedges);
  set('first', first / count);
  set('second', second / count);
  set('third', third / count);
  set('question', sentence.includes('?') ? 1 : 0);
  set('exclamation', sentence.includes('!') ? 1 : 0);
  set('yesNo', YES_NO.has(stems[0]) ? 1 : 0);
}
