/**
 * `weir review`: the queue from a terminal: what waits, one item, and verdicts. It works on the store itself, beside a
 * running Weir or without one; one that runs writes verdicts to its audit log. Texts are not shown here: they are sealed,
 * and opened by the running Weir for reviewers alone.
 */
import { randomUUID } from 'node:crypto';
import type { ReviewRecord } from '../audit/entry.ts';
import { RESOLUTIONS, REVIEW_STATUSES, type ReviewItem, type ReviewStatus, type Verdict } from '../contract/review.ts';
import { SEVERITIES, type Severity } from '../contract/screening.ts';
import { BULK_ITEMS_MAX, resolveAll, type BulkOutcome } from '../review/bulk.ts';
import { heldFirst, holdText, shownHold } from '../review/held.ts';
import { coveredItem, isCovered, standingOf } from '../review/stage.ts';
import { SqlAdminStore } from '../store/admins.ts';
import { HOLDS_CHANNEL } from '../store/holds.ts';
import { isResolution, SqlReviewStore, type Refusal } from '../store/reviews.ts';
import type { StoreDatabase } from '../store/sql.ts';
import { author, readConfig, tableText, withStore } from './beside.ts';
import { didYouMean, parseCall, UsageError, type CliCommand, type Io } from './command.ts';

export const review: CliCommand = {
  name: 'review',
  summary: 'list what waits for a person, and decide it',
  help: `usage: weir review list [--status WORD | --all] [--severity WORD] [--tenant ID] [--limit N] [--json] [--config FILE]
       weir review show REVIEW-ID [--json] [--config FILE]
       weir review resolve REVIEW-ID ${RESOLUTIONS.join('|')} [--categories LIST] [--notes TEXT] [--json] [--config FILE]
       weir review resolve --all-like REVIEW-ID ${RESOLUTIONS.join('|')} [--categories LIST] [--notes TEXT] [--json] [--config FILE]

list shows what waits: that for which a request waits now first, then the newest.

  --status WORD    ${REVIEW_STATUSES.join(', ')}; default: pending and in_review
  --all            resolved ones too
  --severity WORD  ${SEVERITIES.join(', ')}
  --limit N        default 50

show tells an item with its verdicts. What two people decide without each other stays covered until it is decided.

resolve claims an item and decides it under your user name. The text is not shown here: read it in the console or with
GET /api/v1/reviews/REVIEW-ID/content. Verdicts are in the audit log of a process that runs with this store, or of the
next that does.

  --all-like REVIEW-ID  in place of an item: all that wait and are of the same tenant, direction, origin, severity and
                     rules as this one, the ${BULK_ITEMS_MAX} most urgent at most, each with its own entry of the audit log; left out is
                     what two people decide, what somebody else has, and what you have decided before
  --categories LIST  what you see in it, separated by commas
  --notes TEXT       for those who look at it later; not in the audit log

  --json         print one JSON object
  --config FILE  default: config/weir.yaml in the working directory, else the one that comes with weir

exit code: 0 done, 1 the store does not answer, or the item is not to be decided by you now, 2 wrong call
`,
  async run(args, io) {
    const [verb, ...rest] = args;
    if (verb === undefined) throw new UsageError('what to do is missing; there is list, show and resolve');
    if (!Object.hasOwn(VERBS, verb)) throw new UsageError(`unknown verb ${JSON.stringify(verb)}${didYouMean(verb, Object.keys(VERBS)) || '; there is list, show and resolve'}`);
    return VERBS[verb as keyof typeof VERBS](rest, io);
  },
};

const VERBS = { list, show, resolve } as const;
const CLAIM_MS = 60_000;

async function list(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, { status: 'value', all: 'flag', severity: 'value', tenant: 'value', limit: 'value', json: 'flag', config: 'value' }, 0);
  const limit = Number(options.limit ?? 50);
  if (!Number.isInteger(limit) || limit < 1 || limit > 1_000) throw new UsageError('--limit takes a whole number from 1 to 1000');
  const status = oneOf('--status', options.status, REVIEW_STATUSES);
  const severity = oneOf('--severity', options.severity, SEVERITIES);
  const statuses: readonly ReviewStatus[] = status === undefined ? (options.all ? REVIEW_STATUSES : ['pending', 'in_review']) : [status];
  return onStore(options.config, io, async (database) => {
    const [store, now] = [new SqlReviewStore(database), new Date()];
    const asked = { limit, statuses, ...(severity === undefined ? {} : { severity: severity as Severity }), tenants: options.tenant === undefined ? undefined : [options.tenant] };
    const items = heldFirst(await store.items({ ...asked, holdingAt: now.toISOString() }), await store.items(asked));
    const isHeld = items.some((item) => shownHold(item, now).holding);
    const rows = items.map((item) => [item.review_id, item.severity, item.status, item.tenant_id, item.direction, item.due_at, coveredItem(item).triggered_rules.join(','), ...(isHeld ? [shownHold(item, now).holding ? holdText(item, now) : ''] : [])]);
    io.stdout(options.json ? `${JSON.stringify({ items: items.map((item) => shownItem(item, now)) })}\n` : items.length === 0 ? 'nothing waits\n' : tableText([['id', 'severity', 'status', 'tenant', 'direction', 'due', 'rules', ...(isHeld ? ['hold'] : [])], ...rows]));
    return 0;
  });
}

async function show(args: readonly string[], io: Io): Promise<number> {
  const { options, operands: [id] } = parseCall(args, { json: 'flag', config: 'value' }, 1);
  if (id === undefined) throw new UsageError('which item is missing; weir review list shows them');
  return onStore(options.config, io, async (database) => {
    const store = new SqlReviewStore(database);
    const item = await store.item(id);
    if (item === undefined) return refused('show', id, 'none', io);
    const verdicts = isCovered(item) ? [] : await store.verdicts(id);
    io.stdout(options.json ? `${JSON.stringify({ ...shownItem(item, new Date()), verdicts })}\n` : textOf(item, verdicts, new Date()));
    return 0;
  });
}

async function resolve(args: readonly string[], io: Io): Promise<number> {
  const { options, operands } = parseCall(args, { 'all-like': 'value', categories: 'value', notes: 'value', json: 'flag', config: 'value' }, 2);
  const like = options['all-like'];
  if (like !== undefined) return resolveAlike(like, operands, options, io);
  const [id, resolution] = operands;
  if (id === undefined || !isResolution(resolution)) throw new UsageError(`resolve takes an item and ${RESOLUTIONS.join(', ')}`);
  return onStore(options.config, io, async (database) => {
    const store = new SqlReviewStore(database);
    const now = new Date();
    const reviewer = author();
    const claim = await store.claim(id, { id: reviewer }, now.toISOString(), new Date(now.getTime() + CLAIM_MS).toISOString());
    if (typeof claim === 'string') return refused('resolve', id, claim, io);
    const categories = categoriesOf(options.categories);
    const item = await store.decide(id, claim.fence, { reviewer_id: reviewer, resolution, categories, notes: options.notes ?? '', created_at: now.toISOString() }, standingOf);
    if (typeof item === 'string') return refused('resolve', id, item, io);
    await addRecord(database, item, { author: reviewer, resolution, categories }, now);
    const { released } = shownHold(item, now);
    const said = `${id} ${item.resolution === null ? 'waits for another person' : `is resolved: ${item.resolution}`}${released === null ? '' : released ? '; the request that waited is let go' : `; it let nothing go: ${holdText(item, now)}`}`;
    io.stdout(options.json ? `${JSON.stringify(shownItem(item, now))}\n` : `${said}\n`);
    return 0;
  });
}

async function resolveAlike(like: string, operands: readonly string[], options: { readonly categories?: string; readonly notes?: string; readonly json?: boolean; readonly config?: string }, io: Io): Promise<number> {
  const [resolution, ...more] = operands;
  if (!isResolution(resolution) || more.length > 0) throw new UsageError(`resolve --all-like takes one item and ${RESOLUTIONS.join(', ')}`);
  return onStore(options.config, io, async (database) => {
    const store = new SqlReviewStore(database);
    if ((await store.item(like)) === undefined) return refused('resolve', like, 'none', io);
    const [now, reviewer, categories] = [new Date(), author(), categoriesOf(options.categories)];
    const alike = await store.alike(like, BULK_ITEMS_MAX + 1);
    const verdict = { resolution, categories, notes: options.notes ?? '', reviewer: { id: reviewer }, now: now.toISOString(), until: new Date(now.getTime() + CLAIM_MS).toISOString() };
    const results = await resolveAll(store, alike.slice(0, BULK_ITEMS_MAX).map(({ review_id: id }) => id), verdict, (item) => addRecord(database, item, { author: reviewer, resolution, categories }, now));
    const more = alike.length > BULK_ITEMS_MAX;
    io.stdout(options.json ? `${JSON.stringify({ results, more })}\n` : results.length === 0 ? 'nothing alike waits\n' : tableText([['id', 'came to'], ...results.map(({ review_id: id, outcome, resolution: end }) => [id, end ?? OUTCOMES[outcome]])]));
    if (more) io.stderr(`weir review resolve: more are alike; call it again for the next ${BULK_ITEMS_MAX}\n`);
    return results.some(({ outcome }) => outcome !== 'resolved') ? 1 : 0;
  });
}

const OUTCOMES: Readonly<Record<BulkOutcome, string>> = { resolved: 'resolved', double_blind: 'left out: two people decide it', claimed: 'left out: somebody else has it', decided: 'left out: you have decided it before', none: 'gone', not_reached: 'not reached: the store failed' };

function categoriesOf(option: string | undefined): readonly string[] {
  return option?.split(',').map((one) => one.trim()) ?? [];
}

/** For the audit log of a process that runs with this store, and for what waits there. */
async function addRecord(database: StoreDatabase, { review_id, request_id, tenant_id, direction, round, hold_until, resolution: resolved }: ReviewItem, said: Pick<ReviewRecord, 'author' | 'resolution' | 'categories'>, now: Date): Promise<void> {
  const record: ReviewRecord = { kind: 'review', change: 'verdict', ...said, review_id, request_id, tenant_id, direction, round, resolved };
  await new SqlAdminStore(database).addChange({ change_id: randomUUID(), record: JSON.stringify(record), created_at: now.toISOString() });
  if (hold_until !== null) await database.messages?.say(HOLDS_CHANNEL, review_id).catch(() => undefined); // who misses it looks by itself, within a second
}

async function onStore(file: string | undefined, io: Io, work: (database: StoreDatabase) => Promise<number>): Promise<number> {
  const { config } = await readConfig(file, io);
  return withStore('review', config, io, work);
}

function oneOf<T extends string>(option: string, given: string | undefined, words: readonly T[]): T | undefined {
  const found = words.find((word) => word === given);
  if (given !== undefined && found === undefined) throw new UsageError(`${option} takes ${words.join(', ')}`);
  return found;
}

function refused(verb: string, id: string, why: Refusal, io: Io): number {
  const reasons = { none: `there is no item ${id}; weir review list shows them`, stale: `${id} is resolved, or somebody else has it`, decided: `you have decided ${id} before; others decide it again` } as const;
  io.stderr(`weir review ${verb}: ${reasons[why]}\n`);
  return 1;
}

function shownItem(item: ReviewItem, now: Date): object {
  return { ...coveredItem(item), ...shownHold(item, now) };
}

function textOf(item: ReviewItem, verdicts: readonly Verdict[], now: Date): string {
  const facts: readonly (readonly [string, string])[] = [
    ['review', item.review_id], ['request', item.request_id], ['tenant', item.tenant_id], ['direction', item.direction], ['severity', item.severity], ['status', `${item.status}${item.reviewer_id === null ? '' : ` (${item.reviewer_id})`}`],
    ['due', item.due_at], ...(item.hold_until === null ? [] : [['hold', holdText(item, now)] as const]), ['origin', item.origin], ['rules', coveredItem(item).triggered_rules.join(', ')], ['policy', item.policy],
    ...(coveredItem(item).near_rules.length === 0 ? [] : [['nearly', item.near_rules.join(', ')] as const]), ...(item.batched === 0 ? [] : [['stands for', `${item.batched} more`] as const]),
    ...(isCovered(item) ? [['scores', 'covered: two people decide it without each other'] as const] : item.classifier_results.filter(({ score = 0 }) => score > 0).map(({ classifier_id: id, category, score }) => ['score', `${id}.${category} ${score!.toFixed(2)}`] as const)),
    ...verdicts.map(({ reviewer_id: by, resolution, created_at: at, notes }) => ['verdict', `${resolution} by ${by}, ${at}${notes === '' ? '' : `: ${notes}`}`] as const),
    ...(item.resolution === null ? [] : [['resolution', item.resolution] as const]),
  ];
  return facts.map(([name, value]) => `${name.padEnd(10)} ${value}\n`).join('');
}
