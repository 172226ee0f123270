/** How a part says how it is. */
import t from 'tap';
import { CHANNELS, type HealthChanged } from '../../src/contract/channels.ts';
import { PartHealth } from '../../src/contract/part-health.ts';

t.test('ill once for each kind of fault, well once, at once; who listens later hears the last fault', async (t) => {
  const health = new PartHealth('pager');
  const told: HealthChanged[] = [];
  const onHealth = (message: unknown): void => void told.push(message as HealthChanged);
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(onHealth));
  health.announce();
  health.well(() => 'never ill');
  t.same(told, []);
  health.ill('one', ['a']);
  health.ill('one, again', ['a']);
  health.ill('one and two', ['a', 'b']);
  health.ill('two', ['b']);
  health.announce();
  t.same(told.splice(0), ['one', 'one and two', 'one and two'].map((detail) => ({ part: 'pager', healthy: false, detail })));
  t.notOk(health.isWell);
  health.well(() => 'well');
  health.well(() => 'well, again');
  t.ok(health.isWell);
  health.ill('one', ['a']);
  t.same(told.map(({ healthy, detail }) => [healthy, detail]), [[true, 'well'], [false, 'one']]);
});
