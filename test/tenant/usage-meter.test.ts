/** What is counted of exchanges, and that each counts once whatever the store does. */
import t from 'tap';
import type { ExchangeRecord } from '../../src/contract/exchange.ts';
import { WeirError } from '../../src/contract/errors.ts';
import { MemoryUsageStore, type UsageBatch } from '../../src/store/usage.ts';
import { UsageMeter } from '../../src/tenant/usage-meter.ts';

const DECISION = { action: 'redact', triggered_rules: [], classifier_results: [], coverage: { screened: [], exempt: [], opaque: [] }, degraded: [], redactions: 2, latency_ms: 0 } as const;

function exchange(more: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return { kind: 'exchange', request_id: 'r', tenant_id: 'acme', key_id: 'k1', method: 'POST', route: '/v1/chat/completions', stream: false, outcome: 'completed', status: 200, held_chars_max: 0, held_ms_total: 0, request_bytes: 1, response_bytes: 1, started_at: '2030-01-02T03:59:59.999Z', duration_ms: 90_000, ...more };
}

const known = (id: string): boolean => id !== '-';

t.test('rows are by tenant, key and the hour in which an exchange began', async (t) => {
  const store = new MemoryUsageStore();
  const meter = new UsageMeter({ store, isTenant: known });
  meter.count(exchange({ usage: { prompt_tokens: 10, completion_tokens: 20 } }));
  meter.count(exchange({ outcome: 'blocked', usage: { prompt_tokens: 0, completion_tokens: 0 } }));
  meter.count(exchange({ outcome: 'refused' }));
  meter.count(exchange({ input: DECISION, output: DECISION, usage: { prompt_tokens: 1, completion_tokens: 2, estimated: true } }));
  meter.count(exchange({ started_at: '2030-01-02T04:00:00.000Z' }));
  meter.count(exchange({ key_id: undefined }));
  meter.count(exchange({ tenant_id: '-' }));
  await meter.close();
  const empty = { refused: 0, blocked: 0, redacted: 0, prompt_tokens: 0, completion_tokens: 0, estimated: 0 };
  t.same(await store.read({ limit: 9 }), [
    { tenant_id: 'acme', key_id: 'k1', hour: '2030-01-02T04:00:00Z', ...empty, requests: 1 },
    { tenant_id: 'acme', key_id: '', hour: '2030-01-02T03:00:00Z', ...empty, requests: 1 },
    { tenant_id: 'acme', key_id: 'k1', hour: '2030-01-02T03:00:00Z', requests: 4, refused: 1, blocked: 1, redacted: 1, prompt_tokens: 11, completion_tokens: 22, estimated: 1 },
  ]);
});

t.test('each exchange counts once, though the store fails before and after it has done what it was asked', async (t) => {
  const store = new MemoryUsageStore();
  const faults = ['before', 'after', 'before', 'after', undefined, 'after'];
  const meter = new UsageMeter({
    flushMs: 1_000_000, isTenant: known,
    store: {
      read: (question) => store.read(question),
      tenantAfter: (id) => store.tenantAfter(id),
      drop: (...asked) => store.drop(...asked),
      forgetProcesses: (before) => store.forgetProcesses(before),
      async add(batch: UsageBatch, now: string) {
        const fault = faults.shift();
        if (fault === 'before') throw new WeirError('store_unavailable');
        await store.add(batch, now);
        if (fault === 'after') throw new WeirError('store_unavailable');
      },
    },
  });
  for (let i = 0; i < 12; i++) {
    meter.count(exchange());
    await meter.flush();
  }
  await meter.close();
  t.match(await store.read({ limit: 9 }), [{ requests: 12 }]);
});

t.test('without a store nothing is counted and nothing is kept', async (t) => {
  const meter = new UsageMeter({ store: undefined, isTenant: known });
  meter.count(exchange());
  await meter.close();
  t.pass();
});

t.test('more rows than one batch holds', async (t) => {
  const store = new MemoryUsageStore();
  const meter = new UsageMeter({ store, isTenant: known });
  for (let i = 0; i < 2_500; i++) meter.count(exchange({ key_id: `k${i}` }));
  await meter.close();
  t.equal((await store.read({ limit: 9_999 })).length, 2_500);
});
