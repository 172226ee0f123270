/**
 * The population of a campaign, counted in an audit log by what the log itself declares: it is what the sampler drew from,
 * unit by unit; it changes with the declaration that was in force when an exchange began; what cannot be counted is told
 * as drawn alone; hostile entries count for nothing and stop nothing.
 */
import t from 'tap';
import { Declaring, DECLARATION_CHARS_MAX, declarationsOf } from '../../src/declaring.ts';
import type { CampaignRecord } from '../../src/audit/entry.ts';
import type { Config } from '../../src/config/schema.ts';
import { PopulationCounter } from '../../src/screen/population.ts';
import { Sampler } from '../../src/screen/sampler.ts';
import { campaigns, exchange, record, scored, tenant } from '../helpers/campaigns.ts';
import { randomOf } from '../helpers/runs.ts';

const SEED = Buffer.alloc(32, 3);
const AT = '2030-01-01T00:00:00.000Z';
const configOf = (given: readonly object[], tenants = [tenant()]): Config => ({ roles: ['proxy', 'control'], risk: { campaigns: campaigns(...given) }, tenants }) as unknown as Config;
const samplerOf = ({ risk }: Config): Sampler => new Sampler(risk.campaigns, () => SEED);
const entryOf = (one: object, sampler: Sampler, of = tenant()): Record<string, unknown> => ({ kind: 'exchange', route: '/v1/chat/completions', policy: 'p@1', tenant_id: of.id, ...one, samples: sampler.draw(of, one as never) });
const declared = (config: Config, at = AT): Record<string, unknown>[] => declarationsOf(config, samplerOf(config), at).map((one) => ({ kind: 'campaign', change: 'in_force', author: 'weir', ...one }));
const BANDS = { id: 'q', directions: ['input', 'output'], strata: [{ id: 'high', score_from: 0.5, probability_percent: 50 }, { id: 'rest', probability_percent: 10 }] };

t.test('what is counted is what was drawn from', async (t) => {
  const config = configOf([BANDS]);
  const [sampler, random, counter] = [samplerOf(config), randomOf(5), new PopulationCounter(declared(config))];
  const expected = new Map<string, number>();
  let drawn = 0;
  for (let i = 0; i < 2_000; i++) {
    const of = tenant({ id: random() < 0.5 ? 'acme' : 'other', ...(random() < 0.1 ? { data: { content: 'none', keep_days: 1, campaigns: false } } : {}) } as object);
    const one = exchange(`r${i}`, { input: random() < 0.1 ? record('block') : scored(random()), output: random() < 0.2 ? undefined : record('redact') });
    const entry = entryOf(one, sampler, of);
    // A tenant that does not take part is not declared.
    if (of.id === 'acme' && of.data.campaigns) for (const { sample: unit } of sampler.population(of, one)) expected.set(`${unit.stratum}`, (expected.get(unit.stratum) ?? 0) + 1);
    if (of.id === 'acme' && of.data.campaigns) { drawn += (entry['samples'] as unknown[]).length; counter.take(entry); }
  }
  const cells = counter.drain();
  t.same(Object.fromEntries(cells.map(({ stratum, total }) => [stratum, total]).sort()), Object.fromEntries([...expected].sort()));
  t.equal(cells.reduce((sum, one) => sum + one.drawn, 0), drawn);
  t.ok(drawn > 100 && cells.every(({ day, definition }) => day === '2030-01-10' && definition === declared(config)[0]!['sha256']));
  t.same(counter.drain(), [], 'once');
});

t.test('under the declaration that was in force when it began', async (t) => {
  const [first, second] = [configOf([{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }] }]), configOf([{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }], claim: { below_percent: 1 } }])];
  const counter = new PopulationCounter();
  const shaOf = (config: Config): unknown => declared(config)[0]!['sha256'];
  const at = (started_at: string): Record<string, unknown> => entryOf(exchange(`at ${started_at}`, { started_at }), samplerOf(first));
  counter.take(at('2030-01-01T10:00:00.000Z'));
  counter.take(declared(first, '2030-01-01T11:00:00.000Z')[0]!);
  counter.take(at('2030-01-01T12:00:00.000Z'));
  counter.take(declared(second, '2030-01-01T13:00:00.000Z')[0]!);
  counter.take(at('2030-01-01T12:59:59.999Z'));
  counter.take(at('2030-01-01T13:00:00.000Z'));
  counter.take({ kind: 'campaign', change: 'withdrawn', campaign: 'q', in_force_at: '2030-01-01T14:00:00.000Z' });
  counter.take({ ...at('2030-01-01T15:00:00.000Z'), samples: [] });
  t.not(shaOf(first), shaOf(second));
  t.same(counter.drain().map(({ definition, total, drawn: some }) => [definition, total, some]), [['', 0, 1], [shaOf(first), 2, 2], [shaOf(second), 1, 1]], 'what came before is known as drawn alone; after the end nothing counts');
});

t.test('what no campaign draws from is not counted', async (t) => {
  const config = configOf([{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }] }]);
  const counter = new PopulationCounter(declared(config));
  const own = entryOf(exchange('r'), samplerOf(config));
  const opaque = record('allow', { coverage: { screened: [], exempt: [], opaque: [{ carrier: 'body', kind: 'pass_through', treatment: 'pass' }] } } as object);
  for (const more of [{ route: '/weir/v1/screen' }, { route: '/v1/moderations' }, { policy: undefined }, { input: opaque, output: opaque }, { tenant_id: 'stranger' }, { started_at: 'never' }, { output: 7 }, { output: { coverage: null } }]) counter.take({ ...own, samples: [], ...more });
  for (const hostile of [{}, { kind: 'campaign', change: 'in_force' }, { kind: 'campaign', change: 'in_force', campaign: 'q', in_force_at: 'x' }]) counter.take(hostile);
  t.same(counter.drain(), []);
  counter.take({ kind: 'campaign', change: 'in_force', campaign: 'q', in_force_at: AT, definition: { strata: 'none' }, tenants: [{ id: 'acme', product: '' }] });
  counter.take(own);
  t.match(counter.drain(), [{ definition: '', total: 0, drawn: 1 }], 'by a declaration that makes no sense nothing is counted');
});

t.test('it is declared at the start and where it changes, by the hash alone where it is too long', async (t) => {
  const written: CampaignRecord[] = [];
  let config = configOf([BANDS]);
  const declaring = new Declaring({ config: () => config, sampler: () => samplerOf(config), audit: async (one) => void written.push(one), now: () => new Date(AT) });
  await declaring.declare();
  await declaring.declare();
  t.match(written, [{ kind: 'campaign', change: 'in_force', campaign: 'q', in_force_at: AT, seed_commitment: /^[0-9a-f]{64}$/, definition: { strata: [{ id: 'high' }, { id: 'rest' }] }, tenants: [{ id: 'acme', product: 'Help centre' }] }]);
  t.equal(written.length, 1, 'once');
  config = configOf([BANDS], [tenant(), tenant({ id: 'new' })]);
  await declaring.declare();
  t.equal(written.at(-1)?.tenants?.length, 2, 'a tenant more is another population');
  config = configOf([]);
  await declaring.declare();
  t.match(written.at(-1), { change: 'withdrawn', campaign: 'q' });
  t.equal(written.length, 3);
  const other = { ...configOf([BANDS]), roles: ['control'] } as unknown as Config;
  await new Declaring({ config: () => other, sampler: () => samplerOf(other), audit: async () => void t.fail('it draws nothing'), now: () => new Date(AT) }).declare();

  const lengthOf = (count: number): readonly { readonly definition?: object }[] => { const many = configOf([BANDS], Array.from({ length: count }, (_, i) => tenant({ id: `tenant-${String(i).padStart(6, '0')}`, product: 'x' }))); return declarationsOf(many, samplerOf(many), AT); };
  const most = Array.from({ length: 4_000 }, (_, i) => i).findLast((i) => i % 10 === 0 && lengthOf(i)[0]!.definition !== undefined)!;
  t.ok(most > 100 && most < 3_990, `${most} tenants fit in ${DECLARATION_CHARS_MAX} characters`);
  t.ok(lengthOf(most)[0]!.definition !== undefined);
  t.match(lengthOf(most + 10), [{ sha256: /^[0-9a-f]{64}$/, definition: undefined, tenants: undefined }]);
});

t.test('a seed file is committed to, and its path is nobody’s business', async (t) => {
  const config = configOf([{ ...BANDS, seed_file: '/somewhere/secret.seed' }]);
  t.notMatch(JSON.stringify(declared(config)), /somewhere|seed_file/);
  t.not(new Sampler(config.risk.campaigns, () => Buffer.alloc(32, 4)).commitmentOf('q'), samplerOf(config).commitmentOf('q'));
  t.throws(() => samplerOf(config).commitmentOf('other'), /no campaign other/);
});
