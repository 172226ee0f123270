/**
 * Words before a candidate: what the shared tree of all lists says is what a plain search for each word of one list says,
 * for every length, over random texts made of the words themselves, their neighbours and what case and folding do to them.
 */
import fc from 'fast-check';
import t from 'tap';
import { ContextWords } from '../../src/match/context.ts';
import { runs, seed } from '../helpers/runs.ts';

const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u;
const LETTER = /\p{L}/u;
const LETTER_OR_DIGIT = /[\p{L}\p{N}]/u;
const plainly = (text: string): string => text.toLowerCase().replace(/[\s_-]+/g, ' ');

/** The oracle: looks for each word of the list in turn. */
function standsBefore(list: readonly string[], chars: number, before: string): boolean {
  const near = plainly(before.slice(-chars));
  return list.map(plainly).some((word) => {
    for (let at = near.indexOf(word); at >= 0 && at <= near.length; at = near.indexOf(word, at + 1)) {
      if (UNSPACED.test(word)) return true;
      const cutBehind = LETTER_OR_DIGIT.test(near.charAt(at - 1));
      const cutAhead = LETTER.test(word.charAt(word.length - 1)) && LETTER.test(near.charAt(at + word.length));
      if (!cutBehind && !cutAhead) return true;
      if (at === near.length) return false;
    }
    return false;
  });
}

const WORDS = ['id', 'id no', 'ID-No.', 'idno', 'd', ' id', 'no_', '-', 'a/c', '#', 'no 7', '7', 'i', 'né le', 'снилс', 'ΑΜΚΑΣ', 'σας', 'İd', 'i̇', '番号', '番', 'k', 'รหัส', '𐐀d', '𐐨', '😀 id', '\u0000', 'id id id', 'dx'];
const MORE = ['', ' ', '  ', '\n\t', '_', '--', ' -_ ', '1', '.', 'x', 'X', 'é', '\u00a0', '\u212a', 'Σ', 'ς', 'İ', '😀', '\ud83d', '\ud801', '\udc00', '𐐀', '丮', 'ⅷ', '\ufeff', 'ſ', '中'];
const piece = fc.oneof(fc.constantFrom(...WORDS), fc.constantFrom(...WORDS).map((word) => word.toUpperCase()), fc.constantFrom(...MORE), fc.constantFrom(...MORE), fc.string({ maxLength: 3, unit: 'binary' }));
const lists = fc.array(fc.record({ words: fc.array(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 4 }), chars: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constantFrom(24, 64)) }), { minLength: 1, maxLength: 8 });

t.test('the tree says what a search for each word says', async () => {
  fc.assert(fc.property(lists, fc.array(fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join('')), { minLength: 1, maxLength: 6 }), (all, befores) => {
    const words = new ContextWords();
    const ask = all.map(({ words: list, chars }) => words.add(list, chars));
    for (const before of befores) {
      for (const [i, { words: list, chars }] of all.entries()) {
        const wanted = standsBefore(list, chars, before);
        if (ask[i]!(before) !== wanted) throw new Error(`${JSON.stringify(list)} within ${chars} of ${JSON.stringify(before)}: expected ${wanted}`);
      }
    }
  }), { seed, numRuns: runs(5_000) });
});

t.test('words, boundaries, lengths', async (t) => {
  const words = new ContextWords();
  const near = words.add(['id no', 'αμκας'], 8);
  const far = words.add(['id no', '番号'], 64);
  const any = words.add(['', 'x'], 3);
  t.same([near(''), far(''), any('')], [false, false, true], 'an empty word stands everywhere');
  t.same([near('grid-NO. '), far('grid-NO. ')], [false, false]);
  t.same([near('id no 123'), far('id no 123')], [false, true]);
  t.same([near('grid no 12'), far('grid no 12')], [true, false], 'a list does not see what stands before its length');
  t.same([near('ID_\n-NO: '), far('😀 ID_\n-NO: 𐐀')], [false, true], 'units of UTF-16 count as written');
  t.same([near('ΑΜΚΑΣ '), near('ΑΜΚΑΣΙ ')], [true, false], 'a capital sigma ends a word otherwise');
  t.same([far('個人番号12'), far('id node ')], [true, false]);
  const added = words.add(['node'], 64);
  t.ok(added('id node '), 'a list that comes later asks about the same context');
});

t.test('folding by unit is folding of the whole', async (t) => {
  for (let point = 0x1f000; point < 0x1fc00; point += 1) if (String.fromCodePoint(point).toLowerCase() !== String.fromCodePoint(point)) t.fail(`U+${point.toString(16)} has a case`);
  const different: string[] = [];
  for (let from = 0; from < 0x10000; from += 0x1000) {
    const characters = Array.from({ length: 0x1000 }, (_, i) => String.fromCharCode(from + i));
    const words = new ContextWords();
    const ask = characters.map((character) => words.add([character], 4));
    characters.forEach((character, i) => {
      for (const before of [`. ${character}.`, `. ${character.toUpperCase()}.`]) if (ask[i]!(before) !== standsBefore([character], 4, before)) different.push(`U+${(from + i).toString(16)}`);
    });
  }
  t.same(different, []);
});
