/**
 * What of the configuration is read once, when the process starts: listeners, folders, the stores, telemetry. A reload
 * adopts everything else; what it changed of these waits for a restart, and is named. Pure.
 */
import type { Config } from './schema.ts';

/** Keys, each with all below it. */
export const RESTART_KEYS = [
  'roles', 'data_dir', 'proxy.host', 'proxy.port', 'proxy.workers', 'proxy.limits.header_bytes_max', 'proxy.limits.connections_max', 'proxy.timeouts.headers_ms', 'proxy.timeouts.request_ms', 'proxy.timeouts.keep_alive_ms',
  'admin.host', 'admin.port', 'admin.tls', 'admin.allow_plain_http', 'admin.public_url', 'admin.hosts', 'admin.session', 'admin.oidc', 'audit.dir', 'audit.key_file', 'audit.origin', 'audit.ship', 'audit.master_key', 'audit.master_key_file', 'telemetry', 'store.url', 'analytics',
] as const;

export function countsAfterRestart(path: string): boolean {
  return RESTART_KEYS.some((key) => path === key || path.startsWith(`${key}.`));
}

/** The keys whose values differ from those that the process was started with. */
export function waitingForRestart(started: Config, now: Config): readonly string[] {
  return RESTART_KEYS.filter((key) => JSON.stringify(valueAt(started, key)) !== JSON.stringify(valueAt(now, key)));
}

function valueAt(config: Config, key: string): unknown {
  return key.split('.').reduce<unknown>((value, step) => (value as Readonly<Record<string, unknown>>)[step], config);
}
