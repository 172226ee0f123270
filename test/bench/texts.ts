/**
 * The texts that benchmarks and tests share: the same for the same kind and length, on every machine. Everything in
 * them is made up: example domains, 555 numbers, published test cards, documentation networks.
 *
 * `prose`, `code` and `json` hold nothing that a detector finds; `dense` holds something in every sentence; `two-byte`
 * is prose with the dashes and quotes that models write, which makes V8 keep two bytes for each character. The others
 * are hostile: they begin as many matches as they can and complete none.
 */
import { randomOf } from '../helpers/runs.ts';

export const TEXT_KINDS = ['prose', 'two-byte', 'dense', 'code', 'json', 'same-letter', 'digits', 'near-misses', 'all-hostile'] as const;
export type TextKind = (typeof TEXT_KINDS)[number];

type Random = () => number;

/** Distinct text is made up to here; a longer text repeats it. */
const DISTINCT_CHARS_MAX = 1_000_000;

const made = new Map<string, string>();

/** A flat string of exactly `chars` characters. */
export function textOf(kind: TextKind, chars: number): string {
  const key = `${kind} ${chars}`;
  let text = made.get(key);
  if (text === undefined) {
    text = chars > DISTINCT_CHARS_MAX ? textOf(kind, DISTINCT_CHARS_MAX).repeat(Math.ceil(chars / DISTINCT_CHARS_MAX)) : makeText(kind, chars);
    made.set(key, (text = flat(text.slice(0, chars))));
  }
  return text;
}

/** `text` in pieces of `chars` characters, each a string of its own. */
export function piecesOf(text: string, chars: number): readonly string[] {
  return Array.from({ length: Math.ceil(text.length / chars) }, (_, i) => flat(text.slice(i * chars, (i + 1) * chars)));
}

/** As a model cuts its text: words with their leading space, long ones in parts, marks by themselves. About four characters each. */
export function tokensOf(text: string): readonly string[] {
  return (text.match(/ ?[A-Za-z]{1,6}|\d{1,3}|[^A-Za-z\d]/g) ?? []).map(flat);
}

/** Copies a string as the proxy gets its strings, out of JSON: one piece of memory of its own, not a slice or a tree of parts. */
function flat(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

function makeText(kind: TextKind, chars: number): string {
  const random = randomOf(TEXT_KINDS.indexOf(kind) + 1);
  const parts: string[] = [];
  for (let length = 0; length < chars;) {
    const part = MAKERS[kind](random);
    parts.push(part);
    length += part.length;
  }
  return parts.join('');
}

const MAKERS: Readonly<Record<TextKind, (random: Random) => string>> = {
  prose: (random) => paragraph(random, sentence),
  'two-byte': (random) => `\u201c${sentence(random)}\u201d \u2014 ${paragraph(random, sentence)}`,
  dense: (random) => paragraph(random, personalSentence),
  code: functionText,
  json: recordText,
  'same-letter': () => 'a'.repeat(4_096),
  digits: (random) => `${digit(random)}${pick(random, ['-', '.', ' ', ' ', '-', '', '', ':', '(', ')', '/', '+'])}`,
  'near-misses': (random) => `${pick(random, NEAR_MISSES)}${pick(random, [' ', ' ', '\n', ', ', '-', '.', '@', '+', ':'])}`,
  'all-hostile': (random) => MAKERS[pick(random, ['same-letter', 'digits', 'digits', 'near-misses', 'near-misses'] as const)](random).slice(0, 64),
};

const NOUNS = 'account answer balance book bridge budget calendar chapter city climate company contract customer decision department detail device document engine evening example expert family feature flight forest garden history hotel house idea invoice island journey kitchen language lesson letter library machine manager market meeting message method minute model moment morning mountain museum network number office option order painting paper partner pattern payment people period phone picture plan policy problem process product program project question reader reason recipe report request result river road room sample schedule school science season service shelf signal solution station story street student summer surface system table teacher team ticket town train travel tree update version village visitor water weather week window winter world'.split(' ');
const VERBS = 'accepted answered arranged asked brought built carried changed checked chose cleaned collected compared considered counted created described designed discussed drew explained followed found gave helped improved kept learned left listed measured mentioned moved noticed offered opened ordered planned prepared printed protected published read received recorded repaired repeated returned reviewed saved sent shared showed started stopped studied suggested taught tested told tried understood updated used visited wrote'.split(' ');
const ADJECTIVES = 'bright calm careful clear clever cold common complete daily deep early easy empty familiar fresh friendly gentle good green heavy honest large late local long modern narrow new old open patient plain pleasant quick quiet ready recent regular remarkable round serious sharp short silent simple slow small strong tall useful warm whole wide young'.split(' ');
const NAMES = 'Ana Boris Clara Dmitri Elena Farid Greta Hiro Ines Jonas Kofi Lena Marek Noor Olga Pablo Rosa Sven Tara Yusuf'.split(' ');
const LINKS = 'after although because before since so that though until when where which while'.split(' ');

function clause(random: Random): string {
  const subject = random() < 0.3 ? pick(random, NAMES) : `the ${random() < 0.5 ? `${pick(random, ADJECTIVES)} ` : ''}${pick(random, NOUNS)}`;
  return `${subject} ${pick(random, VERBS)} ${pick(random, ['a', 'the', 'every', 'another', 'our', 'its'])} ${pick(random, ADJECTIVES)} ${pick(random, NOUNS)} ${pick(random, ['in', 'of', 'for', 'with', 'near', 'about'])} the ${pick(random, NOUNS)}`;
}

function sentence(random: Random): string {
  const first = clause(random);
  const more = random() < 0.5 ? `${random() < 0.5 ? ',' : ''} ${pick(random, LINKS)} ${clause(random)}` : '';
  const aside = random() < 0.15 ? pick(random, [` in ${1900 + whole(random, 125)}`, `, about ${2 + whole(random, 97)} percent`, ` (see page ${1 + whole(random, 300)})`, `, it's said,`, ` at ${1 + whole(random, 11)}:30`]) : '';
  return `${(first[0] as string).toUpperCase()}${first.slice(1)}${more}${aside}${pick(random, ['.', '.', '.', '.', '?', '!', ':'])}`;
}

function paragraph(random: Random, of: (random: Random) => string): string {
  return `${Array.from({ length: 3 + whole(random, 4) }, () => of(random)).join(' ')}\n\n`;
}

/** A sentence that names something personal. */
function personalSentence(random: Random): string {
  return `${(random() < 0.5 ? sentence(random) : clause(random)).replace(/[.?!:]$/, '')}, ${pick(random, PERSONAL)(random)} was noted.`;
}

const PERSONAL: readonly ((random: Random) => string)[] = [
  (random) => `${pick(random, NAMES).toLowerCase()}.${pick(random, NOUNS)}@${pick(random, ['example.com', 'mail.example.org', 'example.net'])}`,
  (random) => `202-555-01${digit(random)}${digit(random)}`,
  (random) => `+1 202-555-01${digit(random)}${digit(random)}`,
  (random) => pick(random, ['4111 1111 1111 1111', '5500-0000-0000-0004', '6011000990139424', '4012888888881881']),
  (random) => pick(random, ['DE89370400440532013000', 'GB82WEST12345698765432']),
  (random) => pick(random, ['078-05-1120', '219-09-9999']),
  (random) => `${pick(random, ['203.0.113', '198.51.100', '192.0.2'])}.${20 + whole(random, 230)}`,
  (random) => `ghp_${mixed(random, 36)}`,
  (random) => `sk-proj-${mixed(random, 32)}`,
];

function functionText(random: Random): string {
  const name = `${pick(random, VERBS)}${pick(random, NOUNS)}`;
  const [list, item, field] = [pick(random, NOUNS), pick(random, NOUNS), pick(random, NOUNS)];
  return `/** ${sentence(random)} */\nexport function ${name}(${list}s: readonly Item[], limit = ${whole(random, 64)}): number {\n  let total = 0;\n` +
    `  for (const ${item} of ${list}s) {\n    if (${item}.${field} === undefined || total > limit) continue; // ${pick(random, ADJECTIVES)}\n` +
    `    total += Math.max(${whole(random, 10)}, ${item}.${field}['${pick(random, NOUNS)}'] ?? 0) * 0x${whole(random, 255).toString(16)};\n  }\n  return total;\n}\n\n`;
}

function recordText(random: Random): string {
  return `${JSON.stringify({ id: pick(random, NOUNS), name: pick(random, NAMES), active: random() < 0.5, amount: whole(random, 9_000) / 100, tags: [pick(random, NOUNS), pick(random, ADJECTIVES)], note: sentence(random), at: { page: whole(random, 400), part: null } })}\n`;
}

/** Each begins as a detector's match does and stops being one as late as can be. */
const NEAR_MISSES: readonly string[] = [
  'maria.kowalska+home@mail.example', 'a.b.c.d.e.f.g.h.i.j@k.l.m.n.o.p.1', "o'hara_99@", 'ana@example.c', '202-555-014', '+1 202-555-', '(202) 555-014x', '+44 20 7946 095',
  '4111 1111 1111 1112', '411111111111111', '5500-0000-0000-000', 'DE8937040044053201300', 'GB82WEST1234569876543', 'DE89 3704 0044 0532 0130 0', '078-05-112', '000-12-3456',
  '203.0.113', '203.0.113.999', '1.2.3.4.5.6.7.8', '2001:db8:0:0:0:', 'fe80::1ff:fe23:', '12:34:56:78:9a:bc', 'ghp_0123456789abcdefghijklmnopqrstuvwx', 'sk-proj-a1B2c3D4', 'sk-ant-api03-',
  'AKIAIOSFODNN7EXAMPL', 'eyJhbGciOiJIUzI1NiJ9', 'eyJhbGciOiJIUzI1NiJ9.eyJzdW', '-----BEGIN RSA PRIVATE KE', '-----BEGIN EC PRIVATE KEY----', 'xoxb-0000000000-', 'hooks.slack.com/services/T0000', 'AIza0123456789', 'sk_test_01234',
];

function pick<T>(random: Random, of: readonly T[]): T {
  return of[whole(random, of.length - 1)] as T;
}

/** A whole number from 0 to `most`. */
function whole(random: Random, most: number): number {
  return Math.floor(random() * (most + 1));
}

function digit(random: Random): string {
  return String(whole(random, 9));
}

function mixed(random: Random, length: number): string {
  return Array.from({ length }, () => pick(random, [...'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789'])).join('');
}
