/**
 * Words spoilt as people spoil them, by mistake or to slip through: letters swapped, left out or doubled, spaces left out,
 * figures for letters, stars. What a view undoes (single spaced letters, look-alikes) is not made here. Pure.
 */
const FIGURES: Readonly<Record<string, string>> = { a: '4', e: '3', i: '1', o: '0', s: '5', t: '7' };
const WORD_CHARS_MIN = 4;

export function spoilt(text: string, random: () => number): string {
  const way = Math.floor(random() * 6);
  if (way === 5) return joined(text, random);
  const words = text.split(' ');
  const times = 1 + Math.floor(random() * 3);
  for (let time = 0; time < times; time += 1) {
    const at = Math.floor(random() * words.length);
    if (words[at].length >= WORD_CHARS_MIN) words[at] = spoiltWord(words[at], way, random);
  }
  return words.join(' ');
}

function spoiltWord(word: string, way: number, random: () => number): string {
  const at = 1 + Math.floor(random() * (word.length - 2));
  switch (way) {
    case 0: return word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2);
    case 1: return word.slice(0, at) + word.slice(at + 1);
    case 2: return word.slice(0, at) + word[at] + word.slice(at);
    case 3: return [...word].map((char) => FIGURES[char] ?? char).join('');
    default: return `${word.slice(0, at)}${random() < 0.5 ? '*' : ' '}${word.slice(at + (random() < 0.5 ? 1 : 0))}`;
  }
}

/** Some of the spaces left out, or all. */
function joined(text: string, random: () => number): string {
  const share = random() < 0.3 ? 1 : 0.4;
  return text.replaceAll(/ /g, (space) => (random() < share ? '' : space));
}
