/**
 * Independent witnesses of traffic: a provider that remembers which prompts reached it and fails as the prompt asks, nginx in
 * front of a Weir with its own access log, and a relay to a database that can be cut and joined again.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { until } from './house.ts';
import { CHAT_ANSWER, ScriptedUpstream, SSE_HEAD, chatEvents, chunk, events, head, json, pause, type Script } from './upstream.ts';

/** Prompts by their number, each as often as it came. */
export type Arrived = Map<number, number>;

/** Answers as the prompt says after `do=`. */
export async function openWitness(t: Test): Promise<{ readonly url: string; readonly arrived: Arrived }> {
  const arrived: Arrived = new Map();
  const upstream = new ScriptedUpstream((socket, request) => {
    const text = request.body.toString();
    const [, n, doing] = /n=([\d.]+) do=(\w+)/.exec(text) ?? [];
    if (n !== undefined) arrived.set(Number(n), (arrived.get(Number(n)) ?? 0) + 1);
    return scriptOf(doing, /"stream":\s*true/.test(text))(socket, request);
  });
  t.teardown(() => upstream.close());
  return { url: await upstream.listen(), arrived };
}

const PIECES = ['fine', ' words', ' and', ' more', ' of', ' them'];

function scriptOf(doing: string | undefined, stream: boolean): Script {
  switch (doing) {
    case undefined: return json(200, { object: 'list', data: [{ id: 'm', object: 'model' }] });
    case 'reset': return (socket) => void socket.resetAndDestroy();
    case 'truncate': return (socket) => void socket.end(stream ? Buffer.concat([Buffer.from(SSE_HEAD), chunk(chatEvents(PIECES)[0]!)]) : head(200, { 'content-type': 'application/json', 'content-length': '500' }) + '{"id":');
    case 'stall': return async (socket) => {
      if (stream) socket.write(Buffer.concat([Buffer.from(SSE_HEAD), chunk(chatEvents(PIECES)[0]!)]));
      await once(socket, 'close'); // until its caller gives up
    };
    case 'busy': return json(429, { error: { message: 'made up', type: 'rate_limit_error', code: 'rate_limit_exceeded' } }, { 'retry-after': '1' });
    case 'broken': return json(500, { error: { message: 'made up', type: 'server_error' } });
    case 'cut': return async (socket) => {
      socket.write(SSE_HEAD);
      for (const event of chatEvents(PIECES).slice(0, 3)) socket.write(chunk(event));
      await pause(5);
      socket.resetAndDestroy();
    };
    case 'noise': return events(chatEvents(['Look, a ', 'Blue', 'bird, ', 'there.']), 1);
    default: return stream ? events(chatEvents(PIECES), 1) : json(200, CHAT_ANSWER);
  }
}

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };
export const NGINX_MISSING = spawnSync('nginx', ['-v'], { env }).error !== undefined && !process.env.CI;

/** nginx in front of `target`, which hands every request on once; `seen` is what its access log says of each. */
export async function startFront(t: Test, dir: string, port: number, target: number): Promise<() => readonly { readonly status: number; readonly id: string | undefined }[]> {
  writeFileSync(join(dir, 'nginx.conf'), `
daemon off; master_process off; pid ${dir}/nginx.pid; error_log stderr crit;
events { worker_connections 512; }
http {
  log_format told '$status $upstream_http_x_weir_request_id';
  access_log ${dir}/access.log told;
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`).join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / { proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_next_upstream off; proxy_pass http://127.0.0.1:${target}; }
  }
}`);
  const nginx = spawn('nginx', ['-e', 'stderr', '-p', dir, '-c', join(dir, 'nginx.conf')], { env, stdio: 'ignore' });
  t.teardown(() => void nginx.kill('SIGKILL'));
  await until(() => new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); }).on('error', () => resolve(false));
  }), 'nginx');
  return () => readFileSync(join(dir, 'access.log'), 'utf8').trimEnd().split('\n').map((line) => line.split(' ')).map(([status, id]) => ({ status: Number(status), id: id === '-' ? undefined : id }));
}

/** Bytes go through while it is joined; a cut ends every connection, and new ones as they come. */
export async function openRelay(t: Test, host: string, port: number): Promise<{ readonly port: number; cut(): void; join(): void }> {
  const open = new Set<Socket>();
  let isCut = false;
  const server = createServer((client) => {
    if (isCut) return void client.destroy();
    const target = connect({ host, port, noDelay: true });
    for (const [from, to] of [[client, target], [target, client]] as const) {
      open.add(from);
      from.on('error', () => to.destroy()).on('close', () => { open.delete(from); to.destroy(); });
      from.pipe(to);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, cut, join: () => void (isCut = false) };
}
