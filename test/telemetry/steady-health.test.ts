/** What people hear of parts that come and go: few lines, and the same in log, page and metrics. */
import t, { type Test } from 'tap';
import { CHANNELS, listen, type HealthTold } from '../../src/contract/channels.ts';
import type { Part } from '../../src/contract/health.ts';
import { holdSteadyHealth, PARTS_MAX, SteadyHealth, WELL_MS } from '../../src/telemetry/steady-health.ts';
import { until } from '../helpers/house.ts';

const turn = (part: Part, healthy: boolean, detail = 'why'): void => CHANNELS.healthChanged.publish({ part, healthy, detail });

function listening(t: Test, wellMs?: { readonly min: number; readonly max: number }): { readonly told: HealthTold[]; readonly steady: SteadyHealth; at(ms: number): void } {
  let now = 0;
  const steady = new SteadyHealth(() => now, wellMs);
  const told: HealthTold[] = [];
  const onTold = (message: unknown): void => void told.push(message as HealthTold);
  CHANNELS.healthTold.subscribe(onTold);
  t.teardown(() => (steady.close(), CHANNELS.healthTold.unsubscribe(onTold)));
  return { told, steady, at: (ms) => { now = ms; } };
}

t.test('ill is told at once, each fault of it; well when it lasts, from when it turned', async (t) => {
  const { told, at } = listening(t, { min: 20, max: 20 });
  turn('redis', true, 'never ill');
  at(1_000);
  turn('redis', false, 'one');
  turn('redis', false, 'two');
  at(2_000);
  turn('redis', true, 'it answers');
  turn('redis', true, 'it answers still');
  at(9_000);
  t.equal(told.length, 2, 'not yet');
  await until(() => told.length > 2, 'the end');
  t.same(told.map(({ healthy, detail, atMs }) => [healthy, detail, atMs]), [[false, 'one', 1_000], [false, 'two', 1_000], [true, 'it answers', 2_000]]);
});

t.test('what flaps is ill all the while, and has to be well for longer each time', async (t) => {
  const { told, steady } = listening(t, { min: 5, max: 3_600_000 });
  for (let round = 0; round < 30; round++) {
    turn('redis', false);
    turn('redis', true);
  }
  turn('pager', false);
  t.same(told.map(({ part, healthy }) => [part, healthy]), [['redis', false], ['pager', false]]);
  turn('pager', true);
  await until(() => told.length > 2, 'the end of what did not flap');
  t.match(told[2], { part: 'pager', healthy: true });
  turn('pager', false);
  turn('pager', true);
  await until(() => told.length > 4, 'soon after: in twice the time');
  t.same(told.slice(3).map(({ part, healthy }) => [part, healthy]), [['pager', false], ['pager', true]]);
  steady.close();
  t.match(told.slice(5), [{ part: 'redis', healthy: true }], 'what waits is told at the end');
  turn('redis', false);
  t.equal(told.length, 6, 'closed, it hears nothing');
});

t.test('the waits are short at first and bounded, and so is the number of parts', async (t) => {
  t.same(WELL_MS, { min: 1_000, max: 3_000 });
  const { told } = listening(t);
  for (let i = 0; i <= PARTS_MAX; i++) turn(`audit:log-${i}`, false);
  t.equal(told.length, PARTS_MAX);
  turn('audit:log-0', false, 'another fault');
  t.equal(told.length, PARTS_MAX + 1, 'those that are known are told');
});

t.test('however many Weirs run in a process, each turn is told once', async (t) => {
  const told: HealthTold[] = [];
  t.teardown(listen({ healthTold: (one) => void told.push(one) }));
  const [one, other] = [holdSteadyHealth(), holdSteadyHealth()];
  CHANNELS.healthChanged.publish({ part: 'redis', healthy: false, detail: '' });
  t.equal(told.length, 1);
  one();
  CHANNELS.healthChanged.publish({ part: 'pager', healthy: false, detail: '' });
  t.equal(told.length, 2, 'as long as one of them runs');
  CHANNELS.healthChanged.publish({ part: 'pager', healthy: true, detail: '' });
  other();
  t.same(told.map(({ part, healthy }) => [part, healthy]), [['redis', false], ['pager', false], ['pager', true]], 'what waits is told with the last');
  CHANNELS.healthChanged.publish({ part: 'redis', healthy: false, detail: '' });
  t.equal(told.length, 3, 'and then nobody listens');
});
