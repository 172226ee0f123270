/**
 * The voice of an assistant: rude, aggressive, condescending, or far too casual. By turns of phrase, each with a weight,
 * that speak to the reader; words about others ("the film's rude host") do not count. English. Pure.
 */
import { readWords } from '../grounding/words.ts';
import type { Span } from '#contract/screening.ts';

interface Turn {
  readonly pattern: RegExp;
  /** How sure one of them makes it. */
  readonly weight: number;
}

const FOOL = '(?:idiot|moron|fool|loser|dummy|imbecile|clown|joke|disgrace|waste of (?:time|space))';
const DULL = '(?:stupid|dumb|dense|slow|clueless|ignorant|lazy|pathetic|hopeless|useless|incompetent|ridiculous|helpless|naive|annoying|worthless|thick|foolish|gullible)';
const VERY = '(?:so|really|too|very|just|that|quite|truly|simply|incredibly|beyond|clearly|obviously)';

const TURNS: readonly Turn[] = ([
  // Rude.
  [`\\b(?:you(?:['’]re| are| must be| sound| look| seem)) (?:${VERY} )*(?:such )?(?:an? )?(?:(?:${VERY}|complete|total|absolute|real) )*(?:${DULL}|${FOOL})\\b`, 0.95],
  [`\\b(?:your|that['’]?s? (?:is )?an?|such an?|what an?) (?:${VERY} )?(?:${DULL}) (?:question|idea|request|mistake|attempt|remark|thing to (?:say|ask))`, 0.9],
  [`\\bshut (?:up|it)\\b|\\bget lost\\b|\\bgo away\\b(?! (?:on|for|by|after|with|over|if|when))|\\bbuzz off\\b|\\bscrew you\\b|\\bbite me\\b|\\bdrop dead\\b|\\bget out of my (?:face|sight)`, 0.9],
  [`\\b(?:stop|quit) (?:wasting my time|bothering me|bugging me|whining|complaining|asking me)\\b|\\byou(?:['’]re| are) wasting my time\\b|\\bleave me alone\\b`, 0.9],
  [`\\b(?:i|we) (?:really |honestly |just )?(?:don['’]t|do not|couldn['’]t|could not) (?:really )?care (?:about (?:your|you)|what you|if you|less|whether you|how you)`, 0.85],
  [`\\bthat(?:['’]s| is) (?:not my|your own|your) (?:problem|fault)\\b|\\bnot my problem\\b|\\bdeal with it\\b|\\bfigure it out (?:yourself|on your own)\\b|(?:^|[.!?]\\s)(?:so |just |please |then )?do it yourself[.!]|\\bgoogle it(?: yourself)?\\b|\\blook it up yourself\\b`, 0.8],
  [`\\bwhat(?:['’]s| is) (?:wrong|the matter) with you\\b|\\bwhat do you want (?:now|this time)\\b|\\bare you (?:kidding|serious|blind|deaf|dense|stupid|dumb|even (?:listening|reading|trying))\\b|\\bdo you (?:even|actually) (?:read|listen|think)\\b`, 0.85],
  [`\\b(?:nobody|no one) (?:asked (?:you|for your)|cares(?: about (?:you|your)| what you)?)\\b|\\bwho cares\\b|\\bget over (?:it|yourself)\\b|\\bcry me a river\\b|(?:^|[.!?]\\s)(?:oh,? |just )?grow up[.!]`, 0.75],
  // Aggressive.
  [`\\byou(?:['’]ll| will) (?:regret|be sorry|pay for)\\b|\\bdon['’]?t you dare\\b|\\bor else\\b[.!]|\\bi(?:['’]m| am) (?:warning you|sick of you|tired of (?:you|your)|done with you|fed up with (?:you|your))|\\bi(?:['’]ve| have) had enough of you|\\bhow dare you\\b|\\blast warning\\b`, 0.85],
  [`\\b(?:you (?:better|had better)) (?:not|listen|stop|watch)|\\bwatch your (?:mouth|tone)\\b|\\bread it again\\b[,.!]? (?:slowly|carefully this time)|\\bsick and tired of\\b`, 0.6],
  // Condescending.
  [`\\bas (?:i|we)(?:['’]ve| have)? (?:already|just|clearly|previously) (?:said|told you|explained|mentioned a hundred)|\\bi(?:['’]ve| have)? already (?:told|explained) (?:you|this|that|it)(?: to you)?\\b|\\bhow many times (?:do|must|have) i\\b|\\bdo i (?:really )?(?:have|need) to (?:explain|spell|repeat)|\\bmust i repeat\\b`, 0.75],
  [`\\b(?:even|maybe|perhaps|surely) (?:you|someone like you|a person like you|people like you) (?:can|could|should|would|will|must|ought)|\\beven a (?:child|toddler|five[- ]year[- ]old|monkey|beginner) (?:can|could|knows|would|understands)|\\b(?:any|every) (?:child|kid|idiot|fool) (?:can|could|knows|would)|\\bpeople like you\\b|\\bsomeone like you\\b`, 0.8],
  [`\\b(?:let me|i(?:['’]ll| will)) (?:dumb (?:it|this|that) down|use (?:small|simple|short) words|spell it out for you|say (?:it|this) (?:slowly|again)|try to make this simple enough)|\\bin words (?:even )?you(?: can| might| will)|\\btry to keep up\\b|\\bif (?:you|that['’]s) (?:can manage|too (?:hard|difficult|complicated) for you|had (?:bothered|paid attention|read|listened))`, 0.85],
  [`\\b(?:it|this|that)(?:['’]s| is) (?:really )?not (?:that|so) (?:hard|difficult|complicated)\\b(?! to (?:see|learn|make|find))|\\bit(?:['’]s| is) not rocket science\\b|\\bhow (?:can|could) you not (?:know|understand|see)|\\byou (?:clearly|obviously) (?:do(?:n['’]t| not)|did(?:n['’]t| not)|have(?:n['’]t| not)|can(?:['’]t|not)|lack|know nothing|misunderst)|\\bcommon sense\\b[.!]|\\bbless your heart\\b|\\byou should(?: really)? know (?:this|that|better)(?: by now)?\\b|\\bi (?:doubt|hardly think) you(?:['’]d| would|['’]ll| will| could| can)? (?:understand|manage|be able)`, 0.7],
  [`\\b(?:oh )?sweetie\\b|\\bhoney\\b, |\\blisten,? (?:buddy|pal|kid|lady|mate|here)\\b|, (?:buddy|pal|kiddo|genius|einstein|sherlock|princess|sweetheart)[.!?]|\\b(?:nice|good) try, (?:buddy|pal|genius)|\\bcongratulations,? (?:genius|you (?:managed|finally))|\\bslow clap\\b|\\bduh\\b|\\bwell,? obviously\\b|\\bwow,? (?:just )?wow\\b|\\bgood luck with that\\b|\\bwhatever[.!]|\\byawn\\b`, 0.65],
] as const).map(([source, weight]) => ({ pattern: new RegExp(source, 'gi'), weight }));

/** Words of a chat among friends; one says little, several in a short text much. */
const SLANG = /\b(?:lol|lmao|lmfao|rofl|omg|omfg|wtf|bruh|bro|dude|dudes|yo|sup|gonna|wanna|gotta|kinda|sorta|dunno|lemme|gimme|nah|yeah|yep|yup|nope|ain['’]t|y['’]all|ur|u|r|thx|pls|plz|idk|tbh|imo|imho|btw|brb|fr|ngl|smh|af|lit|legit|fam|homie|chill|dope|sick|meh|ugh|whoa|woah|hella|totes|cuz|coz|tho|nothin['’]?|somethin['’]?|fuckin\w*|damn|hell|crap|freaking|freakin['’]?|bucks|guys|cool cool)\b/gi;
const EMOJI = /\p{Extended_Pictographic}/gu;
const SHOUT = /[!?]{3,}|\b[A-Z]{4,}(?:[ ,]+[A-Z]{3,}){2,}/g;
const SLANG_WEIGHT = 5;
const EMOJI_WEIGHT = 2.5;
const SHOUT_WEIGHT = 4;
/** Added to the words of a text before shares are taken, and the share from which it is casual beyond doubt. */
const WORDS_MORE = 12;
const CASUAL_MAX = 0.85;

export interface Tone {
  readonly score: number;
  readonly spans: readonly Span[];
}

/** Turns of one text that are told. */
const SPANS_MAX = 50;

export function toneOf(text: string): Tone {
  let kind = 1;
  const spans: Span[] = [];
  for (const { pattern, weight } of TURNS) {
    for (const { index, 0: found } of text.matchAll(pattern)) {
      kind *= 1 - weight;
      if (spans.length < SPANS_MAX) spans.push({ start: index, end: index + found.length });
    }
  }
  const casual = Math.min(CASUAL_MAX, (SLANG_WEIGHT * count(text, SLANG) + EMOJI_WEIGHT * count(text, EMOJI) + SHOUT_WEIGHT * count(text, SHOUT)) / (readWords(text).count + WORDS_MORE) / 2);
  return { score: Math.max(1 - kind, casual), spans: spans.sort((a, b) => a.start - b.start || a.end - b.end) };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
