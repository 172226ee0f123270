/**
 * The connections to every configured upstream, for as long as the configuration names it unchanged: a reload that does
 * not touch an upstream does not touch its connections, and one that does lets requests in flight finish.
 */
import { isDeepStrictEqual } from 'node:util';
import type { UpstreamConfig } from '../config/schema.ts';
import { PassThrough } from './passthrough.ts';
import { Upstream } from './upstream.ts';

interface Connections {
  readonly config: UpstreamConfig;
  readonly screened: Upstream;
  readonly passThrough: PassThrough;
}

export class Upstreams {
  readonly #byId = new Map<string, Connections>();

  of(id: string, config: UpstreamConfig): Connections {
    const open = this.#byId.get(id);
    if (open !== undefined && (open.config === config || isDeepStrictEqual(open.config, config))) return open;
    if (open !== undefined) void open.screened.close();
    const fresh = { config, screened: new Upstream(config), passThrough: new PassThrough(config) };
    this.#byId.set(id, fresh);
    return fresh;
  }

  async close(): Promise<void> {
    const all = [...this.#byId.values()];
    this.#byId.clear();
    for (const { passThrough } of all) passThrough.close();
    await Promise.all(all.map(({ screened }) => screened.destroy()));
  }
}
