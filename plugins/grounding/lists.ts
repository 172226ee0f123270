/**
 * What the grounding classifier knows of English before it has read anything: small words, negations, hedges, number
 * words, irregular forms, words that mean nearly the same, and words that mean the opposite. Written for this purpose.
 */

/** Words that carry no claim by themselves. */
export const SMALL_WORDS = `a about above across after again all along also although always am among an and another any anybody anyone anything are around as at away back be became
because been before being below between both but by came can cannot ca could did do does doing done down during each either else ever every everything few for from further get gets getting
got had has have having he hence her here hers herself him himself his how however i if in indeed into is it its itself just let like made make makes making many may me might mine more most
much must my myself nearly now of off often on once one only onto or other others our ours ourselves out over own per perhaps quite rather really same several shall she should since so some
somebody someone something sometimes somewhere still such than that the their theirs them themselves then there therefore these they thing things this those though through thus to together too toward
towards under until up upon us use used using very via was way we well were what whatever when where whereas whether which while who whoever whole whom whose why will with within would wo
yes yeah yet you your yours yourself oh ok okay wow hi hello hey please thanks sure ah hmm lol haha s t re ve ll d m nt`.split(/\s+/);

export const NEGATIONS = 'no not never none nobody nothing neither nor without nt cannot hardly barely fails failed denied denies deny refused refuses unable'.split(' ');

export const HEDGES = 'maybe perhaps probably possibly guess think believe suppose heard wonder sounds seems seem bet hope wish imagine might could apparently reportedly allegedly'.split(' ');

export const FIRST_PERSON = 'i me my mine myself we us our ours im ive'.split(' ');
export const SECOND_PERSON = 'you your yours yourself'.split(' ');
export const THIRD_PERSON = 'he she they him her them his hers their it its this that'.split(' ');

export const NUMBER_WORDS: Readonly<Record<string, number>> = {
  zero: 0, two: 2, three: 3, four: 4, five: 5, six: 6, seven: 7, eight: 8, nine: 9, ten: 10, eleven: 11, twelve: 12, thirteen: 13, fourteen: 14, fifteen: 15, sixteen: 16, seventeen: 17,
  eighteen: 18, nineteen: 19, twenty: 20, thirty: 30, forty: 40, fifty: 50, sixty: 60, seventy: 70, eighty: 80, ninety: 90,
  first: 1, second: 2, third: 3, fourth: 4, fifth: 5, sixth: 6, seventh: 7, eighth: 8, ninth: 9, tenth: 10, twice: 2, thrice: 3, double: 2, triple: 3, half: 0.5, dozen: 12, couple: 2, pair: 2, noon: 12, midnight: 0,
};

/** They multiply the number before them. */
export const NUMBER_SCALES: Readonly<Record<string, number>> = { hundred: 100, thousand: 1e3, k: 1e3, million: 1e6, mn: 1e6, billion: 1e9, bn: 1e9, trillion: 1e12 };

/** Forms that no ending tells; the first of a line stands for all. */
export const FORMS = `
say said says saying|go went gone goes|take took taken|give gave given|find found|win won winning|lose lost loss|die died dead death dies|kill killed|buy bought|bring brought|think thought|teach taught|catch caught
sell sold sale|tell told|keep kept|leave left|feel felt|meet met|pay paid|hold held|lead led|lie lay lain|run ran running|begin began begun|sing sang sung song|drink drank drunk|swim swam swum|speak spoke spoken speech
break broke broken|choose chose chosen choice|steal stole stolen|write wrote written|drive drove driven|ride rode ridden|rise rose risen|fall fell fallen|know knew known|grow grew grown growth|throw threw thrown|fly flew flown flight|draw drew drawn
see saw seen|eat ate eaten|beat beaten|bear bore born birth|wear wore worn|tear tore torn|show shown showed|build built|send sent|spend spent|lend lent|fight fought|seek sought|stand stood|understand understood|hear heard|shoot shot
sit sat|get got|become became|come came|child children|man men|woman women|person people|foot feet|mouse mice|wife wives|life lives live lived alive|knife knives|half halves|sign signed signing|marry married marriage|music musical musician
win victory winner|appoint appointed appointment|arrest arrested|charge charged|act actor actress acting|direct director|sing singer|write writer|found founder founded founding|elect election elected|injure injury injured|retire retirement
move movement|announce announcement|agree agreement|govern government|manage manager management|develop development|invest investment|treat treatment|state statement|perform performance|appear appearance|differ difference different|exist existence
invade invasion|decide decision|produce production producer product|construct construction|destroy destruction|educate education|locate location located|publish publication publisher|release released|create creation creator created|compose composer composition
`.trim().split(/[|\n]/).map((line) => line.split(' '));

/** Words that may stand for each other. */
export const KIN = `
movie film picture|buy purchase acquire|car vehicle automobile|start begin launch commence open|end finish stop conclude close|big large huge great massive|small little tiny|kid child children youngster|police officer cop cops policeman
show programme program series|company firm business corporation|boss manager head chief coach|job work role post position|doctor physician|student pupil|teacher lecturer professor|school academy college university|house home property|money cash fund funding funds
fire blaze|crash accident collision|kill murder|die death dead|attack assault|wed marry marriage|footballer player striker midfielder defender goalkeeper winger forward|football soccer|match game fixture|side team club|defeat beat win victory overcome|lose loss defeat
author writer novelist|singer vocalist musician artist|song track single tune|album record lp|band group|actor actress star|city town|country nation state|island isle|prime pm minister|president leader|election vote poll|law legislation bill act
court judge trial|jail prison imprisoned sentenced|hospital clinic|ill sick sickness disease illness|man male gentleman|woman female lady|mother mum mom parent|father dad parent|husband wife spouse partner|brother sister sibling|son daughter child|boy lad|girl
year season|month|week|plane aircraft jet airplane|ship boat vessel|road street|river water|sea ocean|dog puppy|cat kitten|food meal dish|show reveal demonstrate|say tell claim state announce add|ask request|help assist aid support|plan proposal scheme
get receive obtain gain|give provide supply|keep retain hold|leave depart quit exit|join sign|move transfer|choose pick select|build construct|make create produce|find discover|use employ|want wish hope|need require|try attempt seek|allow permit let
increase rise grow raise|decrease fall drop cut reduce decline|call name|injure hurt wound|warn alert|deny reject refuse|popular famous well-known|rich wealthy|begin origin|base located headquarters based|born birth|age aged old|new fresh latest|set due
united britain british uk britons kingdom|england english|scotland scottish scots scot|wales welsh|ireland irish|france french|germany german|spain spanish|italy italian|america american us usa states|canada canadian|australia australian|china chinese|japan japanese
india indian|russia russian|poland polish|sweden swedish swedes|norway norwegian|denmark danish danes|netherlands dutch holland|belgium belgian|switzerland swiss|austria austrian|greece greek|turkey turkish|portugal portuguese|brazil brazilian|argentina argentine argentinian
mexico mexican|korea korean|israel israeli|egypt egyptian|syria syrian|iraq iraqi|iran iranian|africa african|europe european|asia asian|nigeria nigerian|kenya kenyan|pakistan pakistani|afghanistan afghan|ukraine ukrainian|hungary hungarian|finland finnish|zealand kiwi
january jan|february feb|march mar|april apr|august aug|september sept sep|october oct|november nov|december dec|monday mon|tuesday tue|wednesday wed|thursday thu|friday fri|saturday sat|sunday sun
percent per-cent %|centre center|colour color|theatre theater|organisation organization|defence defense|tv television|phone telephone mobile|internet online web|photo photograph picture image|scientist researcher|study research report survey
`.trim().split(/[|\n]/).map((line) => line.split(' '));

/** Pairs of which one denies the other. */
export const OPPOSITES = `
win lose|won lost|increase decrease|rise fall|rose fell|up down|before after|first last|early late|earlier later|open close|opened closed|start end|started ended|begin end|began ended|high low|higher lower|highest lowest|large small|larger smaller|largest smallest
big little|more less|most least|more fewer|old young|older younger|oldest youngest|male female|man woman|men women|he she|his her|husband wife|brother sister|son daughter|father mother|boy girl|king queen|actor actress|north south|northern southern|east west|eastern western
success failure|succeed fail|succeeded failed|accept reject|accepted rejected|agree disagree|allow ban|allowed banned|allow forbid|approve reject|approved rejected|guilty innocent|alive dead|born died|hot cold|warm cold|good bad|better worse|best worst|rich poor
strong weak|fast slow|easy hard|easy difficult|possible impossible|legal illegal|likely unlikely|able unable|happy sad|love hate|like dislike|support oppose|supported opposed|for against|arrive leave|arrived left|buy sell|bought sold|gain lose|gained lost|enter exit
remember forget|true false|correct incorrect|right wrong|right left|safe dangerous|public private|inside outside|above below|over under|home away|friend enemy|victory defeat|attack defence|cut raise|cuts raises|improve worsen|improved worsened|confirm deny|confirmed denied
include exclude|included excluded|join leave|joined left|same different|always never|all none|every no|many few|long short|longer shorter|wide narrow|deep shallow|heavy light|dark light|black white|day night|morning evening|summer winter|spring autumn|rural urban
hire fire|hired fired|employ dismiss|appoint sack|appointed sacked|released arrested|free imprisoned|married divorced|single married|professional amateur|major minor|maximum minimum|positive negative|optional mandatory|required optional|forbidden allowed|refundable nonrefundable
`.trim().split(/[|\n]/).map((line) => line.split(' ') as [string, string]);

/** Of these alone a sentence is talk, not a claim. */
export const COURTESY = `sure certainly absolutely course happy glad pleased help helping assist welcome thanks thank please let know question questions anything else feel free ask asking hope helps here answer answers
great good nice day morning evening afternoon have any need more further details no problem worries sorry apologies apologize understand based on the following provided information according document documents source sources
text context above below summary i you me we it is are was am im ill id can could would do does did for to a an and or if of in with that this these there what how be been my your our us at your service let's lets look see
hello hi hey dear bye goodbye ok okay yes yeah best regards sincerely kind wishes as from all so just also by will may might should want wish like love get got reach out contact anytime always ready take care enjoy today well very much really such lot again great excellent wonderful other others some pleasure assistance available context's whether yet here's there's that's important note summary short brief conclusion overall finally first firstly lastly addition additionally however therefore also
absolutely definitely indeed correct right exactly fine provide provides given check looking looked find found review reviewing according mentioned stated above`.split(/\s+/);
