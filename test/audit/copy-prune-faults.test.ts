/**
 * The pruning of a copy whose disk fails or whose process dies, at each of its places in the copy. Whatever happened, the
 * copy opens again, verifies, has every entry that may not go, takes what is shipped next and is pruned by the next round.
 */
import { join } from 'node:path';
import t from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { Collector } from '../../src/audit/collector.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { exchangeRecord, linesOf, logOptions, segmentsOf } from '../helpers/audit.ts';
import { FaultPlaces, NO_STRACE } from '../helpers/fault-places.ts';
import { shipAll } from '../helpers/shipping.ts';

const DAY = 86_400_000;
const LOG = 'test/one';
t.setTimeout(1_200_000);

const SCRIPT = `
  import { Collector } from ${JSON.stringify(new URL('../../src/audit/collector.ts', import.meta.url).href)};
  import { pruneCopies } from ${JSON.stringify(new URL('../../src/audit/copy-retention.ts', import.meta.url).href)};
  import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
  import { publishedKeys } from ${JSON.stringify(new URL('../../src/audit/recovery.ts', import.meta.url).href)};
  const home = process.argv[2];
  const log = await openAuditLog({ dir: home + '/own', keyFile: home + '/keys/own.key', origin: 'keeper/one', clock: Date.now });
  const collector = new Collector({ dir: home + '/origins', audit: (record) => log.append(record, 'strict'), clock: Date.now });
  await pruneCopies({ collector, keeper: { vouch: (record) => log.appendProven(record), keys: () => publishedKeys(home + '/own') }, retention: () => ({ days: 5, tenants: {} }), now: () => ${8 * DAY}, pruned: (_, done) => process.stdout.write('pruned ' + done.first), pause: async () => true }).catch(() => {});
  await collector.close();
  await log.close();`;

const FILES = ['.', 'pruned', 'pruned.tmp', 'keeper.pub', 'keeper.pub.tmp', 'checkpoints', 'checkpoints.tmp', ...Array.from({ length: 10 }, (_, i) => `${String(i).padStart(12, '0')}.jsonl`)];
const COPY = join('origins', encodeURIComponent(LOG));
const copyIn = (home: string): string => join(home, COPY);

/** What is wrong with the copy after a fault, and after what comes next; undefined when nothing is. */
async function faultOf(home: string, again: (home: string) => Promise<string>): Promise<string | undefined> {
  const source = join(home, 'log');
  const check = async (): Promise<string | undefined> => {
    const { damage } = await checkLog({ dir: copyIn(home), keys: await publishedKeys(source), keepers: await publishedKeys(join(home, 'own')), threads: 1 });
    return damage && JSON.stringify(damage);
  };
  const before = await check();
  if (before !== undefined) return `as it lies there: ${before}`;
  const collector = new Collector({ dir: join(home, 'origins'), audit: async () => {}, clock: Date.now });
  await append(source, 8);
  await shipAll(source, 9, { collector, records: [] }, LOG);
  await collector.close();
  const lines = linesOf(copyIn(home));
  const lost = [4, 5, 6, 7, 8].filter((day) => !lines.some((line) => line.includes(`"day-${day}"`)));
  if (lost.length > 0) return `lost: days ${lost.join(', ')}`;
  const shipped = await check();
  if (shipped !== undefined) return `after more was shipped: ${shipped}`;
  const out = await again(home);
  const names = segmentsOf(copyIn(home));
  if (names[0] !== '000000000004.jsonl') return `the next round says ${out}, and the copy begins with ${names[0]}`;
  const pruned = await check();
  return pruned && `after the next pruning: ${pruned}`;
}

async function append(dir: string, day: number): Promise<void> {
  const log = await openAuditLog(logOptions(dir, { clock: () => day * DAY, segmentBytesMax: 1 }));
  await log.append(exchangeRecord(`day-${day}`), 'strict');
  await log.close();
}

t.test('counted, then failed one by one', { skip: NO_STRACE, timeout: 900_000 }, async (t) => {
  const places: FaultPlaces = new FaultPlaces(t, 'copy-faults', {
    script: SCRIPT, paths: FILES.map((file) => join(COPY, file)), faults: ['error=EIO', 'error=ENOSPC', 'signal=KILL'],
    faultOf: (home) => faultOf(home, async (folder) => (await places.run(folder)).out), chosen: (_, index) => index % 7 === 0,
  });
  const begin = places.folder('begin');
  for (let day = 0; day < 8; day++) await append(join(begin, 'log'), day);
  const first = new Collector({ dir: join(begin, 'origins'), audit: async () => {}, clock: Date.now });
  await shipAll(join(begin, 'log'), 8, { collector: first, records: [] }, LOG);
  await first.close();
  await places.failOneByOne(t, { begin, wanted: 'pruned 4', happened: 0.7 });
});
