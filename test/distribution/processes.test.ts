/**
 * Changes of stored policies between processes, each with its own data folder: how soon one is live in the other, by
 * messages and without, and that a tenant whose policy nobody has is not let through.
 */
import t, { type Test } from 'tap';
import { blocking, blocks, until } from '../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../helpers/postgres.ts';
import { REDIS_MISSING, between, freePort, redisAdmin, startRedis } from '../helpers/redis-server.ts';
import { openProvider, ORPHAN_KEY, startControl, startProxy, type Replica } from '../helpers/replicas.ts';
import { runs } from '../helpers/runs.ts';
import { spread } from '../helpers/spread.ts';

/** How long each of `count` changes takes from the answer of the API to the other process, in turn from each that can. */
async function changes(count: number, from: readonly Replica[], to: readonly Replica[], first: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const [changing, seeing] = [from[i % from.length]!, to[i % to.length]!];
    const status = await changing.put('acme', first + i, blocking(`Bird${first + i}`));
    if (status > 201) throw new Error(`change ${i} was answered with ${status}`);
    times.push(await until(blocks(seeing, `Bird${first + i}`), 'the change'));
  }
  return times;
}

/** `boundMs` is ten times what is promised: this machine does other things, too. */
function told(t: Test, what: string, times: readonly number[], boundMs: number): void {
  const { p50, worst, line } = spread(times);
  t.comment(`${what}: ${line}`);
  t.ok(p50 < boundMs, `half within ${boundMs} ms`);
  t.ok(worst < Math.max(boundMs, 20_000), 'none is lost');
}

t.test('two control planes over one store: each change of one is live in the other', { skip: POSTGRES_MISSING || REDIS_MISSING, timeout: 300_000 }, async (t) => {
  const upstream = await openProvider(t);
  const port = await freePort();
  await startRedis(t, port);
  const config = { store: { url: await openPostgresSchema(t) } };
  const pair = await Promise.all([startControl(t, upstream, port, config), startControl(t, upstream, port, config)]);
  told(t, 'live in the other process', await changes(runs(50), pair, [...pair].reverse(), 0), 1_000);
});

t.test('a proxy that has only Redis hears of each change, and without messages within five seconds', { skip: REDIS_MISSING, timeout: 600_000 }, async (t) => {
  const upstream = await openProvider(t);
  const port = await freePort();
  await startRedis(t, port);
  const control = await startControl(t, upstream, port);
  let deaf = false;
  const listening = (said: Buffer): boolean => deaf && said.includes('weir-messages');
  const proxy = await startProxy(t, upstream, await between(t, port, { cuts: listening }));
  t.equal(await proxy.chat('fine'), 503, 'an empty Redis is no policy');
  told(t, 'with messages', await changes(runs(50), [control], [proxy], 0), 1_000);

  const door = await redisAdmin(t, port);
  deaf = true;
  await door.call('CLIENT', ['KILL', 'TYPE', 'pubsub']);
  const seen = spread(await changes(runs(3), [control], [proxy], runs(50)));
  t.comment(`with no connection for messages: ${seen.line}`);
  t.ok(seen.worst < 20_000, 'five seconds, but for a machine at work');
  t.match(await proxy.metrics(), /^weir_policy_source\{[^}]*policy="acme"[^}]*source="redis"[^}]*\} [1-9]/m);

  deaf = false;
  await until(async () => {
    const heard = await door.call<readonly [channel: string, listeners: number]>('PUBSUB', ['NUMSUB', 'weir:policies']);
    return heard.ok && heard.value[1] === 2;
  }, 'both to listen again');
  told(t, 'with messages again', await changes(runs(5), [control], [proxy], runs(50) + runs(3)), 1_000);
  t.equal(await proxy.chat('fine', ORPHAN_KEY), 503, 'a policy that nobody has is no leave');
});
