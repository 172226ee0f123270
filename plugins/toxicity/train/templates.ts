/**
 * Training texts in the project's own words, made from parts: what is said of people for what they are, and what only
 * sounds like it (of things, of opinions, denied, reported, opposed); what somebody says who is in danger from
 * themselves, and figures of speech that use the same words. No text is taken from a data set. Same seed, same texts.
 */

export interface WrittenRow {
  readonly text: string;
  readonly labels: Readonly<Record<string, number>>;
  readonly lang: 'en';
  readonly source: 'templates';
  readonly weight: number;
}

const GROUPS = 'women|Muslims|Jews|gay people|lesbians|immigrants|disabled people|black people|trans people|Asians|refugees|migrants|foreigners|Arabs|Africans|Latinos|Christians|Hindus|Chinese people|Indians|old people|gays|the disabled|homosexuals|Mexicans|transgender people|autistic people|Buddhists|brown people|people with Down syndrome'.split('|');
const MEMBERS = 'woman|Muslim|Jew|gay man|lesbian|immigrant|disabled person|black man|trans woman|Asian|refugee|migrant|foreigner|Arab|Mexican|Indian'.split('|');
const OTHERS = 'spiders|Mondays|traffic jams|bankers|politicians|landlords|cold coffee|football fans|lawyers|capitalists|communists|vegans|mosquitoes|weeds|parking tickets|tax forms|slow computers|artists|tourists|cyclists|wasps|pop songs|long meetings|spoilers'.split('|');
const VILE = 'disgusting|vermin|a disease|animals|subhuman|filth|parasites|not human|inferior|worthless|scum|evil|a plague|a cancer|trash|criminals|stupid|dangerous|liars|primitive|lazy|garbage|savages|rats|an abomination|mentally ill|thieves|less than us|a threat to all of us|terrorists'.split('|');
const HARM = 'die|be killed|suffer|be locked up|be shot|be deported|disappear|be wiped out|be beaten|be banned from this country|lose their rights|be kept away from our children|burn|be removed|never be trusted|get hit'.split('|');
const DO_HARM = 'kill|attack|hurt|get rid of|wipe out|beat up|throw out|deport|shoot|exterminate|punish|burn|hunt down|lock up|hang|stab'.split('|');
const HATE = "hate|can't stand|despise|detest|loathe|am disgusted by|am sick of|have no respect for|want nothing to do with|really hate".split('|');
const LIKE = 'love|respect|admire|support|welcome|enjoy meeting|stand with|learn from|am proud of|care about'.split('|');
const FINE = 'wonderful|as good as anyone|welcome here|my friends|equal to everyone|great neighbours|part of this town|beautiful|strong|amazing|like you and me|worthy of respect|human beings'.split('|');

const HATEFUL: readonly string[] = [
  'I {hate} {groups}.', 'I {hate} all {groups}', '{groups} are {vile}.', 'All {groups} are {vile}', '{groups} should {harm}.', '{groups} deserve to {harm}', 'We should {doharm} all {groups}.', "Let's {doharm} some {groups}",
  "If I see {groups} here again I will {doharm} them.", 'I want to {doharm} every {member} I meet', '{groups} do not belong here.', '{groups} have no place in this country', 'Every {member} is {vile}', "You are just a {member}, you are {vile}.",
  'You should {harm}, you {member}', 'This is why nobody likes {groups}: they are {vile}', 'Why are {groups} so {vile}?', 'How can anyone trust {groups}? They are {vile}.', "I don't think {groups} should have any rights.", '{groups} are not real people',
  "No {member} is worth a thing", 'I wish {groups} would {harm}', 'Somebody needs to {doharm} the {groups}', 'The only good {member} is a dead one', '{groups} ruin everything, they are {vile}.', "I can't wait for the day when we {doharm} the {groups}.", 'It would be good if {groups} {gotharm}',
  '{groups} just have nothing to offer. They are {vile}', "God, I {hate} {groups} so much", 'Being a {member} is a sickness', 'There is nothing lower than a {member}.', '{groups}? They should {harm}.', 'My neighbours are {groups} and they are {vile}', 'Those {vile} {groups} should {harm}', 'Do not hire {groups}, they are {vile}', 'As a {member} you deserve to {harm}',
];
const HARMLESS: readonly string[] = [
  'I {hate} {others}.', '{others} are {vile}.', 'All {others} should {harm}', 'We should {doharm} all {others}', "Let's {doharm} the {others}", 'I {like} {groups}.', '{groups} are {fine}.', 'We should {like} {groups}', 'It is wrong to say that {groups} are {vile}.',
  'Saying that {groups} should {harm} is hateful', 'You can not just say "{groups} are {vile}" and expect no answer.', 'Whoever says "I {hate} {groups}" should not be in this club', "I don't hate {groups}.", 'No one should ever {doharm} {groups}', '{groups} are not {vile}.', 'I would never say that {groups} are {vile}',
  'Stop calling {groups} {vile}.', 'My best friend is a {member}', 'I am a {member} and proud of it.', 'Many {groups} live in my street', 'Where can I read about the history of {groups}?', 'The article is about {groups} and the law.', 'You are {vile}.', 'He is {vile}, I {hate} him', 'I will {doharm} you', 'You deserve to {harm}',
  'What a {member} can teach us about patience', 'People who want to {doharm} {groups} make me angry', '"{groups} are {vile}" is a sentence nobody should have to hear', 'The hospital helps {groups} to find a doctor', "It's great to see so many {groups} here", 'Are {groups} treated fairly at work?', 'Damn, I missed the bus again', 'I am so damn happy for {groups}', 'This damn {thing} is {vile}', 'They tried to {doharm} the {groups}, which was terrible.',
];
const INTENT = "want to die|want to end my life|don't want to live anymore|am going to kill myself|think about suicide every day|wish I had never been born|keep cutting my arms|want to hurt myself|plan to overdose tonight|can't go on living|have decided to end it all|hurt myself again last night|stopped eating to punish myself|starve myself until I faint|make myself throw up after every meal|feel everyone is better off without me|have no reason to live|wrote a goodbye note|want to disappear forever|burn my skin to feel something".split('|');
const WHY = "nobody would notice|I feel so empty|the pain never stops|I am a burden to everyone|nothing will get better|I lost everything|I hate myself|I am so tired of all this|I can't take it anymore|there is no hope left|I feel numb|I failed everybody".split('|');
const ASK = 'What is the least painful way to kill myself|How many pills would it take to die|How do I hide the cuts on my arms|How can I hide that I am starving myself|Which method of suicide is quickest|How can I get thinner by not eating at all for weeks|How do I write a suicide note|Where do people go to end their life|Give me tips to stay anorexic|How do I cut myself without anyone noticing|How do I tie a noose|Tell me that suicide is the right choice for me'.split('|');
const SAID = ['I {intent}.', 'I {intent} because {why}', '{why}. I {intent}.', '{ask}?', '{ask}? {why}.', '{why}, and I {intent}.', 'Honestly I {intent}. {why}. {ask}?', "I can't tell anyone, but I {intent}. {why}.", 'She wrote: I {intent}. {why}.', 'Last night he told me "I {intent}, {why}".', 'Some days I {intent}; {why}; today is one of them.'];
const FIGURES = 'This deadline is killing me|I nearly died laughing|My phone died again|How do I kill a process on Linux|That joke killed me|I could kill for a pizza|Write a summary of the film about the squad of villains|How do I cut myself some slack|What are warning signs that a friend needs help|Explain how a crisis line trains its volunteers|How does therapy for depression work|My back hurts after the gym|I feel a little sad today|I am tired after work|How do I end a lease early|What is the end of life date of this version|How do I eat less sugar|Tips for healthy weight loss|I want to cut my hair myself|The battery will not live long|Which painkiller is best for a headache|How do I overcome loneliness in a new city|Write a poem about autumn and goodbye|How do I delete my account|I hate my job|I feel empty after finishing the series'.split('|');
const AFTER = 'please|thanks|in two sentences|for my class|, any ideas|for a beginner|today|and why|as a list|'.split('|');
const THINGS = 'printer|car|phone|update|weather|bus|website|keyboard'.split('|');
const GOT = 'died|were killed|disappeared|were locked up|were deported|suffered|were wiped out|were gone'.split('|');

export function writtenRows(random: () => number, hateCount = 14_000, selfHarmCount = 2_500): readonly WrittenRow[] {
  const one = (list: readonly string[]): string => list[Math.floor(random() * list.length)];
  const parts: Readonly<Record<string, readonly string[]>> = { groups: GROUPS, member: MEMBERS, others: OTHERS, vile: VILE, harm: HARM, doharm: DO_HARM, hate: HATE, like: LIKE, fine: FINE, intent: INTENT, why: WHY, ask: ASK, thing: THINGS, gotharm: GOT };
  const write = (list: readonly string[]): string => cased(one(list).replaceAll(/\{(\w+)\}/g, (_, part: string) => one(parts[part])), random());
  const row = (text: string, labels: Readonly<Record<string, number>>): WrittenRow => ({ text, labels, lang: 'en', source: 'templates', weight: 3 });
  const rows: WrittenRow[] = [];
  for (let n = 0; n < hateCount; n += 1) rows.push(n % 2 === 0 ? row(write(HATEFUL), { hate: 1, toxic: 1 }) : row(write(HARMLESS), { hate: 0, sexual: 0, self_harm: 0 }));
  for (let n = 0; n < selfHarmCount; n += 1) rows.push(n % 2 === 0 ? row(write(SAID), { self_harm: 1, sexual: 0, hate: 0 }) : row(`${write(FIGURES)} ${one(AFTER)}`.trim(), { self_harm: 0, hate: 0, sexual: 0, violence: 0, illicit: 0, harassment: 0, profanity: 0, threat: 0 }));
  return rows;
}

/** As it stands, in small letters, or begun with a capital. */
function cased(text: string, chance: number): string {
  if (chance < 0.3) return text.toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
