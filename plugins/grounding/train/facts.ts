/**
 * Small documents and what can be said of them: each fact in several wordings for the document and several for the answer,
 * so that the model learns that an answer need not repeat its source. A claim has the document's value (supported), another
 * one (contradicted), or is about what the document does not tell (unsupported). All names are made up.
 */
import type { PairRow } from '#model/recipe.ts';

/** Wordings with `{s}` for the subject and `{v}` for the value, parted by `|`; what a document says, and what an answer says. */
interface Fact {
  readonly told: string;
  readonly claimed: string;
  readonly values: string;
}

/** Of these the value is yes or no. */
interface Rule {
  readonly yes: string;
  readonly no: string;
  readonly claimedYes: string;
  readonly claimedNo: string;
}

interface Domain {
  readonly subjects: string;
  readonly facts: readonly Fact[];
  readonly rules: readonly Rule[];
}

const YEARS = '1924|1938|1951|1963|1972|1979|1984|1987|1991|1996|1999|2003|2007|2010|2012|2015|2018|2021';
const SMALL_NUMBERS = 'two|three|four|five|six|seven|8|9|10|12|14|15|18|20|24|30|36|40|48|60|72|90';
const PRICES = '$8|$12|$15|$18|$25|$29|$40|$49|$65|$80|$120|$199|$250|$340|€9|€14|€22|€75|£6|£30|£45';
const PLACES = 'Elmstead|Northgate|Lisbon|Oslo|Toronto|Marwick|Perth|Kyoto|Valencia|Denver|Bristol|Leipzig|Krakow|Nairobi|Lima|Harrow Bay|Port Ellis|Stonefield';
const PEOPLE = 'Anna Whitfield|Marcus Oyelaran|Priya Raman|Tom Lindqvist|Elena Costa|James Okafor|Sofia Petrenko|Daniel Brandt|Mei Tanaka|Rosa Delgado|Peter Novak|Ingrid Halvorsen|Samuel Adeyemi|Claire Dubois|Hassan Karimi|Laura Byrne';
const FIRMS = 'Lakeside Group|Brightwater Ltd|Nordlys AS|Halden Systems|Copper Lane Foods|Orbis Media|Ferngate Partners|Tallow & Finch|Quadrant Energy|Silverline Rail';
const DAYS = 'Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday';
const MONTHS = 'January|February|March|April|May|June|July|August|September|October|November|December';
const COLOURS = 'red|blue|black|white|green|silver|grey|yellow';

const DOMAINS: readonly Domain[] = [
  {
    subjects: 'The Harbour Hotel|Hotel Miramar|The Old Mill Inn|Pinewood Lodge|The Granville|Casa Verde',
    facts: [
      { told: '{s} has {v} rooms.|There are {v} rooms in the hotel.|With its {v} rooms {s} is one of the larger houses in the area.', claimed: 'The hotel has {v} rooms.|There are {v} rooms at {s}.|{s} offers {v} rooms to its guests.|It has {v} rooms.', values: '18|24|42|55|63|80|96|120|210' },
      { told: 'Breakfast costs {v} per person.|A breakfast buffet is offered for {v} a person.|For {v} guests can have breakfast in the dining room.', claimed: 'Breakfast is {v} per person.|Guests pay {v} for breakfast.|The breakfast buffet costs {v}.|You can have breakfast for {v}.', values: PRICES },
      { told: 'Check-in opens at {v}.|Rooms are ready from {v} on the day of arrival.|On the day of arrival guests may check in from {v}.', claimed: 'Check-in is from {v}.|You can check in from {v}.|Your room will be ready at {v}.|Guests can check in starting at {v}.', values: '13:00|14:00|15:00|16:00|noon|2 pm|3 pm|4 pm' },
      { told: 'Guests may cancel free of charge up to {v} hours before arrival.|Cancellation is free until {v} hours before the day of arrival; later the first night is charged.|A booking can be cancelled at no cost if this is done at least {v} hours ahead.', claimed: 'You can cancel for free up to {v} hours before arrival.|Free cancellation is possible until {v} hours before you arrive.|There is no charge if you cancel at least {v} hours in advance.', values: '12|24|36|48|72|96' },
      { told: 'The hotel was founded in {v}.|{s} opened its doors in {v}.|The house has welcomed guests since {v}.', claimed: 'It opened in {v}.|{s} was founded in {v}.|The hotel has been open since {v}.|The hotel was established in {v}.', values: YEARS },
      { told: 'Parking is available for {v} a night.|The garage costs {v} per night.|Guests who come by car pay {v} a night for a parking space.', claimed: 'Parking costs {v} per night.|A parking space is {v} a night.|You pay {v} per night to park.', values: PRICES },
      { told: '{s} stands in {v}, a short walk from the station.|The hotel is in the centre of {v}.|It is located in {v}.', claimed: 'The hotel is located in {v}.|It is in {v}.|{s} is a hotel in {v}.|You will find {s} in {v}.', values: PLACES },
    ],
    rules: [
      { yes: 'Pets are welcome in all rooms.|Dogs and cats may stay in the rooms at no charge.', no: 'Pets are not allowed.|The hotel does not accept animals, except guide dogs.', claimedYes: 'Pets are allowed.|You can bring your dog.|Yes, pets are welcome.', claimedNo: 'Pets are not allowed.|No, animals are not accepted.|You cannot bring your pet.' },
      { yes: 'Wi-Fi is included in the price.|Wireless internet is free for all guests.', no: 'Wi-Fi is charged separately.|Wireless internet is not included in the price.', claimedYes: 'Wi-Fi is free.|Internet is included in the price.|You do not have to pay for Wi-Fi.', claimedNo: 'Wi-Fi is not free.|Internet is not included in the price.|You have to pay extra for Wi-Fi.' },
      { yes: 'The pool is heated and open all year.|Guests may use the pool in every season.', no: 'The pool is closed in winter.|The pool is open from May to September only.', claimedYes: 'The pool is open all year round.|You can swim in the pool in winter.', claimedNo: 'The pool is closed during winter.|You cannot use the pool in winter.' },
    ],
  },
  {
    subjects: 'The Aero 3 vacuum|The Lumo lamp|The TrailMate backpack|The Kestrel drone|The BrewOne machine|The Zephyr heater',
    facts: [
      { told: 'The battery lasts up to {v} hours.|On one charge it runs for {v} hours.|{s} works for {v} hours before it must be charged.', claimed: 'The battery lasts {v} hours.|It runs for {v} hours on a single charge.|You get {v} hours of battery life.', values: SMALL_NUMBERS },
      { told: '{s} weighs {v} kg.|Its weight is {v} kg.|At {v} kg it is light enough to carry.', claimed: 'It weighs {v} kg.|The weight is {v} kg.|{s} has a weight of {v} kg.', values: '0.4|0.9|1.2|1.8|2.4|3.1|4.5|6' },
      { told: 'The warranty covers {v} months.|It comes with a warranty of {v} months.|The maker guarantees it for {v} months from the date of purchase.', claimed: 'The warranty is {v} months.|You have a {v} month warranty.|It is under warranty for {v} months.', values: '6|12|18|24|36|48|60' },
      { told: 'It can be returned within {v} days.|Customers may send it back within {v} days of delivery.|Returns are accepted for {v} days.', claimed: 'You can return it within {v} days.|The return period is {v} days.|You have {v} days to send it back.', values: '7|10|14|21|28|30|45|60|90|100' },
      { told: 'It costs {v}.|The price is {v}.|{s} is sold for {v}.', claimed: 'The price is {v}.|It sells for {v}.|You can buy it for {v}.|{s} costs {v}.', values: PRICES },
      { told: 'It is available in {v}.|The case is {v}.|So far it only comes in {v}.', claimed: 'It comes in {v}.|The colour is {v}.|You can get it in {v}.', values: COLOURS },
      { told: '{s} is made in {v}.|It is assembled in {v}.|The factory stands in {v}.', claimed: 'It is manufactured in {v}.|{s} is produced in {v}.|It is made in {v}.', values: PLACES },
    ],
    rules: [
      { yes: 'It is waterproof.|Rain and splashes do it no harm; it is waterproof.', no: 'It is not waterproof.|Keep it dry: it is not protected against water.', claimedYes: 'It is waterproof.|You can use it in the rain because it is waterproof.', claimedNo: 'It is not waterproof.|No, it is not protected against water.' },
      { yes: 'Shipping is free within the country.|Delivery costs nothing within the country.', no: 'Shipping is charged at checkout.|Delivery is not included in the price.', claimedYes: 'Shipping is free.|Delivery is free of charge.', claimedNo: 'Shipping is not free.|Delivery costs extra.' },
      { yes: 'The filter can be washed.|The filter is washable and lasts for years.', no: 'The filter must not be washed.|The filter cannot be washed and has to be replaced.', claimedYes: 'You can wash the filter.|The filter is washable.', claimedNo: 'The filter cannot be washed.|You should not wash the filter.' },
    ],
  },
  {
    subjects: PEOPLE,
    facts: [
      { told: '{s} was born in {v}.|Born in {v}, {s} grew up with two sisters.', claimed: '{s} was born in {v}.|The birth year of {s} is {v}.|{s} is a native of the year {v}.', values: YEARS },
      { told: '{s} grew up in {v}.|The family lived in {v} for many years.|Childhood and school years were spent in {v}.', claimed: '{s} was raised in {v}.|{s} spent a childhood in {v}.|{s} grew up in {v}.', values: PLACES },
      { told: '{s} studied {v} at the state university.|A degree in {v} followed in the same decade.', claimed: '{s} has a degree in {v}.|{s} studied {v}.|At university {s} studied {v}.', values: 'law|physics|music|medicine|history|architecture|economics|biology|chemistry|philosophy' },
      { told: '{s} works as {v}.|Since then {s} has been {v}.|Most know {s} as {v}.', claimed: '{s} is {v}.|{s} works as {v}.|By profession {s} is {v}.', values: 'a surgeon|a judge|a composer|a painter|a teacher|an engineer|a novelist|a photographer|a pilot|a chemist|a journalist|a footballer' },
      { told: '{s} married {v} in a small ceremony.|{v} has been married to {s} for years.', claimed: '{s} is married to {v}.|{v} is the spouse of {s}.|{s} and {v} are married.', values: PEOPLE },
      { told: '{s} won {v} medals.|In all, {v} prizes went to {s}.|Over the years {s} received {v} awards.', claimed: '{s} has won {v} prizes.|{s} received {v} awards.|{s} won {v} medals.', values: SMALL_NUMBERS },
      { told: '{s} joined {v} as a director.|In later years {s} led {v}.', claimed: '{s} worked for {v}.|{s} was at {v}.|{s} was a leader of {v}.', values: FIRMS },
    ],
    rules: [
      { yes: '{s} has two children.|{s} is the parent of two children.', no: '{s} has no children.|{s} never had children.', claimedYes: '{s} has children.|{s} is a parent.', claimedNo: '{s} has no children.|{s} does not have any children.' },
      { yes: '{s} accepted the offer.|In the end {s} agreed to the offer.', no: '{s} rejected the offer.|In the end {s} turned the offer down and did not accept it.', claimedYes: '{s} accepted the offer.|{s} agreed to it.', claimedNo: '{s} did not accept the offer.|{s} rejected the offer.' },
    ],
  },
  {
    subjects: FIRMS,
    facts: [
      { told: '{s} was founded in {v}.|The company goes back to {v}.|Since {v} {s} has been in business.', claimed: '{s} was founded in {v}.|The company was established in {v}.|{s} has existed since {v}.', values: YEARS },
      { told: 'It employs {v} people.|The firm has a staff of {v}.|{v} people work for {s}.', claimed: '{s} has {v} employees.|The company employs {v} people.|There are {v} people working there.', values: '45|120|300|850|1,200|2,500|6,000|14,000|30,000' },
      { told: 'Its head office is in {v}.|{s} is based in {v}.|The headquarters were moved to {v}.', claimed: '{s} has its headquarters in {v}.|The company is based in {v}.|{s} is headquartered in {v}.', values: PLACES },
      { told: '{v} is its chief executive.|The company is led by {v}.|Since last spring {v} has been in charge of {s}.', claimed: 'The chief executive of {s} is {v}.|{v} leads the company.|{v} is the head of {s}.|The boss is {v}.', values: PEOPLE },
      { told: 'Revenue rose to {v} million dollars.|Sales of {v} million dollars were reported.|Last year {s} took in {v} million dollars.', claimed: 'The revenue was {v} million dollars.|{s} made {v} million dollars.|Revenue reached ${v} million.', values: '4|12|35|60|110|240|480|900' },
      { told: 'Profit fell by {v} percent.|The profit dropped by {v} percent because of higher costs.', claimed: 'Profits went down by {v} percent.|The profit decreased by {v}%.|Profit fell {v} percent.', values: '3|5|8|11|15|22|40' },
      { told: '{s} bought {v} for an undisclosed sum.|The takeover of {v} was completed in spring.', claimed: '{s} acquired {v}.|{v} was bought by {s}.|{s} took over {v}.', values: FIRMS },
    ],
    rules: [
      { yes: 'The shareholders approved the merger.|The merger was approved by a large majority.', no: 'The shareholders rejected the merger.|The merger was not approved.', claimedYes: 'The merger was approved.|Shareholders agreed to the merger.', claimedNo: 'The merger was rejected.|Shareholders did not approve the merger.' },
      { yes: 'Sales increased in every region.|Sales went up everywhere.', no: 'Sales decreased in every region.|Sales went down everywhere.', claimedYes: 'Sales increased.|Sales rose.|Sales went up.', claimedNo: 'Sales decreased.|Sales fell.|Sales went down.' },
    ],
  },
  {
    subjects: 'The Stonefield Museum|The city library|The Northgate swimming pool|The botanical garden|The Marwick theatre|The science centre',
    facts: [
      { told: '{s} is closed on {v}s.|Every {v} the doors stay shut.', claimed: 'It is closed on {v}s.|{s} does not open on {v}s.|On {v}s it is closed.', values: DAYS },
      { told: 'Admission is {v} for adults.|Adults pay {v}.|A ticket for adults costs {v}.', claimed: 'The entrance fee is {v} for adults.|Adults pay {v} to get in.|A ticket costs {v}.', values: PRICES },
      { told: 'It opened in {v}.|The building dates from {v}.|{s} was built in {v}.', claimed: 'It was built in {v}.|{s} opened in {v}.|The building is from {v}.', values: YEARS },
      { told: 'The architect was {v}.|{v} designed the building.|It was designed by {v}.', claimed: '{v} was the architect.|The building was designed by {v}.|{s} was designed by {v}.', values: PEOPLE },
      { told: 'Guided tours begin at {v}.|There is a tour every day at {v}.', claimed: 'The tour starts at {v}.|Tours are at {v}.|You can take a tour at {v}.', values: '9:30|10:00|11:00|13:00|14:30|15:00|16:00' },
      { told: 'Some {v} people visit it every year.|It has about {v} visitors a year.', claimed: 'About {v} people visit each year.|{s} gets {v} visitors a year.|It has {v} visitors annually.', values: '8,000|15,000|40,000|75,000|120,000|300,000|half a million' },
      { told: 'The renovation will be finished in {v}.|Work on the roof ends in {v}.', claimed: 'The renovation ends in {v}.|The works will be done in {v}.|It will be completed in {v}.', values: MONTHS },
    ],
    rules: [
      { yes: 'Photography is permitted without flash.|Visitors may take photographs.', no: 'Photography is forbidden.|Visitors may not take photographs.', claimedYes: 'You can take photos.|Taking pictures is allowed.', claimedNo: 'You cannot take photos.|Taking pictures is not allowed.' },
      { yes: 'Children enter free.|There is no charge for children.', no: 'Children pay half.|Children pay the reduced price.', claimedYes: 'Children get in for free.|Admission is free for children.', claimedNo: 'Children have to pay.|Admission is not free for children.' },
      { yes: 'The building is accessible by wheelchair.|All floors can be reached by wheelchair.', no: 'The upper floors cannot be reached by wheelchair.|The building is not accessible by wheelchair.', claimedYes: 'It is wheelchair accessible.|You can visit with a wheelchair.', claimedNo: 'It is not wheelchair accessible.|A wheelchair cannot reach all floors.' },
    ],
  },
];

const FILLERS = [
  'The weather was mild for the season.', 'More is said about this in the second part.', 'Many readers have asked about it.', 'The figures were checked twice.', 'A new brochure is being printed.', 'The staff speak several languages.', 'Nothing else is known so far.',
  'Questions may be sent to the office.', 'The text was last changed in spring.', 'This section gives an overview.', 'Critics called it a quiet success.', 'Neighbours had hoped for as much.',
];

/** What stands before a claim in an answer, at times. */
const LEADS = ['Sure! ', 'Yes, ', 'According to the document, ', 'Based on the information provided, ', 'As stated in the text, ', 'The text says that ', 'In short, ', 'Certainly. '];
const LEAD_SHARE = 0.2;
const JOINED_SHARE = 0.25;

/** `count` documents with some claims for each. */
export function factPairs(random: () => number, count: number): readonly PairRow[] {
  return Array.from({ length: count }).flatMap(() => documentOf(random));
}

type Truth = 'supported' | 'contradicted' | 'unsupported';

function documentOf(random: () => number): readonly PairRow[] {
  const domain = pick(DOMAINS, random);
  const subject = pick(domain.subjects.split('|'), random);
  const facts = shuffled(domain.facts, random);
  const rules = shuffled(domain.rules, random);
  const [told, untold] = [facts.slice(0, -2), facts.slice(-2)];
  const values = new Map(facts.map((fact) => [fact, pick(fact.values.split('|'), random)]));
  const isYes = new Map(rules.map((rule) => [rule, random() < 0.5]));
  const say = (wordings: string, value = ''): string => pick(wordings.split('|'), random).replaceAll('{s}', subject).replaceAll('{v}', value);
  const toldRules = rules.slice(0, -1);
  const sentences = [...told.map((fact) => say(fact.told, values.get(fact))), ...toldRules.map((rule) => say(isYes.get(rule) === true ? rule.yes : rule.no)), pick(FILLERS, random), pick(FILLERS, random)];
  const context = shuffled(sentences, random).map(capitalised).join(' ');
  const claim = (truth: Truth): string => {
    if (truth === 'unsupported') return random() < 0.7 ? untoldClaim(untold, say, random) : say(pick([rules.at(-1)!.claimedYes, rules.at(-1)!.claimedNo], random));
    if (random() < 0.3 && toldRules.length > 0) {
      const rule = pick(toldRules, random);
      return say((isYes.get(rule) === true) === (truth === 'supported') ? rule.claimedYes : rule.claimedNo);
    }
    const fact = pick(told, random);
    const value = values.get(fact)!;
    return say(fact.claimed, truth === 'supported' ? value : pick(fact.values.split('|').filter((other) => other !== value), random));
  };
  const truths: readonly Truth[] = ['supported', 'supported', 'supported', 'contradicted', 'contradicted', 'unsupported'];
  return truths.map((truth): PairRow => {
    const first = claim(truth);
    const joined = random() < JOINED_SHARE ? `${first.replace(/\.$/, '')} and ${uncapitalised(claim('supported'))}` : first;
    const lead = random() < LEAD_SHARE ? pick(LEADS, random) : '';
    return { context, text: lead.endsWith('! ') || lead.endsWith('. ') || lead === '' ? lead + joined : lead + uncapitalised(joined), source: `facts ${truth}`, labels: { unsupported: truth === 'supported' ? 0 : 1, contradicted: truth === 'contradicted' ? 1 : 0 } };
  });
}

function untoldClaim(untold: readonly Fact[], say: (wordings: string, value: string) => string, random: () => number): string {
  const fact = pick(untold, random);
  return say(fact.claimed, pick(fact.values.split('|'), random));
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Articles and pronouns at the beginning only; a name keeps its capital. */
function uncapitalised(text: string): string {
  return text.replace(/^(?:The|It|There|You|Guests|A|At|On|By|Its|Your|Pets|Internet|Shipping|Delivery|Parking|Breakfast|Children|Taking|Adults|Sales|Revenue|Profits?|Tours|About|No|Yes)\b/, (word) => word.toLowerCase());
}

function shuffled<T>(list: readonly T[], random: () => number): readonly T[] {
  return list.map((one) => [random(), one] as const).sort((a, b) => a[0] - b[0]).map(([, one]) => one);
}

function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)];
}
