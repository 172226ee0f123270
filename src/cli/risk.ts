/**
 * `weir risk`: residual-risk campaigns from a terminal: what a claim takes, where a campaign stands, labels, known answers,
 * who labels. It works on the store itself, beside a running Weir or without one; one that runs writes to its audit log what
 * was changed here. Texts are shown to who labels, in a terminal, and to nobody else.
 */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import type { AnnotationRecord } from '../audit/entry.ts';
import type { Config } from '../config/schema.ts';
import { shippedTaxonomy } from '../config/taxonomy.ts';
import { agreementOf } from '../review/agreement.ts';
import { LABEL_FORMATS, LabelsFault, readLabels, writeLabels, type LabelFormat } from '../risk/formats.ts';
import { ITEMS_AT_ONCE_MAX, ItemSeal, readItems } from '../risk/items.ts';
import { isRight } from '../risk/labelling.ts';
import { Overview } from '../risk/overview.ts';
import { calibrationOf } from '../risk/quality.ts';
import type { Estimate } from '../risk/status.ts';
import { ensureHashKey, readHashKey } from '../runtime.ts';
import { probabilityOf } from '../screen/sampler.ts';
import { SqlAdminStore } from '../store/admins.ts';
import { SqlAnnotationChecks } from '../store/annotation-checks.ts';
import { SqlAnnotationCourse } from '../store/annotation-course.ts';
import { SqlAnnotationStore } from '../store/annotations.ts';
import type { StoreDatabase } from '../store/sql.ts';
import { author, readConfig, tableText, withStore } from './beside.ts';
import { parseCall, UsageError, verbOf, type CliCommand, type Io } from './command.ts';
import { Keyboard } from './keyboard.ts';
import { labelByKeys } from './risk/label.ts';
import { planCampaign } from './risk/plan.ts';
import { correctRisk, reportRisk } from './risk/report.ts';
import { verifyDraws } from './risk/verify.ts';

export const risk: CliCommand = {
  name: 'risk',
  summary: 'measure what got through: plans, samples, labels and estimates',
  help: `usage: weir risk plan [--below PERCENT] [--confidence PERCENT] [--errors N] [--labels-per-week N] [--tenant ID]… [--json] [--config FILE]
       weir risk plan --precision PERCENT [--below PERCENT] [--confidence PERCENT] [--json]
       weir risk sample CAMPAIGN [--limit N] [--json] [--config FILE]
       weir risk verify [CAMPAIGN] [--since TIME] [--until TIME] [--dir FOLDER] [--json] [--config FILE]
       weir risk status [CAMPAIGN] [--json] [--config FILE]
       weir risk report CAMPAIGN [--from DAY] [--until DAY] [--out DIR|FILE] [--format WORDS] [--draft] [--json] [--config FILE]
       weir risk report --verify FILE [--key KEY] [--dir DIR] [--json] [--config FILE]
       weir risk correct CAMPAIGN --reason TEXT [--json] [--config FILE]
       weir risk label [--config FILE]
       weir risk label FILE [--format WORD] [--json] [--config FILE]
       weir risk calibration [FILE] [--json] [--config FILE]
       weir risk export [--campaign ID] [--format WORD] [--out FILE] [--config FILE]
       weir risk import FILE [--format WORD] [--json] [--config FILE]
       weir risk annotators [--resume NAME --reason TEXT] [--json] [--config FILE]

plan says how many labels it takes to claim that the rate of violations is below a value, by violations allowed, with the
chance that the claim comes out; with --precision, how many to know a rate near it to within so many percentage points. From
the traffic of the last week it proposes a campaign, as YAML: strata, and probabilities that make so many labels a week, with
the days until the claim can come out if the rate is a quarter, half or three quarters of it.

  --labels-per-week N  default 100
  --tenant ID          of these tenants, whether they take part yet or not; default: all

sample shows the newest that was drawn, and the probabilities of the campaign's strata. status tells the rate with its
intervals: one for a plan that was fixed before, one that holds however often it is looked at.

verify repeats the draw for every entry of the audit log, with the seed of each campaign: every draw must be there with its
probability, and no other. What was in force the log declares itself; before its first declaration the configuration counts. The
seed must be the one that was declared. --since and --until take a time, or an age such as 30d, --dir the folder of another log.
Of each stratum it counts the texts, drawn or not. That
the log is whole says weir audit verify.

report tells what a campaign has found, as a document that an auditor can keep: with --out it is issued under a number,
signed with the key of the audit log, and written as JSON, a page to print, and a note with the signature; without, it is
told as it stands. As long as nothing has changed, the same report is given again; the next says what has. correct records
what was wrong with earlier ones, and why; every later one says so.

  --from DAY, --until DAY
                 days in UTC such as 2030-01-31, the second not in it; default: the whole campaign
  --out          a folder, or the name of the files without their endings
  --format WORDS json, html; default both. The note is always written
  --draft        written, and not issued
  --verify FILE  hold a report against its note, and, where the logs are, its checkpoints and counts against them
  --key KEY      the public key, or a file of keys, that you trust; default: key.pub beside the log
  --dir DIR      the folder of the audit log, or a copy of it; default: as configured

label without a file gives you texts to label in this terminal, by keys, with the guide on ?. Each label is kept at once,
under your user name (cli:NAME); a batch that you leave is yours until its claim runs out. The texts have to be in data_dir.

label FILE and import take in labels that were made elsewhere; export writes those of the store, without content.

  --format WORD  ${LABEL_FORMATS.join(', ')}; default jsonl
  --out FILE     default: the terminal

calibration tells how many items with known answers there are; with a file, one JSON object per line with text, label and
category, it takes them in, sealed. annotators tells who labels and how well; --resume lets somebody label again after
training.

  --json         print one JSON object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the store does not answer, there is no such thing, or a draw is not as the seed says, 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    return VERBS[verbOf(verb, VERBS)](rest, io);
  },
};

const VERBS = { plan: planCampaign, sample, verify: verifyDraws, status, report: reportRisk, correct: correctRisk, label, calibration, export: giveLabels, import: takeLabels, annotators } as const;
const EXPORT_ROWS = 5_000;
const ANSWERS_MAX = 500;

// Estimates.

async function sample(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, { limit: 'value', json: 'flag', config: 'value' }, 1);
  const limit = Number(options.limit ?? 20);
  if (id === undefined) throw new UsageError('which campaign is missing; weir risk status lists them');
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) throw new UsageError('--limit takes a whole number from 1 to 1000');
  return onStore(options.config, io, async (database, config) => {
    const strata = config.risk.campaigns.find((one) => one.id === id)?.strata.map((one) => ({ stratum: one.id, probability: probabilityOf(one) })) ?? [];
    const tasks = await new SqlAnnotationStore(database).tasks(id, limit);
    if (options.json) io.stdout(`${JSON.stringify({ campaign: id, strata, tasks })}\n`);
    else {
      for (const { stratum, probability } of strata) io.stdout(`stratum ${stratum}: drawn with probability ${percent(probability)}\n`);
      io.stdout(tasks.length === 0 ? 'nothing is drawn\n' : tableText([['request', 'tenant', 'direction', 'stratum', 'probability', 'decision', 'status', 'drawn'], ...tasks.map((one) => [one.request_id, one.tenant_id, one.direction, one.stratum, percent(one.inclusion_probability), one.automated_filter_result, one.human_label ?? one.status, one.created_at])]));
    }
    return 0;
  });
}

async function status(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, { json: 'flag', config: 'value' }, 1);
  return onStore(options.config, io, async (database, config) => {
    const overview = new Overview({ store: new SqlAnnotationStore(database), checks: new SqlAnnotationChecks(database), course: new SqlAnnotationCourse(database), now: () => new Date(), agreement: (ratings) => {
      const found = agreementOf(ratings, Math.random, 0);
      return found && { items: found.items, raters: found.raters, raw: found.raw, alpha: found.alpha ?? null };
    } });
    const campaigns = config.risk.campaigns;
    const ids = id === undefined ? [...new Set([...campaigns.map((one) => one.id), ...(await overview.cells(undefined)).keys()])] : [id];
    const found = [];
    for (const one of ids) {
      const campaign = campaigns.find((other) => other.id === one);
      const known = (await overview.status(one, campaign, undefined)) ?? (campaign && (await overview.empty(one, campaign)));
      if (known !== undefined) found.push(known);
    }
    if (id !== undefined && found.length === 0) {
      io.stderr(`weir risk status: there is no campaign ${id}; weir risk status lists them\n`);
      return 1;
    }
    if (options.json) io.stdout(`${JSON.stringify(id === undefined ? { campaigns: found } : found[0])}\n`);
    else for (const { campaign, total, strata, categories, claim } of found) io.stdout(`${campaign}: ${claim === null ? '' : `below ${percent(claim.below)} is ${CLAIMS[claim.state]}${claim.labels_needed === null ? '' : `; it takes ${claim.labels_needed} labels with the violations found`}`}\n${tableText([['', 'drawn', 'labelled', 'missing', 'violations', 'rate', 'interval', 'under peeking'], lineOf('all', total), ...strata.map((one) => lineOf(one.name, one)), ...categories.map((one) => lineOf(one.name, one))])}`);
    if (found.length === 0 && !options.json) io.stdout('there is no campaign; risk.campaigns makes one\n');
    return 0;
  });
}

const CLAIMS = { met: 'shown', open: 'not shown yet', contradicted: 'contradicted', too_few: 'not to be shown with so few labels' } as const;

function lineOf(name: string, { drawn, labelled, missing, violations, rate, interval, peeking }: Estimate): readonly string[] {
  const range = ({ low, high }: { readonly low: number; readonly high: number }): string => `${percent(low)} to ${percent(high)}`;
  return [name, String(drawn), String(labelled), String(missing), String(violations), rate === null ? '-' : percent(rate), range(interval), range(peeking)];
}

// Labels.

async function label(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, { format: 'value', json: 'flag', config: 'value' }, 1);
  if (operands.length > 0) return takeLabels(args, io);
  if (options.json || options.format !== undefined || !io.isTerminal || !Keyboard.isThere(io.stdin)) throw new UsageError('which file is missing; without one, label asks for keys, and so for a terminal');
  return onStore(options.config, io, (database, config) => labelByKeys({ database, config, annotator: author(), leave: (record) => leave(database, record) }, io));
}

async function takeLabels(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [file] } = parseCall(args, { format: 'value', json: 'flag', config: 'value' }, 1);
  const format = formatOf(options.format);
  if (file === undefined) throw new UsageError('which file is missing');
  return onStore(options.config, io, async (database) => {
    try {
      const rows = readLabels(format, await readFile(file, 'utf8'));
      const added = await new SqlAnnotationChecks(database).takeIn(rows);
      await leave(database, { kind: 'annotation', change: 'imported', author: author(), count: added });
      io.stdout(options.json ? `${JSON.stringify({ added, known: rows.length - added })}\n` : `${added} labels are new, ${rows.length - added} were there\n`);
      return 0;
    } catch (error) {
      return failed('import', file, error, io);
    }
  });
}

async function giveLabels(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { campaign: 'value', format: 'value', out: 'value', config: 'value' }, 0);
  const format = formatOf(options.format);
  return onStore(options.config, io, async (database) => {
    const checks = new SqlAnnotationChecks(database);
    const rows = [];
    for (let after: readonly [string, string] | undefined; ; ) {
      const page = await checks.labels({ campaign: options.campaign, limit: EXPORT_ROWS, after });
      rows.push(...page);
      const last = page.at(-1);
      if (page.length < EXPORT_ROWS || last === undefined) break;
      after = [last.labelled_at, last.annotation_id];
    }
    const text = writeLabels(format, rows);
    if (options.out === undefined) io.stdout(text);
    else await writeFile(options.out, text, { mode: 0o600 });
    await leave(database, { kind: 'annotation', change: 'exported', author: author(), count: rows.length, ...(options.campaign === undefined ? {} : { campaign: options.campaign }) });
    if (options.out !== undefined) io.stdout(`${rows.length} labels are in ${options.out}\n`);
    return 0;
  });
}

// Known answers and people.

async function calibration(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, { json: 'flag', config: 'value' }, 2);
  const file = operands[0] === 'import' ? operands[1] : operands[0];
  return onStore(options.config, io, async (database, { data_dir: dataDir }) => {
    const checks = new SqlAnnotationChecks(database);
    if (file === undefined) {
      const items = await checks.itemCounts();
      io.stdout(options.json ? `${JSON.stringify({ items })}\n` : items.length === 0 ? 'there are no items with known answers\n' : tableText([['campaign', 'label', 'items'], ...items.map(({ campaign, label, total }) => [campaign === '' ? 'any' : campaign, label, String(total)])]));
      return 0;
    }
    ensureHashKey(dataDir);
    const seal = new ItemSeal(readHashKey(dataDir));
    const categories = new Set(shippedTaxonomy().categories.map(({ id }) => id));
    try {
      const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line.trim() !== '').map((line, at) => lineAt(line, at + 1));
      let added = 0;
      for (let at = 0; at < lines.length; at += ITEMS_AT_ONCE_MAX) {
        const items = readItems(lines.slice(at, at + ITEMS_AT_ONCE_MAX), categories);
        if (typeof items === 'string') throw new LabelsFault(at + 1, items);
        added += await checks.addItems(items.map((item) => ({ ...seal.seal(item), author: author(), created_at: new Date().toISOString() })));
      }
      await leave(database, { kind: 'annotation', change: 'calibration', author: author(), count: added });
      io.stdout(options.json ? `${JSON.stringify({ added, known: lines.length - added })}\n` : `${added} items are new, ${lines.length - added} were there\n`);
      return 0;
    } catch (error) {
      return failed('calibration', file, error, io);
    }
  });
}

function lineAt(line: string, row: number): unknown {
  try {
    return JSON.parse(line) as unknown;
  } catch {
    throw new LabelsFault(row, 'it is no JSON');
  }
}

async function annotators(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { resume: 'value', reason: 'value', json: 'flag', config: 'value' }, 0);
  if ((options.resume === undefined) !== (options.reason === undefined)) throw new UsageError('--resume and --reason go together');
  return onStore(options.config, io, async (database, { risk: { annotation } }) => {
    const [store, checks] = [new SqlAnnotationStore(database), new SqlAnnotationChecks(database)];
    if (options.resume !== undefined) {
      if (!(await store.resume(options.resume, new Date().toISOString(), author(), options.reason!))) {
        io.stderr(`weir risk annotators: ${options.resume} is not paused\n`);
        return 1;
      }
      await leave(database, { kind: 'annotation', change: 'resumed', author: author(), annotator_id: options.resume, reason: options.reason! });
    }
    const found = [];
    for (const row of await store.annotators()) {
      const { n, agreement = null, interval } = calibrationOf((await checks.answers({ annotator: row.annotator_id, since: row.since, limit: ANSWERS_MAX })).map(isRight), { agreementMin: annotation.agreement_percent / 100, itemsMin: annotation.calibration_checks_min });
      found.push({ ...row, calibration: { n, agreement, interval } });
    }
    if (options.json) io.stdout(`${JSON.stringify({ annotators: found })}\n`);
    else io.stdout(found.length === 0 ? 'nobody has labelled\n' : tableText([['annotator', 'state', 'known answers', 'agreement', 'interval', 'reason'], ...found.map(({ annotator_id: id, state, reason, calibration: { n, agreement, interval } }) => [id, state, String(n), agreement === null ? '-' : percent(agreement), `${percent(interval.low)} to ${percent(interval.high)}`, reason])]));
    return 0;
  });
}

// What they share.

async function onStore(file: string | undefined, io: Io, work: (database: StoreDatabase, config: Config) => Promise<number>): Promise<number> {
  const { config } = await readConfig(file, io);
  return withStore('risk', config, io, (database) => work(database, config));
}

/** Whoever runs writes it to the audit log. */
async function leave(database: StoreDatabase, record: AnnotationRecord): Promise<void> {
  await new SqlAdminStore(database).addChange({ change_id: randomUUID(), record: JSON.stringify(record), created_at: new Date().toISOString() });
}

function failed(verb: string, file: string, error: unknown, io: Io): number {
  const code = (error as NodeJS.ErrnoException).code;
  if (!(error instanceof LabelsFault) && code === undefined) throw error;
  io.stderr(`weir risk ${verb}: ${file}: ${error instanceof LabelsFault ? error.message : `cannot be read (${code})`}\n`);
  return 1;
}

function formatOf(word = 'jsonl'): LabelFormat {
  const found = LABEL_FORMATS.find((one) => one === word);
  if (found === undefined) throw new UsageError(`--format takes ${LABEL_FORMATS.join(', ')}`);
  return found;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
