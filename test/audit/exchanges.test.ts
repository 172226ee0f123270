/** One exchange is found among the newest entries of a log, in so many of them, and so many are looked for at once. */
import t from 'tap';
import { newestEntriesWith } from '../../src/audit/entries.ts';
import { LOOKS_MAX, newestExchange } from '../../src/audit/exchanges.ts';
import { linesOf, logFolder, writeLog } from '../helpers/audit.ts';

t.test('one exchange by its id, in any segment', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 30, { segmentBytesMax: 4_000 });
  const ids = linesOf(dir).map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ kind }) => kind === 'exchange').map(({ request_id: id }) => String(id));
  t.equal(ids.length, 30);
  for (const id of ids) t.match(await newestExchange(dir, id), { kind: 'exchange', request_id: id });
  for (const id of ['none', '', '"', ids[0]!.slice(0, -1), 'exchange', '\u0000']) t.equal(await newestExchange(dir, id), undefined, JSON.stringify(id));
  t.equal(await newestExchange(`${dir}/gone`, ids[0]!).catch(() => undefined), undefined);
});

t.test('so many entries are looked at: within, and beyond', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 10);
  const lines = linesOf(dir);
  const place = [...lines].reverse().findIndex((line) => line === lines.find((one) => one.includes('"kind":"exchange"')));
  const id = (JSON.parse(lines.find((one) => one.includes('"kind":"exchange"'))!) as { readonly request_id: string }).request_id;
  const found = async (linesMax: number): Promise<number> => (await Array.fromAsync(newestEntriesWith(dir, JSON.stringify(id), linesMax))).length;
  t.same([await found(place + 1), await found(place)], [1, 0]);
});

t.test('so many are looked for at once: within, and beyond', async (t) => {
  const dir = logFolder(t);
  await writeLog(dir, 5);
  const ends = await Promise.allSettled(Array.from({ length: LOOKS_MAX + 1 }, () => newestExchange(dir, 'none')));
  t.same(ends.map(({ status }) => status), [...Array.from({ length: LOOKS_MAX }, () => 'fulfilled'), 'rejected']);
  t.match(ends.at(-1), { reason: { code: 'overloaded' } });
  t.equal(await newestExchange(dir, 'none'), undefined, 'and then there is room again');
});
