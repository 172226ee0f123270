/** The breaker against a trivial model over random schedules, and each of its rules by hand. */
import t from 'tap';
import { Breaker, type CallEnd, type Pass } from '../../src/screen/breaker.ts';

const settings = { failures: 3, openMs: 100 };

function failed(breaker: Breaker, times: number, nowMs = 0): void {
  for (let i = 0; i < times; i += 1) breaker.leave(breaker.enter(nowMs)!, 'failed', nowMs);
}

t.test('it opens at the limit of failures in a row, and not below', async (t) => {
  const breaker = new Breaker(settings);
  failed(breaker, 2);
  breaker.leave(breaker.enter(0)!, 'answered', 0);
  failed(breaker, 2);
  t.equal(breaker.state(0), 'closed', 'an answer begins the count anew');
  failed(breaker, 1);
  t.equal(breaker.state(0), 'open');
  t.equal(breaker.enter(99), undefined);
});

t.test('one probe at a time; it closes or opens', async (t) => {
  const breaker = new Breaker(settings);
  failed(breaker, 3);
  t.equal(breaker.state(100), 'half_open');
  const probe = breaker.enter(100)!;
  t.ok(probe.probe);
  t.equal(breaker.enter(100), undefined, 'a second one is refused');
  t.notOk(breaker.admits(5_000), 'however long the first one takes');
  breaker.leave(probe, 'failed', 150);
  t.equal(breaker.state(249), 'open', 'the time counts from the failed probe');
  const second = breaker.enter(250)!;
  breaker.leave(second, 'abandoned', 260);
  t.ok(breaker.enter(260)?.probe, 'a probe that nobody waited for says nothing: another may try');
  breaker.leave({ ...second }, 'answered', 270);
  t.equal(breaker.state(270), 'closed');
});

t.test('what began in another state counts for nothing', async (t) => {
  const breaker = new Breaker(settings);
  const early = [breaker.enter(0)!, breaker.enter(0)!, breaker.enter(0)!, breaker.enter(0)!];
  failed(breaker, 3);
  breaker.leave(early[0]!, 'answered', 1);
  t.equal(breaker.state(1), 'open', 'an old answer does not close it');
  breaker.leave(breaker.enter(100)!, 'answered', 100);
  for (const pass of early) breaker.leave(pass, 'failed', 101);
  t.equal(breaker.state(101), 'closed', 'old failures do not open it');
});

/** The same in the plainest words: a list of what happened since the last change of state. */
class Model {
  mode: 'closed' | 'open' = 'closed';
  since = 0;
  generation = 0;
  probes = 0;
  recent: boolean[] = [];

  stateAt(now: number): string {
    return this.mode === 'closed' ? 'closed' : now - this.since >= settings.openMs ? 'half_open' : 'open';
  }

  enter(now: number): { generation: number; probe: boolean } | undefined {
    const state = this.stateAt(now);
    if (state === 'open' || (state === 'half_open' && this.probes > 0)) return undefined;
    if (state === 'half_open') this.probes += 1;
    return { generation: this.generation, probe: state === 'half_open' };
  }

  leave(pass: { generation: number; probe: boolean }, end: CallEnd, now: number): void {
    if (pass.generation !== this.generation) return;
    if (pass.probe) this.probes = 0;
    if (end === 'abandoned') return;
    this.recent.push(end === 'answered');
    const tail = this.recent.slice(-settings.failures);
    if (pass.probe && end === 'answered') this.#become('closed', now);
    else if (pass.probe || (tail.length === settings.failures && tail.every((ok) => !ok))) this.#become('open', now);
  }

  #become(mode: 'closed' | 'open', now: number): void {
    Object.assign(this, { mode, since: now, generation: this.generation + 1, probes: 0, recent: [] });
  }
}

/** Small and fast, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

t.test('10,000 random schedules: equal to the model in every step', async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1e9);
  const reached = new Set<string>();
  for (let schedule = 0; schedule < 10_000; schedule += 1) {
    const random = randomFrom(seed + schedule);
    const breaker = new Breaker(settings);
    const model = new Model();
    const passes: { real: Pass; model: { generation: number; probe: boolean } }[] = [];
    let now = 0;
    for (let step = 0; step < 60; step += 1) {
      now += random() < 0.2 ? Math.floor(random() * 130) : 0;
      let same: boolean;
      if (passes.length === 0 || random() < 0.5) {
        const admits = breaker.admits(now);
        const [real, modelled] = [breaker.enter(now), model.enter(now)];
        same = admits === (modelled !== undefined) && real?.probe === modelled?.probe;
        if (real !== undefined && modelled !== undefined) passes.push({ real, model: modelled });
      } else {
        const [pass] = passes.splice(Math.floor(random() * passes.length), 1);
        const dice = random();
        const end: CallEnd = dice < 0.6 ? 'failed' : dice < 0.9 ? 'answered' : 'abandoned';
        breaker.leave(pass!.real, end, now);
        model.leave(pass!.model, end, now);
        same = true;
      }
      reached.add(model.stateAt(now));
      if (!same || breaker.state(now) !== model.stateAt(now)) return t.fail(`seed ${seed + schedule}, step ${step}: ${breaker.state(now)}, the model is ${model.stateAt(now)}`);
    }
  }
  t.same([...reached].sort(), ['closed', 'half_open', 'open'], `seed ${seed}`);
});
