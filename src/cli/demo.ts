/**
 * `weir demo`: a scripted model behind the real proxy. Plays a few exchanges over real sockets and shows, side by side,
 * what one side sent and what the other received, with the decision and its reasons; then keeps running and tells how
 * to try it. Everything it writes to disk is in a temporary folder and goes when it ends.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createApp, type Started } from '../app.ts';
import type { Stage as StageName } from '../contract/channels.ts';
import type { DecisionRecord } from '../contract/exchange.ts';
import { randomOf } from '../learn/measure.ts';
import { parseCall, UsageError, type CliCommand, type Io } from './command.ts';
import { CAMPAIGN, playCampaign } from './demo/campaign.ts';
import { ask, type DemoAnswer } from './demo/client.ts';
import { fact, LiveFrame, markLabels, markSpans, paint, sideBySide, type Page, type Run } from './demo/frame.ts';
import { EXCHANGES, type DemoExchange } from './demo/script.ts';
import { startUpstream } from './demo/upstream.ts';
import { ExchangeWatch, type Watched } from './demo/watch.ts';

const OPTIONS = { once: 'flag', 'no-color': 'flag', speed: 'value' } as const;
const PIECE_MS = 45;
const BETWEEN_MS = 900;
/** Between two prompts of the help desk, so that they do not delay what is shown. */
const DESK_MS = 100;
const DESK_SEED = 1;
const RECORD_WAIT_MS = 2000;
/** Classifiers give nearly everything a small score; one below this was not seen. */
const SAW_FROM = 0.5;
/** What a viewer is shown of the stages; the guard works while the model does. */
const STAGE_NAMES: Readonly<Partial<Record<StageName, string>>> = {
  identify: 'identify', read_request: 'read', screen_input: 'screen', decide_input: 'decide', upstream: 'model', audit: 'audit',
};

export const demo: CliCommand = {
  name: 'demo',
  summary: 'a scripted model behind the real proxy: watch redaction happen',
  help: `usage: weir demo [--once] [--no-color] [--speed N]

Starts the proxy with a scripted model behind it, plays example exchanges, shows what each side
sent and received, and keeps running so that you can send your own. Needs no key and no network.

  --once       end after the examples
  --no-color   no ANSI colours (also NO_COLOR)
  --speed N    play N times as fast (default 1)

exit codes: 0 done, 1 an example could not be played, 2 wrong call
`,
  run: runDemo,
};

async function runDemo(args: readonly string[], io: Io): Promise<number> {
  const { options } = parseCall(args, OPTIONS, 0);
  const speed = Number(options.speed ?? 1);
  if (!(speed > 0)) throw new UsageError(`--speed takes a positive number, not ${JSON.stringify(options.speed)}`);
  const page: Page = { width: Math.min(100, Math.max(60, io.columns)), color: io.color && !options['no-color'] };
  const stop = io.stopSignal();
  await using opened = new AsyncDisposableStack();
  const stage = await openStage(io, page, speed, opened);
  try {
    const desk = options.once ? undefined : playDesk(stage, stop);
    const failures = await playAll(stage, stop);
    if (options.once) return failures === 0 ? 0 : 1;
    io.stdout(tryIt(stage, await desk));
    stage.watch.onClosed = (watched) => io.stdout(`${oneLine(page, watched)}\n`);
    await new Promise<void>((resolve) => (stop.aborted ? resolve() : stop.addEventListener('abort', () => resolve(), { once: true })));
  } catch (error) {
    if (!stop.aborted) throw error;
  }
  io.stdout(`\n  ${paint('The demo ends.', 'dim', page.color)}\n`);
  return 0;
}

/** All that a running demo consists of. */
interface Stage {
  readonly io: Io;
  readonly page: Page;
  readonly speed: number;
  readonly started: Started;
  readonly configFile: string;
  readonly upstreamUrl: string;
  readonly watch: ExchangeWatch;
  /** Log lines that wait while a frame is being drawn. */
  readonly log: HeldLog;
  /** Who listens to the model's side of the exchange that is being played. */
  readonly onPrompt: { current: (prompt: string) => void };
  readonly onPiece: { current: (piece: string) => void };
}

async function openStage(io: Io, page: Page, speed: number, opened: AsyncDisposableStack): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'weir-demo-'));
  opened.defer(() => rm(dir, { recursive: true, force: true }));
  const onPrompt = { current: (_: string): void => {} };
  const onPiece = { current: (_: string): void => {} };
  const upstream = await startUpstream({
    exchanges: EXCHANGES,
    pauseMs: PIECE_MS / speed,
    onPrompt: (seed, prompt) => seed >= 0 && onPrompt.current(prompt),
    onPiece: (seed, piece) => seed >= 0 && onPiece.current(piece),
  });
  opened.defer(() => upstream.close());
  const watch = new ExchangeWatch();
  opened.defer(() => watch.close());
  const log = new HeldLog((line) => io.stderr(line));
  const configFile = join(dir, 'weir.yaml');
  await writeFile(configFile, `${JSON.stringify(await demoConfig(upstream.url), undefined, 2)}\n`);
  const app = createApp({ config: configFile, env: io.env, log });
  const started = await app.start();
  opened.defer(() => app.close());
  return { io, page, speed, started, configFile, upstreamUrl: upstream.url, watch, log, onPrompt, onPiece };
}

/** Passes log lines on, but not into the middle of a frame. */
class HeldLog {
  readonly #write: (line: string) => void;
  #held: string[] | undefined;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  write(line: string): void {
    if (this.#held === undefined) this.#write(line);
    else this.#held.push(line);
  }

  hold(): void {
    this.#held = [];
  }

  release(): void {
    this.#held?.forEach(this.#write);
    this.#held = undefined;
  }
}

async function demoConfig(upstreamUrl: string): Promise<Record<string, unknown>> {
  return {
    data_dir: 'data',
    proxy: { host: '127.0.0.1', port: await freePort(8080), timeouts: { drain_ms: 1000 } },
    admin: { host: '127.0.0.1', port: await freePort(8081) },
    upstreams: { demo: { url: upstreamUrl } },
    tenants: [{ id: 'default', policy: 'demo', upstream: 'demo', data: { content: 'original', campaigns: true, learning: true } }],
    review: { double_blind_percent: 0 },
    risk: { campaigns: [CAMPAIGN] },
    policies: [join(import.meta.dirname, 'demo/policy.yaml')],
    telemetry: { log_level: 'error' },
  };
}

/** False where it could not be played; it is no example. */
async function playDesk({ started: { proxyUrl, adminUrl, adminToken }, speed }: Stage, signal: AbortSignal): Promise<boolean> {
  if (adminToken === undefined) return false;
  return playCampaign({ proxyUrl, adminUrl, token: adminToken, pauseMs: DESK_MS / speed, random: randomOf(DESK_SEED), signal }).then(() => true, () => false);
}

/** The port when nobody has it, else 0: any free one. */
function freePort(wanted: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(0));
    probe.listen(wanted, '127.0.0.1', () => probe.close(() => resolve(wanted)));
  });
}

/** Plays the script; returns how many exchanges failed. */
async function playAll(stage: Stage, stop: AbortSignal): Promise<number> {
  stage.io.stdout(opening(stage));
  let failures = 0;
  for (const [seed, exchange] of EXCHANGES.entries()) {
    failures += (await play(stage, exchange, seed, stop)) ? 0 : 1;
    await pause(BETWEEN_MS / stage.speed, undefined, { signal: stop });
  }
  return failures;
}

function opening({ page, started, upstreamUrl }: Stage): string {
  const dim = (text: string): string => paint(text, 'dim', page.color);
  return [
    '',
    `  ${paint('Weir', 'bold', page.color)} ${dim('between an app and a model. All people and numbers here are made up.')}`,
    '',
    `  app ${dim('──▶')} proxy ${started.proxyUrl} ${dim('──▶')} model ${new URL(upstreamUrl).origin}`,
    '',
    '',
  ].join('\n');
}

/** Plays one exchange and draws it as it goes. False when there was no answer to show. */
async function play(stage: Stage, exchange: DemoExchange, seed: number, stop: AbortSignal): Promise<boolean> {
  const { io, page } = stage;
  io.stdout(`  ${paint(`${seed + 1}  ${exchange.title}`, 'bold', page.color)}\n\n`);
  if (exchange.shows === 'answer') io.stdout(`${fact(page, 'prompt', [{ text: exchange.prompt.text, style: 'plain' }]).join('\n')}\n\n`);
  const seen: Seen = { sent: '', received: '', prompt: undefined, done: false };
  const frame = new LiveFrame((text) => io.stdout(text), io.isTerminal && io.columns >= page.width);
  const draw = (): void => frame.draw(columnsOf(page, exchange, seen));
  stage.onPrompt.current = (prompt) => void (seen.prompt = prompt);
  stage.onPiece.current = (piece) => {
    seen.sent += piece;
    draw();
  };
  stage.log.hold();
  try {
    draw();
    const answer = await ask(stage.started.proxyUrl, exchange, seed, (piece) => {
      seen.received += piece;
      draw();
    }, stop);
    seen.done = true;
    draw();
    frame.close();
    const watched = await stage.watch.closing(answer.requestId, RECORD_WAIT_MS);
    io.stdout(`\n${outcomeOf(page, exchange, seen, answer, watched).join('\n')}\n\n\n`);
    return watched !== undefined;
  } catch (error) {
    frame.close();
    throw error;
  } finally {
    stage.onPrompt.current = stage.onPiece.current = () => {};
    stage.log.release();
  }
}

/** What went over the wires so far. */
interface Seen {
  sent: string;
  received: string;
  prompt: string | undefined;
  done: boolean;
}

function columnsOf(page: Page, exchange: DemoExchange, seen: Seen): readonly string[] {
  if (exchange.shows === 'prompt') {
    const received: readonly Run[] = seen.prompt === undefined ? [{ text: seen.done ? '(nothing)' : '…', style: 'dim' }] : markLabels(seen.prompt);
    return sideBySide(page, ['the app sent', 'the model received'], markSpans(exchange.prompt.text, exchange.prompt.secrets, 'secret'), received);
  }
  const spans = exchange.answer.secrets.filter((span) => span.start < seen.sent.length).map(({ start, end }) => ({ start, end: Math.min(end, seen.sent.length) }));
  const name: readonly Run[] = exchange.tool === undefined ? [] : [{ text: `${exchange.tool} `, style: 'dim' }];
  return sideBySide(page, ['the model sent', 'the app received'], [...name, ...markSpans(seen.sent, spans, 'secret')], [...name, ...markLabels(seen.received)]);
}

/** The decision and its reasons, as the closing record tells them. */
function outcomeOf(page: Page, exchange: DemoExchange, seen: Seen, answer: DemoAnswer, watched: Watched | undefined): readonly string[] {
  const lines: string[] = [];
  const decision = exchange.shows === 'prompt' ? watched?.record.input : watched?.record.output;
  if (decision !== undefined) lines.push(...fact(page, 'decision', describeDecision(decision)));
  if (answer.error !== undefined) lines.push(...fact(page, 'app got', [{ text: `HTTP ${answer.status} ${answer.error.code}`, style: 'bad' }, { text: `: ${answer.error.message}`, style: 'plain' }]));
  if (answer.finishReason === 'content_filter') lines.push(...fact(page, 'app got', [{ text: 'finish_reason content_filter', style: 'bad' }, { text: ' and a clean end of the stream', style: 'plain' }]));
  if (exchange.shows === 'answer' && seen.received === seen.sent) lines.push(...fact(page, 'changed', [{ text: 'nothing: every character as it was sent', style: 'plain' }]));
  if (watched === undefined) return lines;
  const { record, stages } = watched;
  const held = record.held_chars_max > 0 ? `, at most ${record.held_chars_max} characters held` : '';
  if (record.input?.hold !== undefined) lines.push(...fact(page, 'wait', describeHold(record.input.hold)));
  lines.push(...fact(page, 'policy', [{ text: `${record.policy ?? '-'}${held}`, style: 'plain' }]));
  const times = [...stages].flatMap(([stage, ms]) => (STAGE_NAMES[stage] === undefined ? [] : [`${STAGE_NAMES[stage]} ${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)}`])).join(' · ');
  if (times !== '') lines.push(...fact(page, 'time', [{ text: `${times} ms`, style: 'dim' }]));
  return lines;
}

function describeDecision(decision: DecisionRecord): readonly Run[] {
  const found = decision.classifier_results.filter((result) => (result.score ?? 0) >= SAW_FROM).map((result) => `${result.classifier_id}.${result.category}${result.count > 1 ? ` ×${result.count}` : ''}`);
  const rules = decision.triggered_rules.length > 0 ? ` by rule ${decision.triggered_rules.join(', ')}` : ': no rule fired';
  return [
    { text: decision.action, style: decision.action === 'block' ? 'bad' : 'good' },
    { text: `${rules}${found.length > 0 ? `, which saw ${found.join(', ')}` : ''}`, style: 'plain' },
  ];
}

function describeHold({ ended_by: endedBy, then, held_ms: ms }: NonNullable<DecisionRecord['hold']>): readonly Run[] {
  return [{ text: `${(ms / 1000).toFixed(1)} s for a person: ${endedBy === 'timeout' ? `nobody decided, so ${then}` : `ended by ${endedBy.replace('_', ' ')}`}`, style: 'plain' }];
}

/** One exchange of a visitor. */
function oneLine(page: Page, { record }: Watched): string {
  const actions = [record.input && `prompt ${record.input.action}`, record.output && `answer ${record.output.action}`].filter(Boolean).join(', ');
  return `  ${paint(record.started_at.slice(11, 19), 'dim', page.color)}  ${record.method} ${record.route}  ${record.status}  ${actions || (record.error_code ?? record.outcome)}  ${paint(`${record.duration_ms.toFixed(0)} ms`, 'dim', page.color)}`;
}

function tryIt({ page, started, configFile }: Stage, isDrawn = false): string {
  const title = (text: string): string => `  ${paint(text, 'bold', page.color)}`;
  const { proxyUrl, adminUrl, adminToken } = started;
  return `${[
    title('Now you'),
    '',
    `    curl -N ${proxyUrl}/v1/chat/completions \\`,
    "      -H 'content-type: application/json' \\",
    '      -d \'{"model":"demo","stream":true,"messages":[{"role":"user",',
    '           "content":"I am bo@example.com, call (202) 555-0187"}]}\'',
    '',
    '  or any SDK; only its base URL changes:',
    '',
    `    OPENAI_BASE_URL=${proxyUrl}/v1 OPENAI_API_KEY=any node your-app.js`,
    `    new OpenAI({ baseURL: '${proxyUrl}/v1', apiKey: 'any' })`,
    '',
    '  Say Kestrel, and your request waits three minutes for you to decide, in the console:',
    '',
    `    ${adminUrl}/review`,
    ...(adminToken === undefined ? [] : [`    ${adminToken}`]),
    '',
    '  The second line is the token to log in with. There t takes it, v shows its text,',
    '  a allows and b blocks.',
    '',
    ...(isDrawn ? [
      '  Meanwhile people asked a made-up help desk for the vault code of a safe. Say they',
      '  may not: no classifier knows that. A campaign drew half of what passed; ana and',
      '  ben, made up as well, labelled most of it, and the rest waits for you. How often',
      '  it gets through, and how sure that is:',
      '',
      `    ${adminUrl}/risk`,
      `    ${adminUrl}/risk/annotate`,
      '',
      '  All of it is in the report of the week, which a tenant keeps:',
      '',
      `    ${adminUrl}/reports`,
      '',
      '  From such labels models learn, and you see what each is worth before it works:',
      '',
      `    npm run weir -- learn collect --config ${configFile}`,
      `    npm run weir -- learn train prompt-injection --dataset latest --config ${configFile}`,
      `    ${adminUrl}/learn`,
      '',
    ] : []),
    '  What you send shows below. Ctrl-C ends the demo.',
    '',
    '',
  ].join('\n')}`;
}
