/** The latest part of a text in pieces: any part that is not forgotten is what the whole text says, whatever was asked before. */
import fc from 'fast-check';
import t from 'tap';
import { Pieces } from '../../src/text/pieces.ts';
import { runs, seed } from '../helpers/runs.ts';

t.test('parts are those of the whole text, in any order of appending, asking and forgetting', async (t) => {
  const step = fc.oneof(
    fc.string({ maxLength: 9 }).map((text) => ({ text })),
    fc.tuple(fc.nat(30), fc.nat(30)).map(([back, length]) => ({ back, length })),
    fc.nat(20).map((keep) => ({ keep })),
    fc.nat(5).map((skip) => ({ skip })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const pieces = new Pieces();
      let [whole, kept] = ['', 0];
      for (const one of steps) {
        if ('text' in one) {
          pieces.append(one.text);
          whole += one.text;
        } else if ('keep' in one) {
          kept = Math.max(kept, whole.length - one.keep);
          pieces.forget(kept);
        } else if ('skip' in one) {
          pieces.skip(one.skip);
          whole += '?'.repeat(one.skip);
          kept = whole.length;
        } else {
          const start = Math.max(kept, whole.length - one.back);
          const end = Math.min(whole.length, start + one.length);
          if (pieces.slice(start, end) !== whole.slice(start, end)) return false;
        }
      }
      return pieces.end === whole.length;
    }),
    { numRuns: runs(3_000), seed },
  );
  t.pass(`seed ${seed}`);
});

t.test('of what was dropped nothing is left, and what follows it is still there', async (t) => {
  const pieces = new Pieces();
  pieces.append('dropped');
  pieces.append('kept');
  pieces.forget(7);
  t.equal(pieces.slice(6, 7), '');
  t.equal(pieces.slice(0, 9), 'ke');
  pieces.forget(11);
  t.equal(pieces.slice(10, 11), '', 'nothing is kept at all');
  pieces.append('!');
  t.equal(pieces.slice(10, 12), '!');
});
