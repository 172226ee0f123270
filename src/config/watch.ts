/**
 * Notices that the configuration or a policy changed, and hands over the new snapshot; keeps the last good one when the
 * change cannot be used. Polls resolved paths and contents, because a Kubernetes ConfigMap is swapped by moving a
 * symbolic link, which file watchers miss. A `subPath` mount never changes, and no watcher can tell.
 *
 * Guarantees: one change is judged once; a snapshot is adopted whole or not at all; every outcome is published on
 * CHANNELS.configReloaded, with the keys that wait for a restart; nothing is adopted after `close` returned. The timer
 * does not keep the process alive.
 */
import { CHANNELS } from '../contract/channels.ts';
import { ConfigError, type ConfigIssue } from '../contract/errors.ts';
import type { Environment } from './environment.ts';
import { buildSnapshot, readSources, type InlineConfig, type LoadOptions } from './load.ts';
import { waitingForRestart } from './restart.ts';
import type { Snapshot } from './snapshot.ts';

const INTERVAL_MS = 1500;

export interface WatchOptions extends LoadOptions {
  /** The file that the running snapshot came from; undefined: the one found when none is named. */
  readonly file: string | InlineConfig | undefined;
  readonly env: Environment;
  /** What runs now. */
  readonly snapshot: Snapshot;
  /** Provisions and swaps. When it throws or rejects, the change counts as refused and the old snapshot stays. */
  readonly onSnapshot: (snapshot: Snapshot) => void | Promise<void>;
  /** Told about every refusal, with its reasons. */
  readonly onRefused?: (issues: readonly ConfigIssue[], error: unknown) => void;
  readonly intervalMs?: number;
}

export interface ConfigWatch {
  /** Looks now, after the look in progress if there is one. A change is adopted by the second look that sees it. */
  check(): Promise<void>;
  /** The last good snapshot. */
  current(): Snapshot;
  /** Waits for the look in progress. */
  close(): Promise<void>;
}

export function watchConfig(options: WatchOptions): ConfigWatch {
  let current = options.snapshot;
  let healthy = true;
  let closed = false;
  /** What the last look saw: a file still being written can be valid by chance, so a change must hold for one interval. */
  let seen = '';
  /** What was judged last, good or bad: the same is not judged again. */
  let judged = '';
  /** Looks run one after the other. */
  let looking: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    const sources = await readSources(options.file, options.env, options);
    const settled = sources.fingerprint === seen;
    seen = sources.fingerprint;
    if (closed || !settled || sources.fingerprint === judged) return;
    judged = sources.fingerprint;
    try {
      const snapshot = await buildSnapshot(sources, options);
      if (closed || (healthy && snapshot.hash === current.hash)) return;
      if (snapshot.hash !== current.hash) await options.onSnapshot(snapshot);
      current = snapshot;
      healthy = true;
      const waiting = waitingForRestart(options.snapshot.config, snapshot.config);
      CHANNELS.configReloaded.publish({ ok: true, hash: current.hash, issues: snapshot.warnings.length, ...(waiting.length === 0 ? {} : { waiting }) });
    } catch (error) {
      healthy = false;
      const issues = error instanceof ConfigError ? error.issues : [];
      CHANNELS.configReloaded.publish({ ok: false, hash: current.hash, issues: issues.length, message: summaryOf(error, issues) });
      options.onRefused?.(issues, error);
    }
  };

  const check = (): Promise<void> => (looking = looking.then(look));
  const schedule = (): void => {
    if (closed) return;
    timer = setTimeout(() => void check().then(schedule), options.intervalMs ?? INTERVAL_MS);
    timer.unref();
  };

  schedule();
  return {
    check,
    current: () => current,
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

/** The first error with its place; the others are counted. Issues never quote free text. */
function summaryOf(error: unknown, issues: readonly ConfigIssue[]): string {
  const errors = issues.filter((issue) => issue.severity === 'error');
  if (errors.length === 0) return error instanceof Error ? error.message.split('\n', 1)[0] : 'the new configuration was refused';
  const [{ file, line, column, message }] = errors;
  return `${file}:${line}:${column} ${message}${errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''}`;
}
