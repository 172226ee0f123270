/**
 * `weir report`: safety reports of tenants, of a week or any whole hours, as a page, JSON and tables; and a report held
 * against its signature. It works on the store and the files of the logs, beside a running Weir or without one.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import packageFile from '../../package.json' with { type: 'json' };
import { askedRange } from '../admin/weekly-reports.ts';
import { readSigner } from '../audit/key.ts';
import type { Config } from '../config/schema.ts';
import { weeklyPage } from '../console/weekly-report.ts';
import { WeirError } from '../contract/errors.ts';
import { WEEKLY_FORMS, type WeeklyForm } from '../contract/weekly.ts';
import { decisionPlace } from '../distribution.ts';
import { checkWeeklySeal, type WeeklyFiles } from '../report/weekly/document.ts';
import { writeReport } from '../report/weekly/folder.ts';
import { endingsOf, type WrittenWeekly } from '../report/weekly/weekly.ts';
import { rangeName, type ReportRange } from '../report/weekly/weeks.ts';
import { weeklyReports } from '../reporting.ts';
import { openDecisionStore } from '../store/open-decisions.ts';
import { countingKeys } from './audit/place.ts';
import { readConfig, withStore } from './beside.ts';
import { didYouMean, parseCall, UsageError, verbOf, type CliCommand, type Io } from './command.ts';

export const report: CliCommand = {
  name: 'report',
  summary: 'safety reports of tenants, for each week',
  help: `usage: weir report weekly [--tenant ID]… [--all] [--week WEEK | --from TIME --until TIME] [--format WORDS] [--out DIR] [--json] [--config FILE]
       weir report verify FILE [--key KEY] [--dir DIR] [--json] [--config FILE]

weekly tells of a tenant and a week what came, what was found and done, with the four weeks before, what was not screened and
why, how long it took, how people judged, objections, what got through, what was changed, and the checkpoints of the audit log
that it rests on. With --out it is written, in a folder for each tenant, with a note that signs all of its files; without, it
is told in short. The same data give the same report, but for the time it was made and the newest checkpoint.

  --tenant ID    may be repeated; may be left out where there is one alone
  --all          every configured tenant
  --week WEEK    a week of ISO 8601 such as 2030-W05; default: the last that is over
  --from TIME, --until TIME
                 whole hours in UTC such as 2030-01-31 or 2030-01-31T06:00Z, the second not in it; at most 31 days
  --format WORDS html, json, csv, dsa; default html,json,csv. dsa: tables in the columns of Implementing Regulation (EU)
                 2024/2835, as far as they are known here, with notes on the rest
  --out DIR      a folder

verify holds the files of a report against its note; FILE is any of them.

  --key KEY      the public key, or a file of keys, that you trust; default: key.pub beside the log
  --dir DIR      the folder of the audit log, or a copy of it; default: as configured

  --json         print the report as JSON, one line for each tenant; of verify one object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the store does not answer, nothing is known of a tenant, or a report does not hold, 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    return VERBS[verbOf(verb, VERBS)](rest, io);
  },
};

const VERBS = { weekly, verify } as const;

async function weekly(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { tenant: 'list', all: 'flag', week: 'value', from: 'value', until: 'value', format: 'value', out: 'value', json: 'flag', config: 'value' }, 0);
  const forms = formsOf(options.format);
  if (options.week !== undefined && (options.from !== undefined || options.until !== undefined)) throw new UsageError('--week, or --from and --until; not both');
  const range = askedRange({ ...(options.week === undefined ? {} : { week: options.week }), ...(options.from === undefined ? {} : { from: options.from }), ...(options.until === undefined ? {} : { until: options.until }) }, new Date());
  if (typeof range === 'string') throw new UsageError(range);
  if (options.all && options.tenant.length > 0) throw new UsageError('--all, or --tenant; not both');
  const { config } = await readConfig(options.config, io);
  const tenants = tenantsOf(config, options);
  return withStore('report', config, io, async (database) => {
    const place = decisionPlace(config);
    if (place === undefined) return failed(io, 'decisions are those of the process with the role control; run the command with its configuration');
    const decisions = openDecisionStore(place);
    try {
      const reports = weeklyReports({ database, decisions: decisions.store, config: () => config, logs: () => logFolders(config), signer: () => readSigner(config.audit.key_file, config.audit.origin), software: packageFile.version, page: weeklyPage });
      const queries = reports.queries();
      let code = 0;
      for (const [at, tenant] of tenants.entries()) {
        if (tenants.length > 1 && io.isTerminal && !options.json) io.stderr(`\r${at + 1} of ${tenants.length} ${tenant}\u001b[K`);
        const made = await reports.make(tenant, range, 'all', queries);
        if (made === undefined) code = failed(io, `nothing is known of a tenant ${JSON.stringify(tenant)}${didYouMean(tenant, config.tenants.map(({ id }) => id))}`);
        else await tellOne(made, { tenant, range, forms, out: options.out, isJson: options.json }, io);
      }
      if (tenants.length > 1 && io.isTerminal && !options.json) io.stderr('\r\u001b[K');
      return code;
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      return failed(io, error.message);
    } finally {
      await decisions.close();
    }
  });
}

async function tellOne({ document, files }: WrittenWeekly, { tenant, range, forms, out, isJson }: { readonly tenant: string; readonly range: ReportRange; readonly forms: readonly WeeklyForm[]; readonly out: string | undefined; readonly isJson: boolean }, io: Io): Promise<void> {
  if (out !== undefined) {
    const paths = await writeReport(out, { tenantId: tenant, name: rangeName(range) }, endingsOf(forms, files).map((ending) => [ending, files[ending]!] as const));
    if (!isJson) io.stdout(paths.map((path) => `${path}\n`).join(''));
    if (files['note'] === undefined) io.stderr('weir report weekly: the key of the audit log is not there, so the report is not signed\n');
  }
  io.stdout(isJson ? String(files['json']) : summaryOf(document));
}

function summaryOf({ tenant_id: tenant, findings }: WrittenWeekly['document']): string {
  const { period, volume, actions, violations, availability, reviews, overrides, residual_risk: risk } = findings;
  const percent = (share: number): string => `${Number((100 * share).toPrecision(4))} %`;
  const lines = [
    `${tenant}, ${period.week ?? `${period.from} to ${period.until}`}${period.is_over ? '' : `, so far until ${period.counted_until}`}: ${volume.exchanges.total} exchanges (before: ${volume.exchanges.before ?? 'not known'}); ${actions.exchanges.map(({ name, total }) => `${name} ${total}`).join(', ') || 'nothing came'}`,
    ...(period.missing === null ? [] : [`${period.missing.hours} hours before ${period.missing.known_from} passed their retention`]),
    ...violations.filter(({ finding }) => finding === 'rose' || finding === 'fell').map(({ category, finding, exchanges }) => `${category} ${finding} beyond chance: ${exchanges} exchanges`),
    `availability ${availability.share === null ? 'not measured' : percent(availability.share)}; reviews: ${reviews.opened.total} opened, ${reviews.resolved.total} resolved, ${reviews.overdue.total} overdue`,
    `judged otherwise: ${overrides.all === null ? 'not measured' : `${overrides.all.of} of ${overrides.all.judged}, ${percent(overrides.all.rate)} (${percent(overrides.all.low)} to ${percent(overrides.all.high)})`}`,
    ...(risk === null ? ['residual risk: not measured'] : risk.map(({ campaign, so_far: all }) => `residual risk by ${campaign}: ${all.rate === null ? 'nothing is labelled' : `${percent(all.rate)} (${percent(all.interval!.low)} to ${percent(all.interval!.high)}), n ${all.labelled}`}`)),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function tenantsOf({ tenants }: Config, { tenant, all }: { readonly tenant: readonly string[]; readonly all: boolean }): readonly string[] {
  const known = tenants.map(({ id }) => id);
  if (all) return known;
  if (tenant.length > 0) return [...new Set(tenant)];
  if (known.length === 1) return known;
  throw new UsageError('which tenant is missing; name it with --tenant, or take --all');
}

function formsOf(given: string | undefined): readonly WeeklyForm[] {
  if (given === undefined) return ['html', 'json', 'csv'];
  const wanted = given.split(',').map((word) => word.trim());
  const wrong = wanted.find((word) => !(WEEKLY_FORMS as readonly string[]).includes(word));
  if (wrong !== undefined) throw new UsageError(`--format takes ${WEEKLY_FORMS.join(', ')}, with commas between; not ${JSON.stringify(wrong)}`);
  return WEEKLY_FORMS.filter((form) => wanted.includes(form));
}

/** The own log, and copies of those that are shipped here. */
async function logFolders({ audit: { dir }, data_dir: dataDir }: Config): Promise<readonly string[]> {
  const copies = join(dataDir, 'origins');
  return [dir, ...(await readdir(copies, { withFileTypes: true }).catch(() => [])).filter((entry) => entry.isDirectory()).map(({ name }) => join(copies, name)).sort()];
}

function failed(io: Io, message: string): 1 {
  io.stderr(`weir report weekly: ${message}\n`);
  return 1;
}

// Verifying.

const ENDING = /\.(?:dsa-[a-z0-9-]+\.csv|html|json|csv|note)$/;

async function verify(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [file] } = parseCall(args, { key: 'value', dir: 'value', json: 'flag', config: 'value' }, 1);
  if (file === undefined) throw new UsageError('which report is missing; name one of its files');
  const base = basename(file).replace(ENDING, '');
  const here = await readdir(dirname(file)).catch(() => []);
  const files: Record<string, Buffer> = {};
  for (const name of here.filter((one) => one.startsWith(`${base}.`) && one.replace(ENDING, '') === base)) files[name.slice(base.length + 1)] = await readFile(join(dirname(file), name));
  const { note, ...others } = files;
  if (note === undefined || others['json'] === undefined) throw new UsageError(`${join(dirname(file), base)}.${note === undefined ? 'note' : 'json'} cannot be read; a report is its JSON with the note beside it`);
  const dir = options.dir ?? (await readConfig(options.config, io)).config.audit.dir;
  const { faults, checked, key } = checkWeeklySeal({ files: others as WeeklyFiles, note: note.toString('utf8'), keys: await countingKeys(options.key, dir) });
  if (options.json) io.stdout(`${JSON.stringify({ ok: faults.length === 0, faults, checked, signed_by: key && `${key.name}+${key.id}` })}\n`);
  else io.stdout(faults.length === 0 ? `${base}: signed by ${key!.name}+${key!.id}; ${checked.join(', ')} ${checked.length === 1 ? 'is' : 'are'} what was signed\n` : faults.map((fault) => `NOT SOUND: ${fault}\n`).join(''));
  return faults.length === 0 ? 0 : 1;
}
