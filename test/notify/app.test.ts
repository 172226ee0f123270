/**
 * The whole app, from its configuration: a classifier behind HTTP is heard after the fact, the session is barred, a real
 * receiver gets the signed notification, and moderations are answered by the same classifier.
 */
import { createHmac } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';
import t from 'tap';
import { createApp } from '../../src/app.ts';
import { CHAT_ANSWER, json, ScriptedUpstream, until } from '../helpers/upstream.ts';

const SECRET = 'made-up-secret-0123456789';
const POLICY = 'policy: p\nscreening: { mode: hybrid, late_deadline_ms: 20000, bar_session: 10m }\nrules:\n  - { id: late, direction: input, when: { score: ensemble.worst, gte: 0.5 }, action: block }\n';
const WITHIN_MS = 20_000;

t.test('hybrid screening with a webhook, from the configuration', async (t) => {
  const [provider, receiver] = [new ScriptedUpstream(json(200, CHAT_ANSWER)), new ScriptedUpstream(json(200, {}))];
  const scoring = new ScriptedUpstream((socket, request) => {
    const { content } = JSON.parse(request.body.toString()) as { readonly content: string };
    return json(200, { results: ['hate', 'violence'].map((category) => ({ classifier_id: 'vendor', category, score: content.includes('bad') ? 0.75 : 0.25, label: category, spans: [], latency_ms: 1 })) })(socket, request);
  });
  const dir = mkdtempSync(join(tmpdir(), 'weir-notify-'));
  writeFileSync(join(dir, 'policy.yaml'), POLICY);
  const classify = new URL('/classify', await scoring.listen()).href;
  const app = createApp({
    config: {
      dir,
      config: {
        data_dir: 'data', proxy: { port: 0 }, admin: { port: 0 }, policies: ['policy.yaml'], upstreams: { local: { url: await provider.listen() } }, telemetry: { log_level: 'silent' },
        tenants: [{ id: 'acme', policy: 'p', upstream: 'local' }],
        classifiers: [{ id: 'vendor', plugin: 'http', url: classify, categories: ['hate', 'violence'] }],
        screening: { deadline_ms: 10_000, moderation_thresholds: { hate: 0.8 }, combine: [{ category: 'worst', method: 'max', of: { 'vendor.hate': 1, 'vendor.violence': 1 } }] },
        notifications: { webhook: { url: await receiver.listen(), secret: SECRET } },
      },
    },
    env: {},
    log: { write: () => undefined },
  });
  t.teardown(async () => {
    await app.close();
    await Promise.all([provider, receiver, scoring].map((one) => one.close()));
    rmSync(dir, { recursive: true, force: true });
  });
  const { proxyUrl, adminUrl } = await app.start();
  const client = new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: 'sk-made-up', maxRetries: 0, defaultHeaders: { 'x-weir-session-id': 's1' } });
  const ask = (content: string) => client.chat.completions.create({ model: 'm', messages: [{ role: 'user', content }] });

  t.equal((await ask('All is fine')).choices[0]!.message.content, 'fine');
  const first = await ask('A secretive and bad thing').then(() => 'answered', (error: { status: number }) => error.status);
  t.ok(first === 'answered' || first === 400, `${first}: whichever came first`);
  await until(() => receiver.received.length === 1, WITHIN_MS, 'the notification');
  const { headers, body } = receiver.received[0]!;
  t.match(JSON.parse(body.toString()), { event: 'late_violation', tenant_id: 'acme', session_id: 's1', policy: /^p@/, late: { direction: 'input', action: 'block', triggered_rules: ['late'] } });
  t.notMatch(body.toString(), /secretive/);
  const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(headers['weir-signature']!)!;
  t.equal(signature, createHmac('sha256', SECRET).update(`${seconds}.${body.toString()}`).digest('hex'));

  await t.rejects(ask('All is fine'), { status: 403, code: 'session_barred' });
  t.equal((await new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey: 'sk-made-up' }).chat.completions.create({ model: 'm', messages: [{ role: 'user', content: 'All is fine' }] })).id, 'c1');

  const counted = async (): Promise<string> => (await fetch(`${adminUrl}/metrics`)).text();
  t.match(await counted(), /weir_late_verdicts_total\{tenant="acme",act="barred"[^}]*\} 1/);
  t.match(await counted(), /weir_late_verdicts_total\{tenant="acme",act="none"[^}]*\} /);

  const { results } = await client.moderations.create({ input: ['fine', 'bad'] });
  t.match(results, [{ flagged: false, category_scores: { hate: 0.25 } }, { flagged: true, categories: { hate: false, violence: true }, category_scores: { hate: 0.75, violence: 0.75 } }]);
  t.equal(results[1]!.categories.harassment, null);

  const batch = await fetch(`${proxyUrl}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ requests: [{ direction: 'input', content: 'bad' }, { direction: 'input', content: 'fine' }, {}] }) });
  t.match(await batch.json(), { decisions: [{ action: 'block', triggered_rules: ['late'] }, { action: 'allow' }, { error: { code: 'invalid_request' } }] });

  await app.close();
  const log = readdirSync(join(dir, 'data/audit')).filter((name) => name.endsWith('.jsonl')).map((name) => readFileSync(join(dir, 'data/audit', name), 'utf8')).join('');
  t.match(log, /"acted":\["(?:cut",")?barred"\]/);
  t.notMatch(log, /secretive/);
});
