/**
 * A real redis-server on a free port for one test, to be frozen and killed. Where none is installed its tests are
 * skipped, but in CI they fail.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Test } from 'tap';
import { openRedis, type RedisDoor } from '../../src/store/redis.ts';

/** The reason to skip, or false. */
export const REDIS_MISSING = spawnSync('redis-server', ['--version']).error !== undefined && !process.env.CI ? 'redis-server is not installed' : false;

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Resolves when it accepts connections; killed at the end of the test. */
export async function startRedis(t: Test, port: number, ...options: readonly string[]): Promise<ChildProcess> {
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...options], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => void server.kill('SIGKILL'));
  let said = '';
  await new Promise<void>((resolve, reject) => {
    server.stdout.on('data', (text: Buffer) => (said += String(text)).includes('Ready to accept') && resolve());
    server.once('exit', () => reject(new Error('redis-server ended')));
  });
  return server;
}

/** One command without a breaker, for what a test cannot do without. Rejects unless it is answered with OK. */
export async function tellRedis(port: number, command: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  const [answer] = await once(socket.end(`${command}\r\n`), 'data') as [Buffer];
  socket.destroy();
  if (!answer.includes('+OK')) throw new Error(`${command} was answered with ${String(answer)}`);
}

/** For commands of the test's own. */
export async function redisAdmin(t: Test, port: number): Promise<RedisDoor> {
  const door = await openRedis(`redis://127.0.0.1:${port}`);
  t.teardown(() => door.close());
  return door;
}

/** What a connection does to the bytes that it hands on. */
export interface Faults {
  readonly lateMs?: () => number;
  /** The messages of a channel are left out. */
  readonly loses?: () => boolean;
  /** A connection over which a client says this is cut. */
  readonly cuts?: (said: Buffer) => boolean;
}

/** Hands bytes on, late or not at all. */
export async function between(t: Test, port: number, { lateMs = () => 0, loses = () => false, cuts = () => false }: Faults): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect({ port, host: '127.0.0.1', noDelay: true });
    client.setNoDelay(true);
    for (const [from, to] of [[client, target], [target, client]] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
      from.on('data', (bytes: Buffer) => {
        if (from === target && loses() && bytes.includes('$7\r\nmessage\r\n')) return;
        if (from === client && cuts(bytes)) return void client.destroy();
        if (lateMs() === 0) to.write(bytes);
        else setTimeout(() => void (to.writable && to.write(bytes)), lateMs());
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
