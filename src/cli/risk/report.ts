/**
 * `weir risk report` and `weir risk correct`: a campaign's report as it stands, issued into files, held against its
 * signature and the logs it rests on; and what was wrong with an earlier one. It works on the store and the files of the
 * logs, beside a running Weir or without one.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import packageFile from '../../../package.json' with { type: 'json' };
import { periodProblem } from '../../admin/risk-reports.ts';
import { readSigner } from '../../audit/key.ts';
import { publishedKeys } from '../../audit/recovery.ts';
import type { Config } from '../../config/schema.ts';
import { shippedTaxonomy } from '../../config/taxonomy.ts';
import { reportPage } from '../../console/risk-report.ts';
import { WeirError } from '../../contract/errors.ts';
import { REPORT_FORMATS, type ReportFormat } from '../../contract/risk.ts';
import { checkSeal, readDocument, type ReportDocument } from '../../report/campaign/document.ts';
import { recount, type Recount } from '../../report/campaign/recount.ts';
import { REASON_CHARS_MAX, Reports } from '../../report/campaign/reports.ts';
import { ensureHashKey, readHashKey } from '../../runtime.ts';
import { SqlAdminStore } from '../../store/admins.ts';
import { SqlAnnotationStore } from '../../store/annotations.ts';
import { SqlRiskReports } from '../../store/risk-reports.ts';
import type { StoreDatabase } from '../../store/sql.ts';
import { countingKeys } from '../audit/place.ts';
import { author, readConfig, withStore } from '../beside.ts';
import { parseCall, UsageError, type Io } from '../command.ts';

const OPTIONS = { from: 'value', until: 'value', out: 'value', format: 'value', draft: 'flag', verify: 'value', key: 'value', dir: 'value', json: 'flag', config: 'value' } as const;
/** Of the files of one report, which differ in their endings alone. */
const ENDING = /\.(?:json|html|note)$/;

export async function reportRisk(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [campaign] } = parseCall(args, OPTIONS, 1);
  if (options.verify !== undefined) return verify(options.verify, options, io);
  if (campaign === undefined) throw new UsageError('which campaign is missing; weir risk status lists them');
  const period = { from: options.from ?? null, until: options.until ?? null };
  const problem = periodProblem(period);
  if (problem !== undefined) throw new UsageError(problem);
  const formats = formatsOf(options.format);
  return onReports(options.config, io, 'report', async (reports) => {
    const isDraft = options.draft === true || options.out === undefined;
    const made = isDraft ? await reports.draft(campaign, period) : await issued(reports, campaign, period);
    if (made === undefined) return unknown('report', campaign, io);
    const document = readDocument(made.json)!;
    if (options.out !== undefined) {
      const files = await writeFiles(options.out, `${campaign}-${document.version === null ? 'draft' : `v${document.version}`}`, made, formats);
      if (!options.json) io.stdout(files.map((file) => `${file}\n`).join(''));
    }
    io.stdout(options.json ? made.json : summaryOf(document));
    return 0;
  });
}

export async function correctRisk(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [campaign] } = parseCall(args, { reason: 'value', json: 'flag', config: 'value' }, 1);
  if (campaign === undefined) throw new UsageError('which campaign is missing; weir risk status lists them');
  const { reason = '' } = options;
  if (reason.trim() === '' || reason.length > REASON_CHARS_MAX) throw new UsageError(`--reason takes 1 to ${REASON_CHARS_MAX} characters: what was wrong, and why`);
  return onReports(options.config, io, 'correct', async (reports) => {
    if (!(await reports.correct(campaign, author(), reason))) return unknown('correct', campaign, io);
    io.stdout(options.json ? `${JSON.stringify({ campaign, corrected: true })}\n` : 'recorded; every later report says so\n');
    return 0;
  });
}

interface Texts {
  readonly json: string;
  readonly html: string;
  readonly note: string;
}

async function issued(reports: Reports, campaign: string, period: { readonly from: string | null; readonly until: string | null }): Promise<Texts | undefined> {
  const kept = await reports.issue(campaign, period, author());
  return kept && { json: kept.document, html: kept.page, note: kept.note };
}

/** Into a folder under the report's own name, or beside a name that is given; the signature always. */
async function writeFiles(out: string, name: string, made: Texts, formats: readonly ReportFormat[]): Promise<readonly string[]> {
  const isFolder = out.endsWith('/') || (await stat(out).then((found) => found.isDirectory(), () => false));
  const base = isFolder ? join(out, name) : out.replace(ENDING, '');
  await mkdir(dirname(base), { recursive: true });
  const files = formats.map((format) => ({ path: `${base}.${format}`, text: made[format] }));
  for (const { path, text } of files) await writeFile(path, text, { mode: 0o600 });
  return files.map(({ path }) => path);
}

function formatsOf(given: string | undefined): readonly ReportFormat[] {
  const wanted = given?.split(',').map((word) => word.trim()) ?? [...REPORT_FORMATS];
  const wrong = wanted.find((word) => !(REPORT_FORMATS as readonly string[]).includes(word));
  if (wrong !== undefined) throw new UsageError(`--format takes ${REPORT_FORMATS.join(', ')}, with commas between; not ${JSON.stringify(wrong)}`);
  return REPORT_FORMATS.filter((format) => format === 'note' || wanted.includes(format));
}

function summaryOf({ campaign, version, findings: { estimates: { total, claim }, period: { first, last }, deviations } }: ReportDocument): string {
  const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
  const dates = first === null || last === null ? 'nothing was drawn' : `${first.slice(0, 10)} to ${last.slice(0, 10)}`;
  const rate = total.rate === null ? 'nothing is labelled' : `${percent(total.rate)} (${percent(total.interval.low)} to ${percent(total.interval.high)}), ${total.violations} violations among n ${total.labelled}`;
  return `${campaign}, ${version === null ? 'a draft' : `report ${version}`}: ${rate}; ${total.drawn} drawn, ${dates}\n${claim === null ? '' : `below ${percent(claim.below)} at ${percent(claim.confidence)}: ${claim.state}${claim.met_at_worst ? ', at worst too' : ''}\n`}${deviations.map(({ at, what }) => `deviation${at === null ? '' : ` ${at}`}: ${what}\n`).join('')}`;
}

// Verifying.

async function verify(file: string, options: { readonly key?: string | undefined; readonly dir?: string | undefined; readonly config?: string | undefined; readonly json?: boolean | undefined }, io: Io): Promise<number> {
  const base = file.replace(ENDING, '');
  const [json, html, note] = await Promise.all(['json', 'html', 'note'].map((ending) => readFile(`${base}.${ending}`).catch(() => undefined)));
  if (json === undefined || note === undefined) throw new UsageError(`${base}.${json === undefined ? 'json' : 'note'} cannot be read; a report is its JSON with the note beside it`);
  const dirs = options.dir === undefined ? await logFolders((await readConfig(options.config, io)).config) : [options.dir];
  const keys = await countingKeys(options.key, dirs[0]!);
  const { faults, key, document } = checkSeal({ json, html, note: note.toString('utf8'), keys });
  const logs = faults.length > 0 || document === undefined ? [] : await heldAgainst(document, dirs);
  const ok = faults.length === 0 && logs.every((one) => one.faults.length === 0);
  if (options.json) io.stdout(`${JSON.stringify({ ok, faults, signed_by: key && `${key.name}+${key.id}`, page: html !== undefined, logs })}\n`);
  else {
    for (const fault of faults) io.stdout(`NOT SOUND: ${fault}\n`);
    if (faults.length === 0) io.stdout(`${basename(base)}: signed by ${key!.name}+${key!.id}; ${html === undefined ? 'the JSON is' : 'the JSON and the page are'} what was signed\n`);
    for (const one of logs) {
      for (const fault of one.faults) io.stdout(`NOT SOUND: log ${one.log}: ${fault}\n`);
      for (const why of one.unchecked) io.stdout(`log ${one.log}: not looked at: ${why}\n`);
      if (one.faults.length === 0 && one.unchecked.length === 0) io.stdout(`log ${one.log}: its checkpoint is one of this log, and what was counted comes out the same\n`);
    }
  }
  return ok ? 0 : 1;
}

/** The own log, and copies of those that are shipped here. */
async function logFolders({ audit: { dir }, data_dir: dataDir }: Config): Promise<readonly string[]> {
  const copies = join(dataDir, 'origins');
  return [dir, ...(await readdir(copies, { withFileTypes: true }).catch(() => [])).filter((entry) => entry.isDirectory()).map(({ name }) => join(copies, name)).sort()];
}

async function heldAgainst({ campaign, findings: { period }, basis }: ReportDocument, dirs: readonly string[]): Promise<readonly Recount[]> {
  const here = await Promise.all(dirs.map(async (dir) => ({ dir, keys: await publishedKeys(dir) })));
  return Promise.all(basis.map(async (one) => {
    const found = here.find(({ keys: [first] }) => first !== undefined && `${first.name}+${first.id}` === one.log);
    return found === undefined ? { log: one.log, faults: [], unchecked: ['the log is not here'] } : recount(found.dir, campaign, period, one, found.keys);
  }));
}

// What they share.

async function onReports(file: string | undefined, io: Io, verb: string, work: (reports: Reports) => Promise<number>): Promise<number> {
  const { config } = await readConfig(file, io);
  return withStore('risk', config, io, async (database) => {
    try {
      return await work(reportsBeside(database, config));
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      io.stderr(`weir risk ${verb}: ${error.message}\n`);
      return 1;
    }
  });
}

function reportsBeside(database: StoreDatabase, config: Config): Reports {
  ensureHashKey(config.data_dir);
  return new Reports({
    store: new SqlRiskReports(database), annotations: new SqlAnnotationStore(database), taxonomy: shippedTaxonomy(), key: readHashKey(config.data_dir), software: packageFile.version, page: reportPage, now: () => new Date(),
    configured: (id) => config.risk.campaigns.find((one) => one.id === id), logs: () => logFolders(config), signer: () => readSigner(config.audit.key_file, config.audit.origin),
    // Whoever runs writes it to the audit log.
    audit: (record) => new SqlAdminStore(database).addChange({ change_id: randomUUID(), record: JSON.stringify(record), created_at: new Date().toISOString() }),
  });
}

function unknown(verb: string, campaign: string, io: Io): number {
  io.stderr(`weir risk ${verb}: there is no campaign ${campaign}; weir risk status lists them\n`);
  return 1;
}
