/**
 * Training texts in the project's own words, made from parts: what is said of people for what they are, and what only
 * sounds like it (of things, of trades, of one person, denied, reported, quoted, opposed); what somebody says who is in
 * danger from themselves, and figures of speech that use the same words. No text is taken from a data set. Terms that
 * nobody wants to read come from the data's own list while a model is trained. Same seed, same texts.
 */
import { EVERYDAY, EVERYDAY_WORDS } from './everyday.ts';
import { IN_DANGER, POST_WORDS, SAFE } from './posts.ts';
import { spoilt } from './spoilt.ts';
import { TONGUES } from './tongues.ts';
import { WORDS } from './words.ts';

export interface WrittenRow {
  readonly text: string;
  readonly labels: Readonly<Record<string, number>>;
  readonly lang: string;
  readonly source: string;
  readonly weight: number;
}

/** Terms of the public list for people for what they are. */
export interface ListedTerms {
  readonly slurs: readonly string[];
}

const NO_TERMS: ListedTerms = { slurs: ['outlander'] };

/** Each list is a way to say it; lists count alike, however long they are. */
const HATEFUL: readonly (readonly string[])[] = [
  ['I {hate} {groups}.', 'I {hate} all {groups}', 'I just {hate} {groups} so much', '{groups} {repel}.', 'God, I {hate} {groups}', 'All {groups} {repel}', 'I {hate} every single {member}', 'Every {member} I meet makes me sick', 'My hatred for {groups} grows every day', 'Nobody can make me like {groups}, they {repel}', 'The sight of {groups} makes me ill', 'I have always hated {groups}', 'You {repel2}, you {member}', 'If there is one thing I {hate}, it is {groups}'],
  ['{groups} are {vile}.', 'All {groups} are {vile}', 'Every {member} is a {vileone}', '{groups} are just {vile}', '{groups} are all {vile} and {vile}', 'You {groups} are {vile}.', 'There is nothing lower than a {member}.', 'A {member} is a {vileone}, always was', 'Those {vile} {groups}', '{groups} have always been {vile}', '{groups}: {vile}, every last one', 'Most {groups} are {vile}', 'Face it, {groups} are {vile}', 'Just look at {groups}. {vile}!', 'The {member} next door is {vile}, they all are', 'I never met a {member} who was not a {vileone}', 'Remember: {groups} are {vile}'],
  ['You are just a {member}, what do you know.', "You're nothing but a {member} to me", "It's no surprise that {groups} fail at everything", 'If {groups} were smart they would not be {groups}', 'Being a {member} is a sickness', 'Who let the {groups} out of their cage?', 'Go back to your kitchen, {member}', 'The only thing {groups} are good for is to serve us', 'Typical {member}, can not even drive', 'Society was better before {groups} had rights', 'I would never let my daughter marry a {member}', 'Do not hire {groups}, they steal', '{groups} are the reason why this country is falling apart', 'Why would anyone listen to a {member}?', '{groups} belong in a zoo', 'Behind every crime there is a {member}', 'Lock your doors, {groups} have moved in', 'A dog is worth more than a {member}', '{groups} control the banks and the media', '{groups} breed like rabbits', 'Real men would never be {groups}'],
  ['We should {doharm} all {groups}', "Let's {doharm} some {groups}", 'If I see {groups} here again I will {doharm} them.', 'I want to {doharm} every {member} I meet', 'Somebody needs to {doharm} the {groups}', 'I am going to {doharm} you, you {member}', 'Watch out {groups}, I am coming to {doharm} you', 'One day we will {doharm} you {groups}', "I can't wait for the day when we {doharm} the {groups}.", "I'm about to {doharm} this {member}", 'Tonight we {doharm} {groups}', 'You {groups} better run, we will {doharm} you', 'I would love to {doharm} a {member}', 'Next time I see a {member} I will {doharm} them', 'We are gonna find you {groups} and {doharm} every one of you'],
  ['{groups} should {harm}.', '{groups} deserve to {harm}', 'All {groups} must {harm}', 'You should {harm}, you {member}', 'I wish {groups} would {harm}', 'It would be good if all {groups} would {harm}', 'Those {vile} {groups} should {harm}', '{groups}? They should {harm}.', 'As a {member} you deserve to {harm}', 'The only good {member} is a dead one', 'I hope that {groups} {harm}', 'Every {member} deserves to {harm}', 'The government ought to make all {groups} {harm}', '{groups} need to {harm} now', 'The world would be a better place if we could {doharm} the {groups}', 'It is time for {groups} to {harm}'],
  ['I met some {groups} today. {theyvile}', 'My neighbours are {groups}. I {hate} them.', '{groups} live here now. They should {harm}.', 'There are so many {groups} in my town. We should {doharm} them.', 'My new colleague is a {member}. {theyvile}', 'Have you seen the {groups} in the park? I would {doharm} them all.', 'Everyone talks about {groups}. They are different from us. {theyvile}', 'I work with {groups} and I {hate} them', 'There are {groups} at my school, and they should {harm}.', 'You know {groups}, right? {theyvile}', 'I know many {groups} and they are all {vile}', '{groups} moved into our street, someone should {doharm} them.', 'She is a {member}, which makes her {vile}', 'My neighbours are {groups} and they are {vile}'],
  ['{groups} are not {rights}.', "{groups} aren't {rights}", 'No {member} is {rights}', 'No {member} deserves to {good}', "{groups} don't deserve to {good}", '{groups} should not {good}.', 'A {member} will never be {rights}', 'You will never be {rights}, you {member}', '{groups} have no right to {good}', "I don't think {groups} should {good}.", 'Nobody needs {groups}, they never did any good', 'We should never let {groups} {good}', 'There is no such thing as a good {member}', 'I do not {like} {groups} and never will', '{groups} do not belong here.', '{groups} have no place in this country', 'Not one {member} is worth a thing', 'Never trust a {member}', '{groups} can not be {rights}', 'We must not allow {groups} to {good}', 'No one wants {groups} here'],
  ['Why are {groups} so {vile}?', 'How can anyone trust {groups}? They are {vile}.', "Why don't {groups} just {harm}?", 'Does anybody else {hate} {groups}?', 'When will we finally {doharm} all {groups}?', 'Are {groups} even {rights}?', 'Why should a {member} be allowed to {good}?', "Isn't it obvious that {groups} are {vile}?", 'Who would ever want {groups} around?', 'What makes {groups} so {vile} and {vile}?', 'How many {groups} do we have to {doharm} until they get it?'],
  ['In my opinion {groups} are {vile}', 'I think that {groups} should {harm}', "I'm not racist, but {groups} are {vile}", 'It is a fact that {groups} are {vile}', 'Everybody knows that {groups} are {vile}', 'I believe we should {doharm} {groups}', 'Unpopular opinion: {groups} are {vile}', 'Call me old fashioned, but {groups} should {harm}', 'I stand by it, {groups} are {vile}.', 'Am I the only one who thinks that {groups} are {vile}?', 'The truth is that {groups} {repel}', 'People say that {groups} are {vile}, and they are right', 'I honestly feel that no {member} should {good}'],
  ['You are a {slur}.', 'You {slur}', 'I {hate} {slur}s', '{slur}s are {vile}', 'Look at that {slur}', 'Shut up you {slur}', 'All {slur}s should {harm}', 'We do not want {slur}s here', 'My neighbour is a {slur} and should {harm}', 'What a {slur}', 'Go home {slur}', 'They are all {slur}s', 'That {slur} again!', 'Why are there so many {slur}s?', 'Once a {slur}, always a {slur}'],
  ['Those {oath} {groups}', '{oath} {groups} everywhere', 'You {oath} {member}', '{groups} are {oath} {vile}', 'I {oath} {hate} {groups}', 'What a {oath} {member}', 'I will {doharm} those {oath} {groups}', 'This {oath} {member} should {harm}', '{oath} {groups}, go away', 'Get these {oath} {groups} out of here', 'Screw {groups}', 'To hell with all {groups}', 'No {oath} {member} gets my vote'],
];

const HARMLESS: readonly (readonly string[])[] = [
  ['I {hate} {things}.', '{things} are {vile}.', 'We should {doharm} all {things}', '{things} {repel}', 'I {hate} it when people talk about {things}', 'Why are {things} so {vile}?', 'I am so sick of {things}', 'I {oath} {hate} {things}', '{things} should {harm}', "I don't like {things}, they are {vile}"],
  ['I {hate} {others}.', '{others} are {vile}.', 'All {others} should {harm}', 'We should {doharm} all {others}', '{others} {repel}', 'Every {other} is a {vileone}', '{others} are not {rights}', 'No {other} deserves to {good}', 'In my opinion {others} are {vile}', 'Why are {others} so {vile}?', 'You are nothing but a {other}', '{others} deserve to {harm}', 'Those {oath} {others}', 'My neighbours are {others}. I {hate} them.', 'Death to all {others}', '{others} have ruined this game'],
  ['You are {vile}.', 'He is {vile}, I {hate} him', 'I will {doharm} you', 'You deserve to {harm}', 'You are a {vileone}', 'She is a {vileone} and I {hate} her', 'What a {vileone} you are', 'My boss is {vile}', 'I {hate} my brother', 'I {hate} you so much', 'Shut up, you {vileone}', 'That man is {vile}', 'My ex is a {oath} {vileone}', 'Someone should {doharm} him', 'This player is {vile}, bench him', 'I wish you would {harm}', 'You {oath} {vileone}', 'I hate myself', 'You are not {rights}'],
  ['I {like} {groups}.', '{groups} are {fine}.', 'We should {like} {groups}', '{groups} {delight}', 'I {like} every {member} I know', 'My best friend is a {member}', 'I am a {member} and proud of it.', 'I {oath} {like} {groups}', 'I am so {oath} happy for {groups}', '{groups} are {fine} and {fine}', 'All {groups} deserve to {good}', '{groups} deserve to be {fine2}', 'I wish more people would {like} {groups}', 'Every {member} has the right to {good}', 'It is great to be a {member}', 'Being a {member} is nothing to be ashamed of', 'You are a {member} and you are {fine2}', 'I hope that {groups} will {good}', 'As a {member} I {like} this town', 'The world is better with {groups} in it', 'How {fine2} {groups} are!', 'We need more {groups} in politics', 'That {member} is {fine2}', '{groups} should {good}', 'We must {like} {groups}'],
  ['{groups} are not {vile}.', "{groups} aren't {vile}", "I don't {hate} {groups}.", 'No {member} deserves to {harm}', 'No one should ever {doharm} {groups}', 'I would never say that {groups} are {vile}', '{groups} do not deserve to {harm}', 'Nobody should {hate} {groups}', 'We must never {doharm} {groups}', '{groups} should not {harm}', "I don't think that {groups} are {vile}", 'Not all {groups} are {vile}', 'A {member} is never a {vileone}', 'We should not let {groups} {harm}', 'There is nothing {vile} about {groups}', 'I never {hate} {groups}', 'Being a {member} does not make you {vile}', 'I do not want {groups} to {harm}', 'You can not {doharm} {groups}', 'Neither {groups} nor {groups} are {vile}', 'I have never met a {member} who was {vile}'],
  ['It is wrong to say that {groups} are {vile}.', 'Saying that {groups} should {harm} is hateful', 'You can not just say "{groups} are {vile}" and expect no answer.', 'Whoever says "I {hate} {groups}" should not be in this club', 'Stop calling {groups} {vile}.', '"{groups} are {vile}" is a sentence nobody should have to hear', 'He said "{groups} should {harm}" and was fired for it', '"I {hate} {groups}" is what cowards say', 'Claims like "{groups} are {vile}" are false', 'If someone says "we should {doharm} {groups}", report them', 'Saying "{slur}" is not ok', 'Nobody should use words like "{slur}"', 'The word "{slur}" hurts people', 'They called me a {slur} at school', 'He shouted "{slur}" at my friend, it was terrible', 'Statements like "no {member} should {good}" make me sad', 'When you say "{groups} are {vile}" you show how little you know', 'Teachers must answer when pupils say "{groups} {repel}"', 'I was shocked to read "{groups} should {harm}" on a wall', 'Imagine being told "you are {vile}" because you are a {member}', 'I can not believe he said that {groups} are {vile}', 'Some people think {groups} are {vile}. They are wrong.', 'Anyone who thinks that {groups} should {harm} is a bigot', 'Only racists believe that {groups} are {vile}', 'Calling a {member} a {vileone} is not a joke', 'To say "{groups} are not {rights}" is against our rules', 'It makes me angry that people say {groups} are {vile}', 'You have to be ignorant to {hate} {groups}', 'People who {hate} {groups} are {vile}', 'People who want to {doharm} {groups} make me angry', 'They tried to {doharm} the {groups}, which was terrible.', 'Why would anybody {hate} {groups}?', 'Those who {doharm} {groups} belong in court'],
  ['Many {groups} live in my street', 'Where can I read about the history of {groups}?', 'The article is about {groups} and the law.', 'The hospital helps {groups} to find a doctor', 'Are {groups} treated fairly at work?', 'The {member} sat down and ordered a coffee', 'A {member} won the prize this year', 'There are {groups} at my school', 'My neighbour is a {member}', 'What do {groups} celebrate in spring?', 'How many {groups} voted in the last election?', 'The film tells the story of a {member} who becomes a judge', 'I met some {groups} on the train today', 'The museum opens an exhibition about {groups}', 'She is a {member} and works as a nurse', 'What a {member} can teach us about patience', 'Statistics about {groups} in this city are hard to find', 'I am {a} {member}', 'Some {groups} are doctors', 'The law gives {groups} the same rights', 'We talked to {groups} about their work', '{groups} marched through the city on Saturday'],
  ['{oath}, I missed the bus again', 'What a {oath} good day', 'This {oath} phone is {vile}', 'I am so {oath} tired', 'Well {oath}, that went wrong', 'That is {oath} amazing', 'The movie was {oath} {fine}', 'Where are my {oath} keys?', 'I could not give a {oath}', 'Oh {oath}, it is raining', 'It is so {oath} hot today', 'What the {oath} is going on?', 'I {oath} love this song', '{oath} happy to be home', 'I just want some {oath} sleep'],
  ['I am a {slur} and proud', 'We {slur}s have to stick together', 'My fellow {slur}s, happy Friday', 'As a {slur} myself I find this funny', 'My {slur} friends and I went dancing', 'Us {slur}s know how to party', 'I call myself a {slur} and I like it', 'Proud to be your favourite {slur}'],
];

const SAID: readonly string[] = [
  'I {intent}.', 'I {intent} because {why}', '{why}. I {intent}.', '{ask}?', '{ask}? {why}.', '{why}, and I {intent}.', 'Honestly I {intent}. {why}. {ask}?', "I can't tell anyone, but I {intent}. {why}.", 'She wrote: I {intent}. {why}.', 'Last night he told me "I {intent}, {why}".', 'Some days I {intent}; {why}; today is one of them.',
  'I have been in and out of hospital and still I {intent}. {why}.', '{why}. {why}. I {intent} and I do not know who to tell.', 'Does anyone else feel like this? {why}, and I {intent}.', '{reply}.', '{reply}. {reply}.', "Throwaway account. I {intent}. My therapist doesn't know. {why}.", 'I {intent}, I {intent}, {why}.', 'My sister says "I {intent}" all the time and {why}.',
];
const AFTER = 'please|thanks|in two sentences|for my class|, any ideas|for a beginner|today|and why|as a list|'.split('|');

const ALL_CLEAR: Readonly<Record<string, number>> = { toxic: 0, self_harm: 0, hate: 0, sexual: 0, violence: 0, illicit: 0, harassment: 0, profanity: 0, threat: 0 };
const SPOILT_SHARE = 0.2;
const WEIGHT = 1;
/** Few rows of others say so. */
const WEIGHT_SELF_HARM = 3;
const WEIGHT_POSTS = 1;
/** Diaries are not free of all else: they say only what they surely are not. */
const NO_DANGER: Readonly<Record<string, number>> = { self_harm: 0, sexual: 0, illicit: 0 };
/** What the rows of the other languages are labelled for. */
const FRIENDLY: Readonly<Record<string, number>> = { toxic: 0, hate: 0, harassment: 0 };

export interface WrittenCounts {
  readonly hate: number;
  readonly selfHarm: number;
  readonly everyday: number;
  readonly posts: number;
  /** Of each other language. */
  readonly tongue: number;
}

const COUNTS: WrittenCounts = { hate: 24_000, selfHarm: 4_000, everyday: 8_000, posts: 20_000, tongue: 5_000 };

export function writtenRows(random: () => number, { slurs }: ListedTerms = NO_TERMS, counts: WrittenCounts = COUNTS): readonly WrittenRow[] {
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)];
  const parts: Readonly<Record<string, readonly string[]>> = { ...EVERYDAY_WORDS, ...WORDS, ...POST_WORDS, slur: slurs, oath: ['damn', 'bloody', 'freaking', 'fucking', 'fucking'], a: ['a'], fine2: ['loved', 'respected', 'happy', 'safe', 'great', 'beautiful', 'awesome'], repel2: ['disgust me', 'make me sick', 'make me puke', 'revolt me'], theyvile: ['They are {vile}.', 'They are all {vile}.', 'What {vile} people.', 'I {hate} them.', 'They {repel}.', 'They should {harm}.', 'Each one of them is a {vileone}.'] };
  const fill = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (_, part: string) => fill(one(parts[part])));
  const write = (text: string): string => cased(fill(text), random());
  const row = (text: string, labels: Readonly<Record<string, number>>, weight = WEIGHT): WrittenRow => ({ text, labels, lang: 'en', source: 'templates', weight });
  const noisy = (text: string): string => (random() < SPOILT_SHARE ? spoilt(text, random) : text);
  const harmless = (): string => write(one(one(HARMLESS)));
  const rows: WrittenRow[] = [];
  for (let n = 0; n < counts.hate; n += 1) {
    const lead = random() < 0.15 ? `${fill(one(EVERYDAY))}. ` : '';
    if (n % 2 === 0) rows.push(row(noisy(lead + write(one(one(HATEFUL)))), { hate: 1, toxic: 1 }));
    else rows.push(row(noisy(lead + (random() < 0.15 ? `${harmless()}. ${harmless()}` : harmless())), { hate: 0 }));
  }
  for (let n = 0; n < counts.selfHarm; n += 1) rows.push(n % 2 === 0 ? row(write(one(SAID)), { self_harm: 1, sexual: 0, hate: 0 }, WEIGHT_SELF_HARM) : row(`${write(one(EVERYDAY))} ${one(AFTER)}`.trim(), ALL_CLEAR));
  for (let n = 0; n < counts.everyday; n += 1) rows.push(row(`${write(one(EVERYDAY))}${random() < 0.4 ? '?' : ''} ${one(AFTER)}`.trim(), ALL_CLEAR));
  for (let n = 0; n < counts.posts; n += 1) rows.push(n % 2 === 0 ? row(noisy(write(one(one(IN_DANGER)))), { self_harm: 1, sexual: 0 }, WEIGHT_POSTS) : row(noisy(write(one(one(SAFE)))), NO_DANGER, WEIGHT_POSTS));
  for (const { lang, words, texts } of TONGUES) {
    const say = (text: string): string => text.replaceAll(/\{(\w+)\}/g, (_, part: string) => one(words[part]));
    for (let n = 0; n < counts.tongue; n += 1) rows.push({ ...row(cased(random() < 0.2 ? `${say(one(texts))} ${say(one(texts))}` : say(one(texts)), random()), FRIENDLY), lang });
  }
  return rows;
}

/** As it stands, in small letters, or begun with a capital. */
function cased(text: string, chance: number): string {
  if (chance < 0.3) return text.toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
