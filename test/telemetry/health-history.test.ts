/** What is told of the health of parts: what is ill and since when, what turned, for how long, and how much of it. */
import t, { type Test } from 'tap';
import { CHANNELS } from '../../src/contract/channels.ts';
import { PARTS, type Part } from '../../src/contract/health.ts';
import { HealthHistory, KEPT_MS, PARTS_MAX, TURNS_MAX } from '../../src/telemetry/health-history.ts';

let now = 0;
const turn = (part: Part, healthy: boolean, detail = 'why'): void => CHANNELS.healthTold.publish({ part, healthy, detail, atMs: now });

function opened(t: Test): { readonly history: HealthHistory; at(ms: number): void } {
  now = 0;
  const history = new HealthHistory(() => now);
  t.teardown(() => history.close());
  return { history, at: (ms) => { now = ms; } };
}

t.test('what is ill stands first, since when, and what turned is told the newest first', async (t) => {
  const { history, at } = opened(t);
  turn('webhook', true);
  t.same([history.parts(), history.turns()], [[], []], 'what was always well is not told');
  at(1_000);
  turn('redis', false, 'it does not answer');
  at(2_000);
  turn('pager', false);
  at(3_000);
  turn('redis', false, 'it is asked again');
  t.match(history.parts(), [{ part: 'redis', healthy: false, detail: 'it is asked again', atMs: 1_000 }, { part: 'pager', atMs: 2_000 }]);
  at(4_000);
  turn('redis', true, 'it answers');
  t.same(history.parts().map(({ part, healthy, atMs }) => [part, healthy, atMs]), [['pager', false, 2_000], ['redis', true, 4_000]]);
  t.same(history.turns().map(({ part, healthy, atMs }) => [part, healthy, atMs]), [['redis', true, 4_000], ['pager', false, 2_000], ['redis', false, 1_000]]);
  at(1_000 + KEPT_MS);
  t.equal(history.turns().length, 3, 'a day');
  at(1_001 + KEPT_MS);
  t.equal(history.turns().length, 2, 'and no more');
});

t.test('the configuration, overdue reviews and stale policies are told too', async (t) => {
  const { history, at } = opened(t);
  const none = { low: 0, medium: 0, high: 0, critical: 0 };
  CHANNELS.configReloaded.publish({ ok: true, hash: 'a', issues: 0 });
  CHANNELS.reviewTold.publish({ kind: 'waiting', waiting: none, overdue: none });
  CHANNELS.policiesHeld.publish({ policies: [{ policy: 'acme', origin: 'disk', revision: 7, confirmedMs: 0 }, { policy: 'pinned@2', origin: 'store', revision: 2, confirmedMs: undefined }] });
  at(120_000);
  t.same(history.parts(), []);
  at(120_001);
  t.match(history.parts(), [{ part: 'policy acme', healthy: false, detail: /revision 7/, atMs: 0 }]);
  CHANNELS.configReloaded.publish({ ok: false, hash: 'a', issues: 2, message: 'weir.yaml:3:1 a value' });
  CHANNELS.reviewTold.publish({ kind: 'waiting', waiting: none, overdue: { ...none, high: 2, low: 1 } });
  t.same(history.parts().slice(1).map(({ part, detail }) => [part, detail]), [['configuration', 'it was refused for 2 issues, which the log names'], ['review deadlines', '3 items are overdue']]);
  CHANNELS.configReloaded.publish({ ok: true, hash: 'b', issues: 0 });
  CHANNELS.reviewTold.publish({ kind: 'waiting', waiting: none, overdue: none });
  t.same(history.parts().map(({ part, healthy }) => [part, healthy]), [['policy acme', false], ['configuration', true], ['review deadlines', true]]);
});

t.test('how far logs are behind, and since when; and of what nothing was heard', async (t) => {
  const { history, at } = opened(t);
  t.same([history.lags(), history.unheard()], [[], PARTS]);
  CHANNELS.auditShipped.publish({ lag: 0 });
  CHANNELS.decisionsIndexed.publish({ log: 'eu-1/a', taken: 1, lag: 9 });
  t.same(history.lags(), [{ part: 'audit_ship', entries: 0, sinceMs: undefined }], 'the index of a log from elsewhere is not told');
  at(1_000);
  CHANNELS.auditShipped.publish({ lag: 5 });
  CHANNELS.decisionsIndexed.publish({ log: '', taken: 1, lag: 2 });
  at(2_000);
  CHANNELS.auditShipped.publish({ lag: 7 });
  CHANNELS.auditReceived.publish({ log: 'eu-1/a', entries: 1, lag: 3 });
  t.same(history.lags().map(({ part, entries, sinceMs }) => [part, entries, sinceMs]), [['audit_ship', 7, 1_000], ['audit:eu-1/a', 3, 2_000], ['decisions', 2, 1_000]], 'since when nothing was behind');
  CHANNELS.auditShipped.publish({ lag: 0 });
  t.match(history.lags().find(({ part }) => part === 'audit_ship'), { entries: 0, sinceMs: undefined });
  for (let i = 0; i < 2 * PARTS_MAX; i++) CHANNELS.auditReceived.publish({ log: `log-${i}`, entries: 1, lag: 1 });
  t.equal(history.lags().length, PARTS_MAX, 'bounded');
  turn('redis', false);
  turn('classifier.vendor', false);
  t.same(history.unheard(), PARTS.filter((part) => part !== 'redis'));
});

t.test('it is bounded', async (t) => {
  const { history } = opened(t);
  for (let i = 0; i < PARTS_MAX; i++) turn(`audit:log-${i}`, false);
  t.equal(history.parts().length, PARTS_MAX);
  turn('audit:one-more', false);
  t.equal(history.parts().length, PARTS_MAX, 'one more is not told');
  for (let i = PARTS_MAX; i < TURNS_MAX; i++) turn('audit:log-0', i % 2 === 0);
  t.equal(history.turns().length, TURNS_MAX);
  turn('audit:log-1', true);
  t.equal(history.turns().length, TURNS_MAX, 'the oldest goes');
  t.match(history.turns()[0], { part: 'audit:log-1', healthy: true });
  t.equal(history.turns().at(-1)!.part, 'audit:log-1');
  history.close();
  turn('audit:log-1', false);
  t.match(history.parts().find(({ part }) => part === 'audit:log-1'), { healthy: true }, 'closed, it hears nothing');
});
