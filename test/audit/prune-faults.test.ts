/**
 * A pruning whose disk fails or whose process dies, at each of its places. Whatever happened, the log opens again,
 * verifies, has every entry that may not go, and is pruned by the next.
 */
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { pruneLog } from '../../src/audit/prune.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { exchangeRecord, linesOf, logOptions, segmentsOf } from '../helpers/audit.ts';
import { FaultPlaces, NO_STRACE } from '../helpers/fault-places.ts';

const DAY = 86_400_000;
t.setTimeout(1_200_000);

const SCRIPT = `
  import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
  import { pruneLog } from ${JSON.stringify(new URL('../../src/audit/prune.ts', import.meta.url).href)};
  const dir = process.argv[2] + '/audit';
  const log = await openAuditLog({ dir, keyFile: dir + '/../keys/audit.key', origin: 'test/one', clock: () => ${8 * DAY}, segmentBytesMax: 1 });
  await pruneLog(log, dir, { days: 5, tenants: {} }, ${8 * DAY}).then((done) => process.stdout.write('pruned ' + done.first), () => {});
  await log.close();`;

const FILES = ['.', 'pruned', 'pruned.tmp', 'checkpoints', 'checkpoints.tmp', 'edge.json', 'edge.json.tmp', ...Array.from({ length: 10 }, (_, i) => `${String(i).padStart(12, '0')}.jsonl`)];

/** What is wrong with the log after a fault, and after the next pruning; undefined when nothing is. */
async function faultOf(folder: string): Promise<string | undefined> {
  const dir = join(folder, 'audit');
  for (const isNext of [false, true]) {
    const log = await openAuditLog(logOptions(dir, { clock: () => 8 * DAY, segmentBytesMax: 1 }));
    if (isNext) await pruneLog(log, dir, { days: 5, tenants: {} }, 8 * DAY);
    await log.close();
    const { damage, first } = await checkLog({ dir, keys: await publishedKeys(dir), threads: 1 });
    if (damage !== undefined) return JSON.stringify(damage);
    const have = linesOf(dir).map((line) => (JSON.parse(line) as { readonly request_id?: string }).request_id);
    const lost = [4, 5, 6, 7].filter((day) => !have.includes(`day-${day}`));
    if (lost.length > 0) return `lost: days ${lost.join(', ')}`;
    if (isNext && (first !== 4 || segmentsOf(dir)[0] !== '000000000004.jsonl')) return `the log begins at ${first}, its files with ${segmentsOf(dir)[0]}`;
  }
  return undefined;
}

t.test('counted, then failed one by one', { skip: NO_STRACE, timeout: 900_000 }, async (t) => {
  const places = new FaultPlaces(t, 'prune-faults', {
    script: SCRIPT, paths: FILES.map((file) => join('audit', file)), faults: ['error=EIO', 'signal=KILL'], faultOf,
    chosen: ([call], index) => call === 'unlink' || call === 'rename' || index % 9 === 0,
  });
  const begin = places.folder('begin');
  for (let day = 0; day < 8; day++) {
    const log = await openAuditLog(logOptions(join(begin, 'audit'), { clock: () => day * DAY, segmentBytesMax: 1 }));
    await log.append(exchangeRecord(`day-${day}`), 'strict');
    await log.close();
  }
  await places.failOneByOne(t, { begin, wanted: 'pruned 4', happened: 0.8 });
});
