/**
 * Where the learning loop stands, as sums over what the store holds, for metrics: the same in every process that asks, and
 * after every restart. Rejects with WeirError store_unavailable. Times are ISO 8601 in UTC.
 */
import type { LearningStanding, ShadowSide } from '../contract/channels.ts';
import type { StoreDatabase } from './sql.ts';

interface Counted {
  readonly plugin: string;
  readonly total: number | string;
}

/** `since`: a process that was not seen since then is gone. */
export async function learningStanding({ query }: Pick<StoreDatabase, 'query'>, since: string): Promise<LearningStanding> {
  const [models, switches, behind, texts, compared, [last]] = await Promise.all([
    query<Counted>('select plugin, count(*) as total from learn_models where retired_at is null group by plugin'),
    query<Counted & { readonly change: string; readonly overridden: number | string }>(`select plugin, change, count(*) as total, sum(case when against = '[]' then 0 else 1 end) as overridden from learn_switches group by plugin, change`),
    query<Counted>('select f.plugin, count(*) as total from learn_followers f where f.seen_at >= $1 and f.number <> (select max(s.number) from learn_switches s where s.plugin = f.plugin) group by f.plugin', since),
    query<Counted & { readonly outcome: string }>('select s.plugin, t.outcome, t.total from learn_shadows s join learn_shadow_texts t on t.model_id = s.model_id'),
    query<{ readonly plugin: string } & Record<ShadowSide | 'total', number | string>>(`select s.plugin, sum(c.total) as total, sum(c.only_working) as only_working, sum(c.only_shadow) as only_shadow from learn_shadows s join learn_shadow_counts c on c.model_id = s.model_id where c.policy = '' group by s.plugin`),
    query<{ readonly at: string | null }>(`select max(ended_at) as at from learn_runs where state = 'done'`),
  ]);
  const plugins = [...new Set([...models, ...switches, ...behind, ...texts].map(({ plugin }) => plugin))].sort();
  const of = (rows: readonly Counted[], plugin: string): number => Number(rows.find((row) => row.plugin === plugin)?.total ?? 0);
  return {
    lastTrained: last?.at ?? null,
    plugins: plugins.map((plugin) => {
      const made = (change: string): Counted | undefined => switches.find((row) => row.plugin === plugin && row.change === change);
      const beside = compared.find((row) => row.plugin === plugin);
      const sides = { only_working: Number(beside?.only_working ?? 0), only_shadow: Number(beside?.only_shadow ?? 0) };
      return {
        plugin, models: of(models, plugin), behind: of(behind, plugin),
        switches: { promote: Number(made('promote')?.total ?? 0), rollback: Number(made('rollback')?.total ?? 0), overridden: switches.filter((row) => row.plugin === plugin).reduce((sum, { overridden }) => sum + Number(overridden), 0) },
        texts: Object.fromEntries(texts.filter((row) => row.plugin === plugin).map(({ outcome, total }) => [outcome, Number(total)])),
        compared: { ...sides, agree: Number(beside?.total ?? 0) - sides.only_working - sides.only_shadow },
      };
    }),
  };
}
