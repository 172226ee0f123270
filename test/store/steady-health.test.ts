/** How a part is told that comes and goes. */
import t from 'tap';
import { CHANNELS, type HealthChanged } from '../../src/contract/channels.ts';
import { SteadyHealth } from '../../src/store/steady-health.ts';
import { until } from '../helpers/house.ts';

function listening(t: { teardown(work: () => void): void }): { readonly health: SteadyHealth; readonly told: HealthChanged[] } {
  const health = new SteadyHealth('part');
  const told: HealthChanged[] = [];
  const onHealth = (message: unknown): void => void told.push(message as HealthChanged);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => {
    health.close();
    CHANNELS.healthChanged.unsubscribe(onHealth);
  });
  return { health, told };
}

t.test('ill is told at once and once, well when it lasts, and later where it did not last', async (t) => {
  const { health, told } = listening(t);
  health.announce();
  health.well(() => 'never ill');
  t.same(told, []);
  health.ill('first');
  health.ill('second');
  t.same(told, [{ part: 'part', healthy: false, detail: 'first' }]);
  health.well(() => 'not yet');
  health.ill('third');
  const startMs = performance.now();
  let count = 0;
  health.well(() => `well after ${count} calls`);
  health.well(() => 'told already that it will be told');
  count = 7;
  await until(() => told.length > 1, 'the end');
  const firstMs = performance.now() - startMs;
  t.same(told[1], { part: 'part', healthy: true, detail: 'well after 7 calls' }, 'as it is when it is told');
  t.ok(health.isWell);
  health.ill('again');
  const againMs = performance.now();
  health.well(() => 'well');
  await until(() => told.length > 3, 'the second end');
  const secondMs = performance.now() - againMs;
  t.comment(`${firstMs.toFixed(0)} ms, then ${secondMs.toFixed(0)} ms`);
  t.ok(firstMs > 900 && secondMs > 1_900, 'who fell ill again soon after has to be well for longer');
});

t.test('another kind of fault is told, too; who listens later hears the last one; none after the end', async (t) => {
  const { health, told } = listening(t);
  health.ill('one', ['a']);
  health.ill('one and two', ['a', 'b']);
  health.ill('two', ['b']);
  health.announce();
  t.same(told.map(({ detail }) => detail), ['one', 'one and two', 'one and two']);
  health.well(() => 'well');
  health.close();
  await new Promise((done) => setTimeout(done, 1_500));
  t.equal(told.length, 3);
});
