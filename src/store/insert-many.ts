/** Rows inserted many to a statement, in statements of few different lengths, so that few are compiled. */
import type { SqlQuery, SqlValue } from './sql.ts';

/** The longest stays below what either database takes in values, for rows of up to 250 columns. */
const STATEMENT_ROWS = [128, 16, 1] as const;

const statements = new Map<string, string>();

/** `rest`: what follows the values. Resolves to what the statements return, in the order of the rows. */
export async function insertMany<Row>(query: SqlQuery, table: string, columns: readonly string[], rows: readonly (readonly SqlValue[])[], rest = ''): Promise<readonly Row[]> {
  const returned: Row[] = [];
  for (let at = 0; at < rows.length; ) {
    const count = STATEMENT_ROWS.find((size) => size <= rows.length - at)!;
    returned.push(...(await query<Row>(statementOf(table, columns, count, rest), ...rows.slice(at, at + count).flat())));
    at += count;
  }
  return returned;
}

function statementOf(table: string, columns: readonly string[], count: number, rest: string): string {
  const key = JSON.stringify([table, count, rest]);
  const known = statements.get(key);
  if (known !== undefined) return known;
  const values = Array.from({ length: count }, (_, row) => `(${columns.map((_, column) => `$${row * columns.length + column + 1}`).join(', ')})`);
  const made = `insert into ${table} (${columns.join(', ')}) values ${values.join(', ')} ${rest}`;
  statements.set(key, made);
  return made;
}
