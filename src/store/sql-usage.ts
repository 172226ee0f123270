/** What tenants used, in SQL. The newest sequence of each process decides whether a batch is new. */
import type { SqlQuery, StoreDatabase } from './sql.ts';
import { USAGE_COUNTS, type UsageBatch, type UsageQuestion, type UsageRow, type UsageStore } from './usage.ts';

type Row = Readonly<Record<keyof UsageRow, string | number>>;

const ADD = `insert into tenant_usage as u (tenant_id, key_id, hour, ${USAGE_COUNTS.join(', ')}) values ($1, $2, $3, ${USAGE_COUNTS.map((_, at) => `$${at + 4}`).join(', ')})
 on conflict (tenant_id, key_id, hour) do update set ${USAGE_COUNTS.map((count) => `${count} = u.${count} + excluded.${count}`).join(', ')}`;
const CLAIM = `insert into tenant_usage_writers as w (process, sequence, written_at) values ($1, $2, $3)
 on conflict (process) do update set sequence = excluded.sequence, written_at = excluded.written_at where w.sequence < excluded.sequence returning sequence`;

export class SqlUsageStore implements UsageStore {
  readonly #database: StoreDatabase;

  constructor(database: StoreDatabase) {
    this.#database = database;
  }

  async add({ process, sequence, rows }: UsageBatch, now: string): Promise<void> {
    // In one order everywhere, so that two batches do not wait for each other.
    const ordered = [...rows].sort((a, b) => (rowKey(a) < rowKey(b) ? -1 : 1));
    await this.#database.transaction(async (query: SqlQuery) => {
      const isNew = (await query(CLAIM, process, sequence, now)).length > 0;
      if (isNew) for (const row of ordered) await query(ADD, row.tenant_id, row.key_id, row.hour, ...USAGE_COUNTS.map((count) => row[count]));
    });
  }

  async read({ tenantId, from = '', to = '9999', limit }: UsageQuestion): Promise<readonly UsageRow[]> {
    const where = 'hour >= $1 and hour < $2';
    const order = `order by hour desc, tenant_id, key_id limit ${limit}`;
    const rows = tenantId === undefined
      ? await this.#database.query<Row>(`select * from tenant_usage where ${where} ${order}`, from, to)
      : await this.#database.query<Row>(`select * from tenant_usage where ${where} and tenant_id = $3 ${order}`, from, to, tenantId);
    return rows.map((row) => ({ tenant_id: String(row.tenant_id), key_id: String(row.key_id), hour: String(row.hour), ...Object.fromEntries(USAGE_COUNTS.map((count) => [count, Number(row[count])])) }) as UsageRow);
  }

  async tenantAfter(tenantId: string): Promise<string | undefined> {
    const [row] = await this.#database.query<{ readonly tenant_id: string | null }>('select min(tenant_id) as tenant_id from tenant_usage where tenant_id > $1', tenantId);
    return row?.tenant_id ?? undefined;
  }

  async drop(tenantId: string, before: string, limit: number): Promise<number> {
    const old = `select tenant_id, key_id, hour from tenant_usage where tenant_id = $1 and hour < $2 limit ${limit}`;
    return (await this.#database.query(`delete from tenant_usage where (tenant_id, key_id, hour) in (${old}) returning hour`, tenantId, before)).length;
  }

  async forgetProcesses(before: string): Promise<void> {
    await this.#database.query('delete from tenant_usage_writers where written_at < $1', before);
  }
}

function rowKey({ tenant_id, key_id, hour }: UsageRow): string {
  return JSON.stringify([tenant_id, key_id, hour]);
}
