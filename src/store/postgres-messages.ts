/**
 * Messages of Postgres (LISTEN), over a connection of its own, since one that listens does nothing else. It connects
 * for ever, and asks now and then whether the server is still there, since one that froze says nothing either. What is
 * said while it is not connected is lost: who listens is told when it hears again, and asks what it missed.
 */
import { Client } from 'pg';

const CONNECT_MS = 2_000;
const RETRY_MS = { first: 100, most: 5_000 } as const;
const PROBE_MS = 10_000;

/** Hears `channel` until what it returns is called. */
export function listenTo(url: string, channel: string, onMessage: (text?: string) => void): () => void {
  const listener = new Listener(url, channel, onMessage);
  void listener.connect();
  return () => listener.close();
}

class Listener {
  readonly #url: string;
  readonly #channel: string;
  readonly #onMessage: (text?: string) => void;
  #client: Client | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(url: string, channel: string, onMessage: (text?: string) => void) {
    this.#url = url;
    this.#channel = channel;
    this.#onMessage = onMessage;
  }

  async connect(): Promise<void> {
    const client = new Client({ connectionString: this.#url, connectionTimeoutMillis: CONNECT_MS, query_timeout: CONNECT_MS, keepAlive: true, application_name: 'weir messages' });
    this.#client = client;
    let over = false;
    const lost = (): void => {
      if (over) return;
      over = true;
      void client.end().catch(() => {});
      if (this.#client === client) this.#retry();
    };
    client.on('error', lost).on('end', lost);
    client.on('notification', ({ payload = '' }) => this.#onMessage(payload));
    try {
      await client.connect();
      await client.query(`listen "${this.#channel.replaceAll('"', '')}"`);
      if (this.#closed) return lost();
      this.#failures = 0;
      this.#onMessage();
      this.#probe(client, lost);
    } catch {
      lost();
    }
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    void client?.end().catch(() => {});
  }

  #retry(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.connect(), Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** Math.min(this.#failures++, 10))).unref();
  }

  #probe(client: Client, lost: () => void): void {
    this.#timer = setTimeout(() => {
      client.query('select 1').then(() => { if (this.#client === client && !this.#closed) this.#probe(client, lost); }, lost);
    }, PROBE_MS).unref();
  }
}
