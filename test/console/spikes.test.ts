/** Which columns stand out: what is far above the usual of its window, and never the usual itself. */
import fc from 'fast-check';
import t from 'tap';
import { medianOf, spikesOf } from '../../src/console/spikes.ts';

t.test('what stands out, and what does not', async (t) => {
  const at = (values: readonly number[]): readonly number[] => spikesOf(values).map(({ index }) => index);
  t.same(at([10, 12, 9, 11, 60, 10, 8, 12]), [4]);
  t.same(spikesOf([10, 12, 9, 11, 60, 10, 8, 12])[0], { index: 4, value: 60, usual: 10.5 });
  t.same(at([0, 1, 0, 1, 9, 0, 1, 1]), [4]);
  t.same(at([0, 1, 0, 1, 4, 0, 1, 1]), [], 'few of anything are no spike');
  t.same(at([0, 0, 0, 0, 90, 0, 0, 0]), [], 'nor is the only thing that happened');
  t.same(at([100, 110, 95, 105, 130, 100]), [], 'nor is what is a little more');
  t.same(at([50, 5, 60, 4, 55, 6, 52, 5]), [], 'nor what comes and goes');
  t.same(at([]), []);
});

t.test('even columns have no spike, whatever their height, and one that is much higher is one', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 8, max: 40 }), fc.nat(), (height, length, place) => {
    const even = Array.from({ length }, () => height);
    const spiked = even.with(place % length, height * 10 + 50);
    return spikesOf(even).length === 0 && spikesOf(spiked).length === 1 && spikesOf(spiked)[0]!.index === place % length;
  }));
});

t.test('a median has half on either side', async () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1 }), (values) => {
    const median = medianOf(values);
    return values.filter((value) => value < median).length <= values.length / 2 && values.filter((value) => value > median).length <= values.length / 2;
  }));
});
