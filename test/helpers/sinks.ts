/** Everything that Redis, Postgres, a folder or a collector of telemetry holds, as bytes to be searched. */
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import type { Test } from 'tap';

/** By path within the folder. */
export function filesIn(dir: string): ReadonlyMap<string, Buffer> {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(entries.map(({ parentPath, name }) => [join(parentPath, name).slice(dir.length + 1), readFileSync(join(parentPath, name))]));
}

/** Every row of every table in the schema that the URL names. */
export async function postgresRows(url: string): Promise<string> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ name: string }>('select table_name as name from information_schema.tables where table_schema = current_schema()');
    const rows: string[] = [];
    for (const { name } of tables) {
      const { rows: found } = await client.query<{ row: string }>(`select row_to_json(one)::text as row from "${name}" one`);
      rows.push(...found.map(({ row }) => `${name} ${row}`));
    }
    return rows.join('\n');
  } finally {
    await client.end();
  }
}

export interface RedisWatch {
  /** Every command that it was given and every value that it holds. */
  all(): Promise<string>;
}

export async function watchRedis(t: Test, port: number): Promise<RedisWatch> {
  const client = new Redis({ port, host: '127.0.0.1' });
  const monitor = await client.monitor();
  const commands: string[] = [];
  monitor.on('monitor', (_time: string, args: readonly string[]) => void commands.push(args.join(' ')));
  t.teardown(() => {
    monitor.disconnect();
    client.disconnect();
  });
  return {
    async all() {
      const values: string[] = [];
      let cursor = '0';
      do {
        const [next, keys] = await client.scan(cursor);
        cursor = next;
        for (const key of keys) values.push(`${key} ${await valueOf(client, key)}`);
      } while (cursor !== '0');
      return [...commands, ...values].join('\n');
    },
  };
}

async function valueOf(client: Redis, key: string): Promise<string> {
  const type = await client.type(key);
  const read: Readonly<Record<string, () => Promise<unknown>>> = {
    string: async () => (await client.getBuffer(key))?.toString('latin1'), hash: () => client.hgetall(key), set: () => client.smembers(key), list: () => client.lrange(key, 0, -1),
    zset: () => client.zrange(key, '0', '-1', 'WITHSCORES'), stream: () => client.xrange(key, '-', '+'),
  };
  if (read[type] === undefined) throw new Error(`nobody reads a ${type}`);
  return `${type} ${JSON.stringify(await read[type]())}`;
}

export interface Collector {
  readonly url: string;
  readonly received: Buffer[];
}

/** Takes what is posted to it. */
export async function startCollector(t: Test): Promise<Collector> {
  const received: Buffer[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => void parts.push(part)).on('end', () => {
      const body = Buffer.concat(parts);
      received.push(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}
