/**
 * Which letters follow each other, from the project's own English prose, as 26 rows of 26 letters: 'm' is a pair as
 * frequent as chance would have it, every letter more or less two thirds of a factor of two. Enough to tell a text that
 * was rotated by thirteen letters from one that was not, and an `l` from an `i` behind the figure 1. Pure.
 */

const FOLLOWS = [
  'ampnclofrakqoramlpprnlijnj', 'laaaofacjhamcancajjdjaaana', 'oajcoeaqmaonaaqhanjplaaala', 'mcdlqdhaoahihcmjalndjacdka', 'qipqonkikfhontknmssqiololc',
  'laddmkaaoaajacoaamhklaaaha', 'lahdpchklaahijkhaklgmaaaaf', 'qgaaraacnaacecoaanhjlaaaha', 'kkpoolmaeahnorqlcnqqdmaiah', 'faaajaaacaaaaafaaaiagaaaaa',
  'gcadpdafjaaeakfeaalccaaaca', 'ogdmqiacpagojaogafmolggcma', 'pmciqacanacgkhnnaalalcaada', 'rcnqqlqamgmldlpjajrqpnafka', 'jjookolcldloosmrhqmopmnmfe',
  'pffcrdfjnaangaplaolnlcfeka', 'aaaaaaaaaaaeaaaaaaaanaaaaa', 'peknsfjaoajjklqiampnmkicnc', 'panhrgdmoajgigopegoqlelaia', 'oflgrffsragjgapkappnlajama',
  'likmoflcjaanppglannoaaacac', 'laacqaaalaaiaahaaaacaaaaea', 'mccaneapocaeallaakjcaaaaaa', 'jajakaafjaaddadjafaneaafma', 'fdgfhaaagaahghikaelmacfaad',
  'gaaaiaaafaaaaacaaaaajaaaed',
];
const CHANCE = 'm'.charCodeAt(0);

/** How much more frequent than by chance `b` follows `a`: numbers of letters, 1 for a and A, 0 for none. */
function followsBy(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : (FOLLOWS[a - 1] as string).charCodeAt(b - 1) - CHANCE;
}

const rotatedLetter = (letter: number): number => ((letter + 12) % 26) + 1;

/**
 * By two letters (`first << 5 | second`, numbers from 1): how much more the pair is like rotated prose than like prose.
 * Summed up along a text, never below 0, it stays low in prose of any Latin language and rises in rotated prose.
 */
export const ROTATION: Int8Array = rotation();

/** A sum of `ROTATION` above it means rotated prose: two words of it, or one long one. */
export const ROTATION_MIN = 24;

function rotation(): Int8Array {
  const table = new Int8Array(1024);
  for (let a = 1; a <= 26; a += 1) for (let b = 1; b <= 26; b += 1) table[(a << 5) | b] = followsBy(rotatedLetter(a), rotatedLetter(b)) - followsBy(a, b);
  return table;
}

/** Number of an ASCII letter, 1 for a and A; 0 for anything else. */
export function letterOf(code: number): number {
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x7a ? lower - 0x60 : 0;
}

/** How well `letter` stands between two others, which may be 0 for none. */
export function fitOf(before: number, letter: number, after: number): number {
  return followsBy(before, letter) + followsBy(letter, after);
}

/** Every ASCII letter thirteen letters on. */
export function rotate(text: string): string {
  const codes = Buffer.from(text, 'utf16le');
  for (let i = 0; i < codes.length; i += 2) {
    const letter = codes[i + 1] === 0 ? letterOf(codes[i] as number) : 0;
    if (letter > 0) codes[i] = (codes[i] as number) + rotatedLetter(letter) - letter;
  }
  return codes.toString('utf16le');
}
