/**
 * Other HTTP servers for one test: nginx and haproxy really started, and node, each of which tells how it read what it
 * was sent. Where nginx or haproxy is not installed their tests are skipped, but in CI they fail.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { freePort } from './redis-server.ts';

/** Servers stand where not every user's path leads. */
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };

const missing = (['nginx', 'haproxy'] as const).filter((name) => spawnSync(name, ['-v'], { env }).error !== undefined);

/** The reason to skip, or false. */
export const PEERS_MISSING = missing.length > 0 && !process.env.CI ? `${missing.join(' and ')} not installed` : false;

/** One request as a server read it. */
export interface Reading {
  readonly method: string;
  readonly target: string;
  /** Base64 of the body without its framing. */
  readonly body: string;
}

export interface Told {
  /** In order; those after a refusal are not read. */
  readonly read: readonly Reading[];
  /** Status of the refusal that ended the connection. */
  readonly refused: number | undefined;
}

export interface Peer {
  readonly name: string;
  /** Sends `bytes` on a connection of their own; resolves when so many requests were read, or one refused, or the connection ended. */
  ask(bytes: Buffer, count: number): Promise<Told>;
}

/** Starts all three; they are stopped when `t` ends. */
export async function startPeers(t: Test): Promise<readonly Peer[]> {
  const dir = mkdtempSync(join(tmpdir(), 'weir-peers-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const node = await startEcho(t);
  const [nginx, haproxy] = [await freePort(), await freePort()];
  writeFileSync(join(dir, 'nginx.conf'), nginxConfig(dir, nginx, node));
  writeFileSync(join(dir, 'haproxy.cfg'), haproxyConfig(haproxy));
  start(t, 'nginx', ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')]);
  start(t, 'haproxy', ['-q', '-db', '-f', join(dir, 'haproxy.cfg')]);
  await Promise.all([nginx, haproxy].map(accepts));
  return [{ name: 'node', port: node }, { name: 'nginx', port: nginx }, { name: 'haproxy', port: haproxy }].map(({ name, port }) => ({ name, ask: (bytes, count) => ask(port, bytes, count) }));
}

function start(t: Test, program: string, args: readonly string[]): void {
  const server = spawn(program, args, { env, stdio: 'ignore' });
  t.teardown(() => void server.kill('SIGKILL'));
}

async function accepts(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`nothing accepts connections on port ${port}`);
}

// How each of them tells what it read.

/** Node reads for itself, and for nginx, which cannot tell a body but sends on what it made of one. */
async function startEcho(t: Test): Promise<number> {
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      const { 'x-read-method': method = req.method, 'x-read-target': target = req.url } = req.headers;
      const answer = JSON.stringify({ method, target, body: Buffer.concat(chunks).toString('base64') });
      res.writeHead(200, { 'content-length': Buffer.byteLength(answer) }).end(answer);
    });
  });
  // What was read before the fault is answered before it.
  server.on('clientError', (_error, socket) => setTimeout(() => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'), 20));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => { server.close(); server.closeAllConnections(); });
  return (server.address() as AddressInfo).port;
}

const nginxConfig = (dir: string, port: number, echo: number): string => `
daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
  upstream echo { server 127.0.0.1:${echo}; keepalive 4; }
  server {
    listen 127.0.0.1:${port};
    client_body_buffer_size 1m; keepalive_requests 1000000;
    location / {
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host a;
      proxy_set_header X-Read-Method $request_method; proxy_set_header X-Read-Target $request_uri;
      proxy_pass http://echo;
    }
  }
}`;

const haproxyConfig = (port: number): string => `
global
  tune.bufsize 131072
defaults
  mode http
  timeout client 5s
  timeout http-request 5s
  timeout http-keep-alive 5s
frontend f
  bind 127.0.0.1:${port}
  http-request wait-for-body time 5s
  http-request return status 200 content-type application/json lf-string '{"method":"%[method,base64]","target":"%[url,base64]","body":"%[req.body,base64]","encoded":true}'
`;

// Asking.

const SILENCE_MS = 2000;

function ask(port: number, bytes: Buffer, count: number): Promise<Told> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const answers = new Answers();
    const read: Reading[] = [];
    const end = (refused?: number): void => {
      socket.destroy();
      resolve({ read, refused });
    };
    socket.setTimeout(SILENCE_MS, () => end());
    socket.on('error', () => {}).on('close', () => end());
    socket.on('data', (chunk: Buffer) => {
      for (const { status, body } of answers.take(chunk)) {
        if (status !== 200) return end(status);
        read.push(readingOf(body));
      }
      if (read.length >= count) end();
    });
  });
}

function readingOf(answer: Buffer): Reading {
  const { method, target, body, encoded } = JSON.parse(answer.toString()) as Reading & { encoded?: boolean };
  const plain = (text: string): string => (encoded === true ? Buffer.from(text, 'base64').toString('latin1') : text);
  return { method: plain(method), target: plain(target), body };
}

/** Takes whole answers off a connection, each with a content-length; what is only for information is left out. */
export class Answers {
  #rest: Buffer = Buffer.alloc(0);

  take(chunk: Buffer): { readonly status: number; readonly head: string; readonly body: Buffer }[] {
    const bytes = Buffer.concat([this.#rest, chunk]);
    const answers = [];
    let at = 0;
    for (;;) {
      const stop = bytes.indexOf('\r\n\r\n', at);
      if (stop === -1) break;
      const head = bytes.toString('latin1', at, stop);
      const status = Number(head.split(' ')[1]);
      const end = stop + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (end > bytes.length) break;
      if (status >= 200) answers.push({ status, head, body: bytes.subarray(stop + 4, end) });
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return answers;
  }
}
