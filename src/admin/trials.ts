/**
 * Policies tried over the API before they decide anything: a decision explained, cases run, recorded decisions decided
 * again. What comes out is what `weir policy explain`, `test` and `diff` print as JSON. A trial runs beside traffic, so
 * one runs after the other, each is bounded, and between two cases or entries others have their turn. Nothing is stored.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { ConfigIssue } from '../contract/errors.ts';
import type { FailMode } from '../contract/policy.ts';
import { assumedResults, runCases, testJson } from '../policy/cases.ts';
import { DiffTally } from '../policy/diff.ts';
import { explanationJson } from '../policy/explain.ts';
import { CASES_RUN_MAX, readCompare, readExplain, readSides, readTest, STREAMED_CHARS_MAX, type CompareTrial, type SidesTrial } from '../policy/trial.ts';
import type { PolicyStore } from '../store/policies.ts';
import { fault, issueOf, missing, refused, type DeskAnswer, type DeskRequest, type DeskRoute, type PolicyDesk, type Trial, type TrialStage } from './desk.ts';
import { POLICY_BYTES_MAX } from './policies.ts';
import { ref } from './schemas.ts';

const TRYERS = ['admin', 'policy'] as const;
const BODY_TYPES = ['application/json', 'application/yaml'] as const;
const REFUSALS = {
  400: { meaning: 'the body is not one of these, with its places' }, 404: { meaning: 'there is no such policy or revision' }, 422: { meaning: 'the policy cannot be used, with every reason' },
  429: { meaning: 'too many trials wait already' },
} as const;

export const TRIAL_ROUTES: readonly DeskRoute[] = [
  {
    method: 'POST', path: '/api/v1/policies/:id/explain', name: 'explainPolicy', access: TRYERS, meaning: 'what the policy decides on a text or on scores, rule by rule, and why; also for a `source` that is not stored', query: {},
    body: { schema: ref('ExplainTrial'), types: BODY_TYPES, bytesMax: POLICY_BYTES_MAX }, answers: { 200: { meaning: 'the decision with its reasons', schema: ref('Explanation') }, ...REFUSALS }, run: queued(explain),
  },
  {
    method: 'POST', path: '/api/v1/policies/:id/screen', name: 'screenText', access: TRYERS, meaning: 'what becomes of a text under the policy: what explain says, what classifiers found and where, what comes out', query: {},
    body: { schema: ref('ExplainTrial'), types: BODY_TYPES, bytesMax: POLICY_BYTES_MAX }, answers: { 200: { meaning: 'the decision with its reasons, and the text', schema: ref('ScreenedText') }, ...REFUSALS }, run: queued(screen),
  },
  {
    method: 'POST', path: '/api/v1/screen-beside', name: 'screenBeside', access: TRYERS, meaning: `one text under two policies, side by side: what each decides and why, what was found, its views, what comes out, and of an answer of at most ${STREAMED_CHARS_MAX} characters what leaves after each`, query: {},
    body: { schema: ref('SidesTrial'), types: BODY_TYPES, bytesMax: 2 * POLICY_BYTES_MAX }, answers: { 200: { meaning: 'both sides', schema: ref('Sides') }, ...REFUSALS }, run: queued(sides),
  },
  {
    method: 'POST', path: '/api/v1/policies/:id/test', name: 'testPolicy', access: TRYERS, meaning: `run its cases, or those in the body; at most ${CASES_RUN_MAX}`, query: {},
    body: { schema: ref('TestTrial'), types: BODY_TYPES, isOptional: true, bytesMax: POLICY_BYTES_MAX }, answers: { 200: { meaning: 'each case with its result', schema: ref('CaseReport') }, ...REFUSALS }, run: queued(test),
  },
  {
    method: 'POST', path: '/api/v1/policies/:id/compare', name: 'comparePolicy', access: TRYERS, meaning: 'recorded decisions decided again by the policy and by another text of it: what changes', query: {},
    body: { schema: ref('CompareTrial'), types: BODY_TYPES, bytesMax: POLICY_BYTES_MAX }, answers: { 200: { meaning: 'counts and examples', schema: ref('Comparison') }, ...REFUSALS }, run: queued(compare),
  },
];

async function explain(desk: PolicyDesk, store: PolicyStore, { id, text }: DeskRequest): Promise<DeskAnswer> {
  const { asked, issues } = readExplain(text);
  if (asked === undefined) return misread(issues);
  const { stage, answer } = await take(desk, store, { id, revision: asked.revision, source: asked.source }, asked.fail_mode);
  return stage === undefined ? answer : { status: 200, body: explanationJson(stage.policy, await stage.explain(asked)) };
}

/** The same of a text, with what classifiers said about it and what comes out. */
async function screen(desk: PolicyDesk, store: PolicyStore, { id, text }: DeskRequest): Promise<DeskAnswer> {
  const { asked, issues } = readExplain(text);
  if (asked === undefined) return misread(issues);
  if (asked.text === undefined) return { status: 400, body: fault('invalid_request', 'text is missing; without one there is nothing to screen, and explain says what is decided on scores') };
  const { stage, answer } = await take(desk, store, { id, revision: asked.revision, source: asked.source }, asked.fail_mode);
  if (stage === undefined) return answer;
  const { facts, outcomes: [{ text: out }] } = await stage.screen(asked.text, asked.direction, asked.context, assumedResults(asked.scores, stage.isNamed));
  return { status: 200, body: { ...explanationJson(stage.policy, await stage.explain(asked)), results: facts.results, ...(out === undefined ? {} : { text: out }) } };
}

/** One text on both sides, each as `screen` tells it; what of the text is the same for both is told once. */
async function sides(desk: PolicyDesk, store: PolicyStore, { text: body }: DeskRequest): Promise<DeskAnswer> {
  const { asked, issues } = readSides(body);
  if (asked === undefined) return misread(issues);
  if (asked.left === undefined || asked.right === undefined) return { status: 400, body: fault('invalid_request', 'left and right are missing: send {"policy": "…"} for each') };
  const told: object[] = [];
  let views: ReturnType<TrialStage['views']> = [];
  for (const which of ['left', 'right'] as const) {
    const { policy: id, revision, source } = asked[which]!;
    const { stage, answer } = await take(desk, store, { id, revision, source }, asked.fail_mode);
    if (stage === undefined) return { ...answer, body: { ...(answer.body as object), side: which } };
    views = stage.views(asked.text);
    told.push(await sideOf(stage, asked));
  }
  const [left, right] = told as readonly { readonly action: string; readonly triggered_rules: readonly string[]; readonly text?: string }[];
  const same = { action: left!.action === right!.action, rules: left!.triggered_rules.join() === right!.triggered_rules.join(), text: left!.text === right!.text };
  return { status: 200, body: { direction: asked.direction, views: views.map(({ name, text, cut }) => ({ name, text, cut })), left, right, same } };
}

async function sideOf(stage: TrialStage, { text, direction, context }: SidesTrial): Promise<object> {
  const { facts, outcomes: [{ text: out }] } = await stage.screen(text, direction, context, undefined);
  const isStreamed = direction === 'output' && text.length <= STREAMED_CHARS_MAX;
  return { ...explanationJson(stage.policy, await stage.explain({ text, direction, context })), results: facts.results, ...(out === undefined ? {} : { text: out }), ...(isStreamed ? { stream: await stage.stream(text, context) } : {}) };
}

async function test(desk: PolicyDesk, store: PolicyStore, { id, text }: DeskRequest): Promise<DeskAnswer> {
  const { asked, issues } = readTest(text);
  if (asked === undefined) return misread(issues);
  const { stage, trial, answer } = await take(desk, store, { id, revision: asked.revision, source: asked.source }, asked.fail_mode);
  if (stage === undefined) return answer;
  const policy = asked.cases === undefined ? stage.policy : { ...stage.policy, cases: asked.cases };
  const { filter } = asked;
  const only = ({ name }: { readonly name: string }): boolean => filter === undefined || `${policy.id} ${name}`.includes(filter);
  const count = (policy.cases ?? []).filter(only).length;
  if (count > CASES_RUN_MAX) return { status: 400, body: fault('invalid_request', `${count} cases, the limit is ${CASES_RUN_MAX} here; choose some by filter, or run weir policy test`) };
  const unhurried: TrialStage = { ...stage, policy, screen: async (...given) => turn().then(() => stage.screen(...given)) };
  const report = await runCases(unhurried, { only, clock: () => performance.now() });
  return { status: 200, body: testJson([{ ...trial, report }]) };
}

/** Entries of the log that one comparison looks at. */
const ENTRIES_MAX = 50_000;
const ENTRIES_AT_ONCE = 100;

async function compare(desk: PolicyDesk, store: PolicyStore, { id, text }: DeskRequest): Promise<DeskAnswer> {
  const { asked, issues } = readCompare(text);
  if (asked === undefined) return misread(issues);
  if (asked.tenant !== undefined && desk.failModeOf(asked.tenant) === undefined) return { status: 400, body: fault('invalid_request', 'there is no such tenant; send the id of one, or leave tenant out') };
  const from = await take(desk, store, { id, revision: asked.from, source: undefined }, 'closed');
  if (from.stage === undefined) return from.answer;
  const to = await take(desk, store, { id, revision: asked.to, source: asked.source }, 'closed');
  if (to.stage === undefined) return to.answer;
  const tally = new DiffTally(from.stage.policy, to.stage.policy, (tenant) => desk.failModeOf(tenant) ?? 'closed');
  const { exchanges, isTruncated } = await tallyNewest(desk, tally, asked);
  const [fromName, toName] = [from.stage, to.stage].map(({ policy }) => `${policy.id}@${policy.revision}`);
  return { status: 200, body: { from: fromName, to: toName, exchanges, ...tally.result(), ...(isTruncated ? { truncated: true } : {}) } };
}

async function tallyNewest(desk: PolicyDesk, tally: DiffTally, { since, until, tenant, limit }: CompareTrial): Promise<{ readonly exchanges: number; readonly isTruncated: boolean }> {
  const [sinceMs, untilMs] = [since === undefined ? -Infinity : Date.parse(since), until === undefined ? Infinity : Date.parse(until)];
  let [exchanges, entries] = [0, 0];
  for await (const record of desk.exchanges()) {
    if (exchanges >= limit) break;
    if (++entries > ENTRIES_MAX) return { exchanges, isTruncated: true };
    if (entries % ENTRIES_AT_ONCE === 0) await turn();
    const startedMs = Date.parse(record.started_at);
    if (startedMs < sinceMs || startedMs >= untilMs || (tenant !== undefined && record.tenant_id !== tenant)) continue;
    tally.add(record);
    exchanges += 1;
  }
  return { exchanges, isTruncated: false };
}

// Which policy.

interface Named {
  readonly id: string;
  readonly revision: number | undefined;
  readonly source: string | undefined;
}

/** `answer` says why there is no stage. */
type Taken = { readonly stage: TrialStage; readonly trial: Trial; readonly answer?: undefined } | { readonly stage?: undefined; readonly trial?: undefined; readonly answer: DeskAnswer };

/** The source that was sent, the revision that is named, or what counts: the store's newest, else a file's. */
async function take(desk: PolicyDesk, store: PolicyStore, { id, revision, source }: Named, failMode: FailMode): Promise<Taken> {
  if (source !== undefined) return tried(await desk.trial({ file: '(source)', text: source }, failMode), id);
  const stored = await store.get(id, revision);
  if (stored !== undefined && stored.source !== null) return tried(await desk.trial({ file: `store:${id}@${stored.number}`, text: stored.source, revision: stored.number }, failMode), id);
  if (revision !== undefined) return { answer: missing(stored === undefined ? `policy ${id} has no revision ${revision} in the store` : `revision ${revision} of policy ${id} is its retirement, and has no text`) };
  const written = desk.written().get(id);
  if (written === undefined) return { answer: missing(`there is no policy ${id}, in the store or in a file; send its text as source`) };
  return tried(await desk.trial({ file: written.file, policy: written.policy }, failMode), id);
}

function tried(trial: Trial, id: string): Taken {
  const { stage, issues, file } = trial;
  if (stage === undefined) return { answer: refused(issues) };
  if (stage.policy.id !== id) return { answer: refused([...issues, { file, line: 1, column: 1, path: 'policy', message: `the text is of policy ${stage.policy.id}, not of ${id}`, severity: 'error' }]) };
  return { stage, trial: { file, issues } };
}

function misread(issues: readonly ConfigIssue[]): DeskAnswer {
  const first = issues.find(({ severity }) => severity === 'error');
  return { status: 400, body: { ...fault('invalid_request', `the body cannot be used: ${first?.message}`), issues: issues.map(issueOf) } };
}

// One after the other.

const WAITING_MAX = 8;
const lines = new WeakMap<PolicyDesk, { last: Promise<unknown>; waiting: number }>();

function queued(run: DeskRoute['run']): DeskRoute['run'] {
  return (desk, store, request) => oneByOne(desk, () => run(desk, store, request));
}

export async function oneByOne(desk: PolicyDesk, run: () => Promise<DeskAnswer>): Promise<DeskAnswer> {
  const line = lines.get(desk) ?? { last: Promise.resolve(), waiting: 0 };
  lines.set(desk, line);
  if (line.waiting >= WAITING_MAX) return { status: 429, body: fault('busy', `${WAITING_MAX} trials of policies wait already; send it again in a while`) };
  line.waiting += 1;
  const answer = line.last.then(run).finally(() => void (line.waiting -= 1));
  line.last = answer.catch(() => undefined);
  return answer;
}
