/**
 * What must not open the admin port: keys of tenants, other names for this host, another address than loopback without
 * anything that protects tokens; and that tokens of the admin port open nothing on the proxy port.
 */
import { connect } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { generateKey, keyDigest } from '../../src/tenant/keys.ts';
import { ask, cookiesOf, tokenFor } from '../helpers/admin.ts';
import { makeCertificate } from '../helpers/certificate.ts';
import { blocking, freshFolder, openHouse } from '../helpers/house.ts';

t.setTimeout(300_000);

const FILES = { 'acme.yaml': blocking('Fileword') };

t.test('a key of the one port is nothing on the other', async (t) => {
  const key = generateKey();
  const keyed = await openHouse(t, { files: FILES, config: { tenants: [{ id: 'default', policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: keyDigest(key) }] }] } });
  t.equal(await keyed.chat('hello', { authorization: `Bearer ${key}` }), 200);
  for (const headers of [{ authorization: `Bearer ${key}` }, { 'x-api-key': key }, { 'api-key': key }] as readonly Readonly<Record<string, string>>[]) {
    t.equal((await ask(keyed.adminUrl, '/api/v1/status', { headers })).status, 401);
    t.equal((await ask(keyed.adminUrl, '/api/v1/policies/acme', { method: 'DELETE', headers })).status, 401);
  }
  t.equal((await ask(keyed.adminUrl, '/api/v1/session', { method: 'POST', body: { token: key } })).status, 401);
  for (const [method, status] of [['HEAD', 401], ['OPTIONS', 404], ['TRACE', 404], ['PATCH', 404]] as const) t.equal((await ask(keyed.adminUrl, '/api/v1/status', { method })).status, status, `${method} is no way around`);
  const sidecar = await openHouse(t, { files: FILES });
  const made = await tokenFor(sidecar.adminUrl, sidecar.token, 'ci', ['admin']);
  for (const token of [sidecar.token, made]) {
    t.equal(await sidecar.chat('hello', { authorization: `Bearer ${token}` }), 401, 'though any other credential passes through to the upstream');
    t.equal(await keyed.chat('hello', { authorization: `Bearer ${token}` }), 401);
  }
  t.equal(await sidecar.chat('hello'), 200);
  for (const path of ['/metrics', '/api/v1/health']) t.equal((await ask(keyed.adminUrl, path)).status, 200);
  const proxied = await ask(keyed.adminUrl.replace(/\d+$/, String(keyed.port)), '/metrics', { token: key });
  t.equal(proxied.status, 404, 'the proxy port has no metrics and no API');
  t.equal((await ask(keyed.adminUrl.replace(/\d+$/, String(keyed.port)), '/api/v1/status', { token: keyed.token })).status, 401);
});

t.test('a Host that is not ours is refused on every route, whatever else the request carries', async (t) => {
  const house = await openHouse(t, { files: FILES, config: { admin: { port: 0, hosts: ['weir.internal.example.com'], public_url: 'http://front.example.com:8443' } } });
  const { port } = new URL(house.adminUrl);
  const statusOf = async (host: string | readonly string[], path = '/api/v1/status'): Promise<number> => (await ask(house.adminUrl, path, { token: house.token, headers: { host } })).status;
  for (const host of ['127.0.0.1', `127.0.0.1:${port}`, '10.1.2.3:8081', '[::1]', `[::1]:${port}`, 'localhost', 'LOCALHOST:9', 'localhost.', 'weir.internal.example.com', 'WEIR.internal.example.com:1', 'front.example.com']) t.equal(await statusOf(host), 200, host);
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'evil.example:8081', 'xlocalhost', 'sub.weir.internal.example.com', 'example.com', '127.1', '2130706433x', '0x7f.1', ' ', 'localhost@evil.example', 'evil.example#localhost', 'localhost/evil', '[::1', '[evil]', 'localhost:', 'localhost:port']) {
    for (const path of ['/api/v1/status', '/metrics', '/api/v1/health', '/nothing', '/api/v1/login']) t.ok([400, 421].includes(await statusOf(host, path)), `${JSON.stringify(host)} ${path}`);
  }
  t.match(await ask(house.adminUrl, '/api/v1/status', { token: house.token, headers: { host: 'evil.example', 'x-forwarded-host': 'localhost', forwarded: 'host=localhost' } }), { status: 421, body: { error: { code: 'misdirected' } } }, 'what a proxy would say counts for nothing');
  t.equal((await ask(house.adminUrl, '/api/v1/status', { token: house.token, headers: { host: 'localhost', 'x-forwarded-host': 'evil.example' } })).status, 200);
  const raw = (text: string): Promise<string> => new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(Number(port), '127.0.0.1', () => socket.end(text));
    socket.on('data', (part: Buffer) => void (answer += part)).on('end', () => resolve(answer.split('\r\n', 1)[0]!)).on('error', reject);
  });
  const line = `authorization: Bearer ${house.token}\r\nconnection: close\r\n\r\n`;
  t.match(await raw(`GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\n${line}`), / 200 /);
  t.match(await raw(`GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n${line}`), / 4\d\d /, 'two');
  t.match(await raw(`GET /api/v1/status HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\n${line}`), / 4\d\d /, 'two');
  t.match(await raw(`GET /api/v1/status HTTP/1.1\r\n${line}`), / 400 /, 'none');
  t.match(await raw(`GET /api/v1/status HTTP/1.0\r\n${line}`), / 421 /, 'none, in the old way');
  t.match(await raw(`GET http://evil.example/api/v1/status HTTP/1.1\r\nhost: localhost\r\n${line}`), / 4\d\d /, 'another one in the request line');
});

t.test('on another address than loopback it starts with a certificate, or on the operator’s word, or not at all', async (t) => {
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'weir.example.com', '127.0.0.1.example.com']) {
    await t.rejects(openHouse(t, { files: FILES, config: { admin: { host, port: 0 } } }), { message: /another address than loopback without tls: tokens and cookies could be read.*allow_plain_http/ }, host);
  }
  const open = await openHouse(t, { files: FILES, config: { admin: { host: '0.0.0.0', port: 0, allow_plain_http: true } } });
  t.equal((await ask(open.adminUrl, '/api/v1/status', { token: open.token })).status, 200);
  t.equal((await ask(open.adminUrl, '/api/v1/status')).status, 401, 'which opens no door');
  for (const host of ['127.0.0.2', 'localhost']) t.equal((await ask((await openHouse(t, { files: FILES, config: { admin: { host, port: 0 } } })).adminUrl, '/api/v1/health')).status, 200, host);
  await t.rejects(openHouse(t, { files: FILES, config: { admin: { port: 0, tls: { cert_file: 'x.crt' } } } }), { message: /needs cert_file and key_file/ });
  await t.rejects(openHouse(t, { files: FILES, config: { admin: { port: 0, tls: { cert_file: 'none.crt', key_file: 'none.key' } } } }), { message: /none\.crt/ });
});

t.test('with a certificate it speaks HTTPS, and cookies are for nothing else', async (t) => {
  const dir = freshFolder(t);
  const { cert, key } = makeCertificate();
  writeFileSync(join(dir, 'admin.crt'), cert);
  writeFileSync(join(dir, 'admin.key'), key);
  const house = await openHouse(t, { dir, files: FILES, config: { admin: { host: '0.0.0.0', port: 0, tls: { cert_file: 'admin.crt', key_file: 'admin.key' } } } });
  t.match(house.adminUrl, /^https:/);
  const opened = await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: house.token } });
  t.match([opened.headers['set-cookie']].flat(), [/^__Host-weir-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200; Secure$/]);
  const cookie = cookiesOf(opened);
  t.equal((await ask(house.adminUrl, '/api/v1/session', { cookie })).status, 200);
  t.equal((await ask(house.adminUrl, '/api/v1/session', { cookie: cookie.replace('__Host-', '') })).status, 401);
  const change = (origin: string) => ask(house.adminUrl, '/api/v1/policies/acme/test', { method: 'POST', cookie, headers: { origin, 'x-csrf-token': opened.body.csrf as string } });
  t.same([(await change(house.adminUrl)).status, (await change(house.adminUrl.replace('https', 'http'))).status], [200, 403], 'a page of the same host by HTTP is another origin');
});

t.test('behind something that speaks HTTPS, its name and its origin are ours', async (t) => {
  const house = await openHouse(t, { files: FILES, config: { admin: { port: 0, public_url: 'https://weir.example.com' } } });
  const opened = await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: house.token }, headers: { host: 'weir.example.com', origin: 'https://weir.example.com', 'sec-fetch-site': 'same-origin' } });
  t.match([opened.status, [opened.headers['set-cookie']].flat()], [200, [/^__Host-weir-session=.*; Secure$/]]);
  const change = (origin: string, host: string) => ask(house.adminUrl, '/api/v1/policies/acme/test', { method: 'POST', cookie: cookiesOf(opened), headers: { host, origin, 'x-csrf-token': opened.body.csrf as string } });
  t.equal((await change('https://weir.example.com', 'weir.example.com')).status, 200);
  t.equal((await change('https://weir.example.com', '127.0.0.1:8081')).status, 200, 'whatever Host it passes on');
  t.equal((await change('https://other.example.com', 'weir.example.com')).status, 403);
});

t.test('every answer forbids what no answer needs', async (t) => {
  const house = await openHouse(t, { files: FILES });
  for (const path of ['/metrics', '/api/v1/status', '/nothing', '/api/v1/openapi.json']) {
    t.match((await ask(house.adminUrl, path)).headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-frame-options': 'DENY', 'referrer-policy': 'no-referrer', 'content-security-policy': /default-src 'none'; frame-ancestors 'none'/ }, path);
    t.equal((await ask(house.adminUrl, path, { headers: { origin: 'https://evil.example' } })).headers['access-control-allow-origin'], undefined);
  }
});
