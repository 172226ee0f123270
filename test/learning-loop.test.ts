/**
 * From what got through to a model that finds it, and back, as its users go that way: a running Weir, its proxy port, its
 * API and its commands, and nothing else. Made-up prompts want the code of a safe that does not exist: a violation which no
 * shipped model knows, planted with known shares. People who see the text alone label what campaigns draw and decide what
 * waits for review; a model learns from it, is measured on what it did not see, works, and is taken back.
 */
import t from 'tap';
import { PLANTED_CATEGORY, plantedPrompts } from '../src/cli/demo/traffic.ts';
import { randomOf } from '../src/learn/measure.ts';
import { until } from './helpers/house.ts';
import { openLoop, type LoopPlace } from './helpers/loop.ts';

t.setTimeout(600_000);

const POLICY = `policy: shop
patterns:
  - { id: vault, label: VAULT, literal: [vault code], ignore_case: true }
rules:
  - { id: leak, priority: 1, direction: input, when: { score: ${PLANTED_CATEGORY}, gte: 0.5 }, action: block }
  - { id: look, priority: 2, direction: input, when: { score: patterns.vault, gte: 1 }, action: escalate, severity: low }
`;
/** Prompts of each tenant, and how many of them want the code: below and above the claim of 2 %. */
const SENT = { calm: { prompts: 600, violations: 3, seed: 11 }, busy: { prompts: 600, violations: 150, seed: 12 } } as const;
type Tenant = keyof typeof SENT;
/** So large a share is drawn that chance hardly moves the estimate out of an interval that is made for endless traffic. */
const DRAWN_PERCENT = 75;
const TENANTS: readonly Tenant[] = ['calm', 'busy'];
const PEOPLE = ['ana', 'ben', 'cyd'];
const HEAD = 'prompt_leak';
/** As `learn.gate` has it by itself: of some ten intervals at 95 %, one is often beside its value. */
const MARGIN = 0.01;
const LEARN = { shadow: { cpu_percent: 100, queue_max: 1_000 } };
/** At the lowest priority, beside whatever else runs. */
const TRAINING_MS = 200_000;

const data = { content: 'original', campaigns: true, learning: true };
const campaign = (id: Tenant): object => ({ id, tenants: [id], directions: ['input'], strata: [{ id: 'all', probability_percent: DRAWN_PERCENT }] });
const many = { daily_max: 5_000, violations_daily_max: 5_000, agreement_percent: 92 };

async function drawn(place: LoopPlace, id: Tenant): Promise<any> {
  return (await place.api('GET', `risk/campaigns/${id}`)).body;
}

async function entries(place: LoopPlace, kind: string): Promise<readonly any[]> {
  return (await place.api('GET', `audit?kind=${kind}&limit=200`)).body.entries;
}

t.test('what got through is drawn, labelled, learnt, found, and taken back', async (t) => {
  const place = await openLoop(t, {
    tenants: { calm: { data }, busy: { data } }, policy: POLICY,
    config: { review: { double_blind_percent: 0 }, risk: { campaigns: TENANTS.map(campaign), annotation: many }, learn: LEARN },
  });
  const prompts = (tenant: Tenant, seed = SENT[tenant].seed) => plantedPrompts(SENT[tenant].prompts, SENT[tenant].violations, randomOf(seed));

  await t.test('the shipped models let it through, and a campaign says how much', async (t) => {
    const items = plantedPrompts(200, 100, randomOf(13)).map(({ text, isViolation }) => (isViolation ? { text, direction: 'input', label: 'violation', category: PLANTED_CATEGORY } : { text, direction: 'input', label: 'safe' }));
    t.match(await place.api('POST', 'risk/calibration', { items }), { status: 200, body: { added: 200 } });
    for (const tenant of TENANTS) {
      const statuses = await place.sendAll(tenant, prompts(tenant).map(({ text }) => text));
      t.same(statuses.filter((status) => status !== 200), [], 'nothing is blocked');
    }
    for (const tenant of TENANTS) {
      await until(async () => (await entries(place, 'exchange')).length === 200, 'entries');
      let before = -1;
      await until(async () => { const { total: { drawn: now } } = await drawn(place, tenant); const isStill = now === before && now > 0; before = now; return isStill; }, 'all tasks');
    }
    t.comment(`${await place.label(PEOPLE)} labels, ${await place.review('dan')} verdicts`);
    for (const tenant of TENANTS) {
      const { total, claim, agreement } = await drawn(place, tenant);
      const { prompts: all, violations } = SENT[tenant];
      t.comment(`${tenant}: planted ${violations} of ${all}; ${total.violations} of ${total.labelled} labelled, ${JSON.stringify(total.interval)}; ${claim.state}; ${agreement.items} labelled by two`);
      t.ok(total.drawn > all * DRAWN_PERCENT / 100 - 100 && total.drawn < all * DRAWN_PERCENT / 100 + 100);
      t.equal(total.labelled, total.drawn);
      t.ok(total.interval.low <= violations / all && violations / all <= total.interval.high, 'the interval holds what was planted');
      t.match(agreement, { raw: 1 });
      t.ok(agreement.items > 0.03 * total.drawn, 'two people labelled some of it');
      t.equal(claim.state, tenant === 'calm' ? 'met' : 'contradicted');
    }
    t.match(await place.weirSays('risk', 'verify'), /1200 exchanges: every draw is as the seed says/);
    const { body: { annotators } } = await place.api('GET', 'risk/annotators');
    for (const { annotator_id: id, state, calibration } of annotators) t.match([id, state, calibration.n > 0, calibration.agreement], [/ana|ben|cyd/, 'active', true, 1], `${id}: ${calibration.n} known answers`);
  });

  let model = '';
  await t.test('a model learns it from labels and verdicts, and forgets nothing', async (t) => {
    const { about } = await place.json('learn', 'collect');
    t.ok(about.rows > 800 && about.by_source.annotation > 700 && about.by_source.verdict > 10, JSON.stringify([about.rows, about.by_source, about.parts]));
    const made = await place.json('learn', 'train', 'prompt-injection', '--dataset', 'latest', '--seed', '5');
    model = made.model_id;
    const measured = made.evaluation.find(({ category }: any) => category === HEAD);
    for (const [of, all] of [['held out', made.evaluation], ['texts of the project', made.regression]] as const) for (const { category, n, positives, recall_change, false_positive_change } of all) t.comment(`${of}, ${category}: n ${n}, ${positives} violations, recall ${JSON.stringify(recall_change)}, false positives ${JSON.stringify(false_positive_change)}`);
    t.ok(measured.base.recall.high < 0.2, 'the shipped one misses it');
    t.ok(measured.recall_change.low > 0.3, 'recall rises on what it did not see');
    for (const { category, recall_change: recall, false_positive_change: alarms } of [...made.evaluation, ...made.regression]) {
      t.ok(recall.value === null || recall.high >= -MARGIN, `${category}: recall does not fall beyond its interval`);
      t.ok(alarms.value === null || alarms.low <= MARGIN, `${category}: nor do false positives rise`);
    }
    t.same(await place.json('learn', 'gate', model), { model_id: model, against: [] });
  });

  const live = plantedPrompts(200, 80, randomOf(21));
  const texts = live.map(({ text }) => text);
  const probes = plantedPrompts(60, 30, randomOf(22)).map(({ text }) => text);
  const before = await place.scores('busy', probes);
  let told = 0;
  await t.test('beside what works it shows what would change, and decides nothing', async (t) => {
    t.match(await place.api('POST', `learn/models/${model}/shadow`), { status: 200, body: { running: { share: 1 } } });
    t.same([...new Set(await place.sendAll('busy', texts))], [200]);
    const shadow = async (): Promise<any> => (await place.api('GET', `learn/models/${model}/shadow`)).body;
    await until(async () => { const { texts: { scored } } = await shadow(); return scored >= texts.length; }, 'all to be scored');
    const { compared, latency_ms: latency, texts: counts } = await shadow();
    const leak = compared.find(({ classifier_id: id, category, policy }: any) => id === 'prompt-injection' && category === HEAD && policy === 'shop');
    t.comment(JSON.stringify(leak), JSON.stringify(counts), JSON.stringify(latency));
    told = leak.only_shadow.count;
    t.match(leak, { threshold: 0.5, both: 0, only_working: { count: 0 } });
    t.ok(leak.n >= texts.length && told > 40 && told <= 85);
    t.ok(leak.only_shadow.low < leak.only_shadow.rate && leak.only_shadow.rate < leak.only_shadow.high);
    t.notMatch(JSON.stringify(compared), /Zephyr/, 'no texts');
    const exchanges = (await entries(place, 'exchange')).filter(({ route }) => route === '/v1/chat/completions');
    t.notOk(exchanges.some(({ models, input }) => models !== undefined || input.triggered_rules.includes('leak')), 'no entry knows of it');
  });

  await t.test('it works: what it knows now is stopped, and what was open ends as it began', async (t) => {
    t.same([...new Set(await place.sendAll('busy', texts))], [200], 'before, all of it went through');
    const slowly = live.filter(({ isViolation }) => isViolation).slice(0, 12).map(({ text }) => `Slowly, please: ${text}`);
    const open = place.sendAll('busy', slowly);
    await until(() => place.waiting() === slowly.length, 'the provider to be asked');
    t.match(await place.json('learn', 'promote', 'prompt-injection', model), { number: 1, model_id: model, against: [] });
    await until(async () => (await place.scores('busy', probes)) !== before, 'the running process to follow');
    const statuses = await place.sendAll('busy', texts);
    const [caught, alarms] = [true, false].map((wanted) => statuses.filter((status, at) => status === 400 && live[at]!.isViolation === wanted).length);
    t.comment(`${caught} of 80 caught, ${alarms} of 120 others`);
    t.equal(caught! + alarms!, told, 'as many as it told beside what worked');
    t.ok(caught! > 40 && alarms! < 6);
    place.goOn();
    t.same([...new Set(await open)], [200], 'nothing is taken back from what was open');
    t.ok((await place.sendAll('busy', slowly)).includes(400), 'and now it is stopped');
    await until(async () => (await entries(place, 'exchange')).filter(({ route, models }) => route === '/v1/chat/completions' && models?.includes(model)).length >= 150, 'entries');
    const closed = await entries(place, 'exchange');
    const mine = closed.filter(({ input }) => input.triggered_rules.includes('leak'));
    t.equal(mine.filter(({ models }) => models?.[0] !== model).length, 0, 'who was stopped was stopped by it, and the log says so');
    t.match((await entries(place, 'model_change')).filter(({ change }) => change === 'promote'), [{ change: 'promote', plugin: 'prompt-injection', model_id: model, gate: 'passed', dataset: /^data_/ }]);
  });

  await t.test('it is taken back: the scores are what they were, digit for digit', async (t) => {
    const during = await place.scores('busy', probes);
    t.not(during, before);
    t.match(await place.json('learn', 'rollback', 'prompt-injection', '--reason', 'an exercise'), { number: 2, model_id: null });
    await until(async () => (await place.scores('busy', probes)) !== during, 'the running process to follow');
    t.equal(await place.scores('busy', probes), before);
    t.same([...new Set(await place.sendAll('busy', texts))], [200]);
    await until(async () => (await entries(place, 'model_change')).length >= 2, 'its entry');
    t.match(await entries(place, 'model_change'), [{ change: 'rollback', reason: 'an exercise', from_model_id: model }, { change: 'promote' }]);
    t.match(JSON.parse(await place.weirSays('audit', 'verify', '--json')), { ok: true });
  });

  await t.test('the weekly run does the same by itself, once, and lets nothing work', async (t) => {
    const weekly = { weekly: { plugins: ['prompt-injection'] }, ...LEARN };
    const { plugins: [was], models: before } = (await place.api('GET', 'learn/models')).body;
    await place.restart({ learn: weekly });
    const learnt = async (): Promise<any> => (await place.api('GET', 'learn/models')).body;
    await until(async () => ['done', 'failed'].includes((await learnt()).weekly?.state), 'the training', TRAINING_MS);
    const { weekly: run, plugins: [is], models } = await learnt();
    t.match(run, { state: 'done', attempts: 1 }, run.detail);
    const [made] = models.filter(({ model_id: id }: any) => !before.some((one: any) => one.model_id === id));
    t.ok(run.detail.includes(`${made.model_id} runs beside what works`), run.detail);
    t.match(made, { works: false, plugin: 'prompt-injection' });
    t.same([is.working, is.switch], [was.working, was.switch], 'what works is what worked');
    t.match((await place.api('GET', `learn/models/${made.model_id}/shadow`)).body, { running: { author: 'weekly' } });
    t.same([...new Set(await place.sendAll('busy', texts.slice(0, 50)))], [200]);
    await place.restart({ learn: weekly });
    await until(async () => (await place.api('GET', `learn/models/${made.model_id}/shadow`)).body.running !== null, 'it runs again');
    const again = await learnt();
    t.same([again.weekly.started_at, again.weekly.attempts, again.models.length], [run.started_at, 1, models.length], 'nothing is done twice');
  });
});
