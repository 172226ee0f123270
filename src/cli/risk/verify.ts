/**
 * `weir risk verify`: whether an audit log has every draw that the seed makes, each with its probability, and no other. For
 * an auditor with the log, the configuration that was in force and the seed; it needs neither the store nor content.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LogFollower } from '../../audit/follow.ts';
import { listSegments } from '../../audit/segments.ts';
import { ConfigError } from '../../contract/errors.ts';
import { readSources } from '../../config/load.ts';
import { readHashKey, seedsOf } from '../../runtime.ts';
import { DrawCheck, type DrawFault, type StratumTally } from '../../screen/redraw.ts';
import { tableText } from '../beside.ts';
import { parseCall, type Io } from '../command.ts';
import { readTimeRange } from '../time.ts';

const OPTIONS = { since: 'value', until: 'value', dir: 'value', json: 'flag', config: 'value' } as const;
const BATCH_ENTRIES = 1_000;
/** Faults that are told one by one. */
const FAULTS_TOLD_MAX = 100;

export async function verifyDraws(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, OPTIONS, 1);
  const { sinceMs, untilMs } = readTimeRange(options, Date.now());
  const { config, issues, main } = await readSources(options.config, io.env);
  if (config === undefined) throw new ConfigError(issues);
  const meant = config.risk.campaigns.filter((one) => id === undefined || one.id === id);
  if (meant.length === 0) return refuse(io, id === undefined ? 'there is no campaign; risk.campaigns makes one' : `there is no campaign ${id} in the configuration; give the one that was in force by --config`);
  if (meant.some(({ seed_file: file }) => file === undefined) && !existsSync(join(config.data_dir, 'hash.key'))) return refuse(io, `${join(config.data_dir, 'hash.key')} is not there, of which the seed is made; run it where the log was written, or with a campaign that has a seed_file`);
  const dir = options.dir ?? config.audit.dir;
  if ((await listSegments(dir)).length === 0) return refuse(io, `there is no log in ${dir}; name its folder by --dir`);
  const seeds = seedsOf({ config, file: main.file }, readHashKey(config.data_dir));
  const check = new DrawCheck({ campaigns: meant, tenants: config.tenants, seedOf: ({ id: campaign }) => seeds.get(campaign)! });
  const faults: DrawFault[] = [];
  let entries = 0;
  const follower = new LogFollower(dir);
  for (let [next, more] = [0, true]; more; ) {
    const read = await follower.read(next, BATCH_ENTRIES);
    for (const entry of read.entries) {
      const startedMs = Date.parse(String(entry['started_at']));
      if (entry.kind === 'exchange' && !(startedMs >= sinceMs && startedMs < untilMs)) continue;
      if (entry.kind === 'exchange') entries++;
      faults.push(...check.take(entry));
    }
    more = read.next > next;
    next = read.next;
  }
  const { strata } = check;
  io.stdout(options.json ? `${JSON.stringify({ ok: faults.length === 0, exchanges: entries, strata, faults: faults.length, first_faults: faults.slice(0, FAULTS_TOLD_MAX) })}\n` : textOf(entries, strata, faults));
  return faults.length === 0 ? 0 : 1;
}

function refuse(io: Io, message: string): number {
  io.stderr(`weir risk verify: ${message}\n`);
  return 1;
}

function textOf(entries: number, strata: readonly StratumTally[], faults: readonly DrawFault[]): string {
  const rows = strata.map(({ campaign, stratum, probability, population, drawn }) => [campaign, stratum, `${Number((probability * 100).toPrecision(3))} %`, String(population), String(drawn), (population * probability).toFixed(1)]);
  const table = rows.length === 0 ? '' : tableText([['campaign', 'stratum', 'probability', 'texts', 'drawn', 'expected'], ...rows]);
  const lines = faults.slice(0, FAULTS_TOLD_MAX).map(({ fault, index, request_id: request, campaign, direction }) => fault === 'other_seed' ? `entry ${index}: the seed is not the one that was declared for ${campaign}\n` : `entry ${index}: ${request} ${direction} is ${WORDS[fault]} ${campaign}\n`);
  const verdict = faults.length === 0 ? 'every draw is as the seed says' : `${faults.length} faults; what no declaration tells is held against this configuration`;
  return `${table}${lines.join('')}${entries} exchanges: ${verdict}\n`;
}

const WORDS = { missing: 'drawn and not recorded for', extra: 'recorded and not drawn for', different: 'recorded with another stratum or probability for' } as const;
