/**
 * The OpenAPI document: valid, the same routes as the listener's both ways, and true: what a running Weir answers, to
 * right and to wrong requests, is what the document says it answers.
 */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import t from 'tap';
import { weekAt } from '../../src/report/weekly/weeks.ts';
import { Door } from '../../src/admin/door.ts';
import { createAdminServer, ADMIN_ROUTES, type AdminDependencies } from '../../src/admin/server.ts';
import { templateOf } from '../../src/admin/openapi.ts';
import { CHANNELS } from '../../src/contract/channels.ts';
import { blocking, openHouse, watching, until } from '../helpers/house.ts';
import { meetKeeper } from '../helpers/keepers.ts';
import { trainedModels } from '../helpers/models.ts';

t.setTimeout(300_000);

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, object>> };
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, { readonly schema: object }>> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

/** No desk is asked for anything. */
const DOOR = new Door({ token: { id: 'first_0', matches: () => false }, hosts: [], isSecure: false, now: () => new Date() });
const SERVER = createAdminServer({ version: '1.2.3', door: DOOR, policies: {} } as unknown as AdminDependencies);
t.teardown(() => SERVER.close());

async function documentOf(): Promise<Document> {
  const answer = await SERVER.inject({ url: '/api/v1/openapi.json' });
  t.match([answer.statusCode, answer.headers['content-type']], [200, /^application\/json/]);
  return answer.json<Document>();
}

t.test('it is a valid document of OpenAPI 3.1', async (t) => {
  const document = await documentOf();
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(JSON.stringify(document)) as Record<string, unknown>);
  t.same([valid, errors], [true, undefined]);
  t.equal(document.openapi, '3.1.0');
  const broken = structuredClone(document) as unknown as { readonly paths: Record<string, { get: { responses: unknown } }> };
  broken.paths['/metrics']!.get.responses = 7;
  t.equal((await new Validator().validate(broken)).valid, false, 'the validator refuses what is none');
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!);
  t.ok(references.length > 20);
  t.same([...new Set(references)].filter((name) => !(name in document.components.schemas)), [], 'every reference leads somewhere');
  t.same(Object.keys(document.components.schemas).filter((name) => !references.includes(name)), [], 'and every component is referred to');
  const ids = Object.values(document.paths).flatMap((operations) => Object.values(operations)).map(({ operationId }) => operationId);
  t.equal(new Set(ids).size, ids.length);
});

t.test('it has every route that the listener has, and no other', async (t) => {
  await SERVER.ready();
  const { paths } = await documentOf();
  const documented = Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)).sort();
  t.same(documented, ADMIN_ROUTES.map(({ method, path }) => `${method} ${templateOf(path)}`).sort());
  // Fastify answers HEAD wherever it answers GET.
  const served = [...SERVER.printRoutes({ commonPrefix: false, includeHooks: false }).matchAll(/^([│├└─ ]*)(\S+) \(([A-Z, ]+)\)/gm)];
  t.same(routesOf(served), documented);
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { parameters = [], requestBody, security }] of Object.entries(operations)) {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      t.same(parameters.filter((one) => one.in === 'path').map(({ name }) => name), named, `${method} ${path}`);
      t.equal(requestBody !== undefined, ADMIN_ROUTES.find((route) => route.method === method.toUpperCase() && templateOf(route.path) === path)!.body !== undefined);
      const { statusCode } = await SERVER.inject({ method: method.toUpperCase() as 'GET', url: path.replaceAll(/\{\w+\}/g, '1') });
      t.equal(statusCode === 401, security === undefined, `${method} ${path} asks for a credential where it says so`);
    }
  }
});

/** Full paths of the tree that Fastify prints: four characters for each level. */
function routesOf(lines: readonly RegExpMatchArray[]): readonly string[] {
  const open: string[] = [];
  return lines.flatMap(([, indent, part, methods]) => {
    const depth = indent!.length / 4 - 1;
    open.length = depth;
    open[depth] = part!;
    const path = open.join('').replaceAll(/:(\w+)/g, '{$1}');
    return methods!.split(', ').filter((method) => method !== 'HEAD').map((method) => `${method} ${path}`);
  }).sort();
}

t.test('what is answered is what it says', async (t) => {
  const { paths, components } = await documentOf();
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addFormat('date-time', (text) => !Number.isNaN(Date.parse(text)));
  ajv.addFormat('date', (text) => /^\d{4}-\d\d-\d\d$/.test(text));
  ajv.addSchema({ $id: 'doc:weir', components });
  const checked = new Set<string>();
  const house = await openHouse(t, {
    config: { review: { double_blind_percent: 0 }, risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }], double_blind_percent: 0 }, { id: 'narrow', precision_percent: 1, strata: [{ id: 'all', total: 1, expected: 10 }] }] }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', product: 'Help centre', data: { campaigns: true } }] },
    files: { 'acme.yaml': watching('Fileword') },
  });
  await house.chat('Fileword');
  for (const _ of ['first', 'second']) await house.chat('an Egret');
  const templateFor = (method: string, path: string): string => {
    const fits = Object.keys(paths).filter((template) => paths[template]![method.toLowerCase()] !== undefined && new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path.replace(/\?.*$/, '')));
    return fits.find((template) => template === path) ?? fits[0]!;
  };
  const ask = async (method: string, path: string, { body, type = 'application/json', token = house.token }: { readonly body?: string; readonly type?: string; readonly token?: string } = {}): Promise<any> => {
    const template = templateFor(method, path);
    const { responses } = paths[template]![method.toLowerCase()]!;
    const response = await fetch(`${house.adminUrl}${path}`, { method, body, redirect: 'manual', headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': type }) } });
    const told = responses[response.status];
    const text = await response.text();
    if (!t.ok(told, `${method} ${path} may answer ${response.status}: ${text.slice(0, 200)}`)) return;
    const [[media, { schema }]] = Object.entries(told!.content) as [[string, { readonly schema: object }]];
    t.ok(response.headers.get('content-type')?.startsWith(media), `${method} ${path} ${media}`);
    const validate = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"doc:weir#/components')) as object);
    const isValid = validate(media === 'application/json' ? JSON.parse(text) : text);
    t.ok(isValid, `${method} ${path} ${response.status}: ${ajv.errorsText(validate.errors)} in ${text.slice(0, 300)}`);
    checked.add(`${method} ${template} ${response.status}`);
    return media === 'application/json' ? JSON.parse(text) : text;
  };
  const reviews = async () => (await ask('GET', '/api/v1/reviews?limit=2')).items as readonly { readonly review_id: string; readonly created_at: string }[];
  await until(async () => (await reviews()).length === 2, 'the reviews');
  const [newer, older] = await reviews() as [{ review_id: string; created_at: string }, { review_id: string }];
  for (const path of ['', '?since=2020-01-01T00:00:00Z', '?since=x']) for (const name of ['queue', 'queue/pace', 'overrides']) await ask('GET', `/api/v1/${name}${path}`);
  await ask('GET', '/api/v1/classifiers');
  for (const healthy of [false, true]) {
    CHANNELS.healthChanged.publish({ part: 'pager', healthy, detail: 'made up' });
    await ask('GET', '/api/v1/health/parts');
  }
  for (const body of ['{}', '{"text":"x","left":{"policy":"acme"}}', '{"text":"x","left":{"policy":"none"},"right":{"policy":"acme"}}', '{"text":"write to ana@example.com","direction":"output","left":{"policy":"acme"},"right":{"policy":"acme","source":"policy: acme\\nrules: [7]"}}', '{"text":"write to ana@example.com","direction":"output","left":{"policy":"acme"},"right":{"policy":"acme"}}']) await ask('POST', '/api/v1/screen-beside', { body });
  for (const path of ['/acme/beside', '/acme/beside?limit=1&since=2030-01-01T00:00:00Z', '/none/beside', '/acme/beside?limit=0']) await ask('GET', `/api/v1/policies${path}`);
  for (const body of ['{}', '{"cover":false,"opt_out":["hate"]}', '{"cover":7}']) await ask('PUT', '/api/v1/me/wellness', { body });
  for (const body of ['{}', '{"take":true}', '{"take":false}']) await ask('POST', '/api/v1/me/break', { body });
  await ask('GET', '/api/v1/me/wellness');
  for (const path of [`?before=${newer.created_at}%20${newer.review_id}`, '?before=x', '?status=done', `/${newer.review_id}`, `/${newer.review_id}/content`, `/${newer.review_id}/content?only=state`, '/none', '/none/content']) await ask('GET', `/api/v1/reviews${path}`);
  const { fence, item: { review_id: first } } = await ask('POST', '/api/v1/reviews/next');
  await ask('POST', `/api/v1/reviews/${first}/renew`, { body: JSON.stringify({ fence }) });
  for (const word of ['renew', 'release', 'verdict', 'appeal']) await ask('POST', `/api/v1/reviews/${first}/${word}`, { body: '{}' });
  for (const body of [{ fence: fence + 1, resolution: 'allow' }, { fence, resolution: 'allow', categories: ['harassment'], notes: 'seen' }]) await ask('POST', `/api/v1/reviews/${first}/verdict`, { body: JSON.stringify(body) });
  for (const _ of ['first', 'again']) await ask('POST', `/api/v1/reviews/${first}/appeal`, { body: '{"reason":"meant otherwise"}' });
  await ask('POST', `/api/v1/reviews/${first}/claim`);
  const second = first === newer.review_id ? older.review_id : newer.review_id;
  const claim = await ask('POST', `/api/v1/reviews/${second}/claim`);
  for (const _ of ['first', 'again']) await ask('POST', `/api/v1/reviews/${second}/release`, { body: JSON.stringify({ fence: claim.fence }) });
  for (const body of [{}, { resolution: 'allow', like: 'none' }, { resolution: 'allow', like: first }]) await ask('POST', '/api/v1/reviews/resolve', { body: JSON.stringify(body) });
  for (const body of [{}, { request_id: 'none', reason: 'x' }, { request_id: first.slice(4).replace('.input', ''), reason: 'x' }]) await ask('POST', '/api/v1/appeals', { body: JSON.stringify(body) });
  for (const path of ['', '?since=2030-01-01', '?since=then']) await ask('GET', `/api/v1/agreement${path}`);
  await ask('POST', '/api/v1/reviews/none/claim');
  for (const text of ['one', 'two', 'three']) await house.chat(text);
  const trained = trainedModels(house.dir);
  t.teardown(() => trained.close());
  const model = await trained.fresh();
  for (const path of ['models', `models/${model}`, 'models/none', `models/${model}/gate`, 'models/none/gate', 'plugins/toxicity/switches']) await ask('GET', `/api/v1/learn/${path}`);
  for (const body of ['{"share_percent":0}', '{}']) await ask('POST', `/api/v1/learn/models/${model}/shadow`, { body });
  await until(async () => { await house.chat('an Egret'); return (await ask('GET', `/api/v1/learn/models/${model}/shadow`)).texts.scored > 0; }, 'a text that was scored beside');
  for (const path of [`models/${model}/shadow`, 'models/none/shadow']) await ask('GET', `/api/v1/learn/${path}`);
  for (const _ of ['first', 'again']) await ask('DELETE', '/api/v1/learn/plugins/prompt-injection/shadow');
  for (const body of ['{"override":7}', '{"override":true}', '{}', '{}']) await ask('POST', `/api/v1/learn/models/${model}/promote`, { body });
  for (const path of [`models/${model}/retire`, 'models/none/retire', 'models/none/promote']) await ask('POST', `/api/v1/learn/${path}`);
  await ask('GET', '/api/v1/learn/plugins/prompt-injection/switches');
  await ask('GET', '/api/v1/learn/models');
  await ask('POST', `/api/v1/learn/models/${model}/shadow`);
  for (const body of ['{"to":1}', '{"reason":"a try"}', '{}']) await ask('POST', '/api/v1/learn/plugins/prompt-injection/rollback', { body });
  await ask('POST', `/api/v1/learn/models/${model}/retire`);
  await until(async () => (await ask('GET', '/api/v1/risk/campaigns/q')).total.drawn >= 3, 'what is drawn');
  for (const path of ['campaigns', 'campaigns/none', 'campaigns/narrow', 'campaigns/none/course', 'campaigns/narrow/course', 'campaigns/none/near-misses', 'campaigns/narrow/near-misses', 'campaigns/none/needs', 'campaigns/narrow/needs', 'campaigns/q/needs?below_percent=1&confidence_percent=99', 'campaigns/q/needs?below_percent=0.0000001', 'plan', 'plan?below_percent=5&confidence_percent=90&errors=0', 'plan?below_percent=0.000000001', 'proposal', 'proposal?tenant=none', 'proposal?below_percent=0.000000001', 'guide', 'me', 'labels?after=x', 'calibration', 'calibration/items', 'calibration/candidates', 'current', 'disputes/current']) await ask('GET', `/api/v1/risk/${path}`);
  await ask('POST', '/api/v1/risk/calibration', { body: JSON.stringify({ items: [{ text: 'a known text', label: 'safe' }] }) });
  await ask('POST', '/api/v1/risk/calibration', { body: '{"items":[]}' });
  const { items: [{ item_id: item }] } = await ask('GET', '/api/v1/risk/calibration/items?limit=1');
  for (const [one, what] of [[item, 'text'], ['none', 'text'], [item, 'retire'], [item, 'retire']] as const) await ask('POST', `/api/v1/risk/calibration/items/${one}/${what}`);
  await ask('POST', '/api/v1/risk/renew');
  for (const body of [{ label: 'violation', category: 'toxicity.hate', confidence: 'low' }, { label: 'safe' }]) {
    const { annotation: { annotation_id: id } } = await ask('POST', '/api/v1/risk/next');
    for (const wrong of ['{}', '{"label":"safe","category":"toxicity.hate"}', '{"label":"violation"}', '{"label":"safe","confidence":"none"}', '{"label":"safe","more":1}', '{"label":"safe","note":7}']) await ask('POST', `/api/v1/risk/annotations/${id}/label`, { body: wrong });
    for (const _ of ['first', 'again']) await ask('POST', `/api/v1/risk/annotations/${id}/label`, { body: JSON.stringify(body) });
  }
  const { annotation: { annotation_id: left } } = await ask('POST', '/api/v1/risk/next');
  await ask('POST', '/api/v1/risk/renew');
  for (const path of ['current', 'me']) await ask('GET', `/api/v1/risk/${path}`);
  for (const body of ['{}', '{"reason":"unreadable"}', '{"reason":"unreadable"}']) await ask('POST', `/api/v1/risk/annotations/${left}/skip`, { body });
  for (const _ of ['first', 'second', 'third']) await ask('POST', '/api/v1/risk/undo');
  for (const _ of ['first', 'second']) await ask('POST', `/api/v1/risk/annotations/${(await ask('POST', '/api/v1/risk/next')).annotation.annotation_id}/label`, { body: '{"label":"safe"}' });
  await ask('POST', '/api/v1/risk/disputes/next');
  await ask('POST', '/api/v1/risk/annotations/none/label', { body: '{"label":"safe"}' });
  for (const path of ['release', 'next']) await ask('POST', `/api/v1/risk/${path}`);
  await ask('GET', '/api/v1/risk/campaigns/q');
  for (const path of ['q/report', 'q/report?version=1', 'none/report', 'q/report?from=2030-02-31', 'q/reports', 'none/reports']) await ask('GET', `/api/v1/risk/campaigns/${path}`);
  for (const [path, body] of [['q/report', '{}'], ['q/report', '{"from":1}'], ['none/report', '{}'], ['q/corrections', '{"reason":"it was misread"}'], ['q/corrections', '{}'], ['none/corrections', '{"reason":"x"}']]) await ask('POST', `/api/v1/risk/campaigns/${path}`, { body });
  await ask('GET', '/api/v1/risk/campaigns/q/reports');
  for (const path of ['', '?tenant=none', '/weekly', `/weekly?week=${weekAt(Date.now()).week}`, '/weekly?week=2030-W60', '/weekly?tenant=none', '/weekly?from=2020-01-01&until=2020-01-02', '/weekly.html', '/weekly.csv', '/weekly.dsa', '/weekly.dsa?part=notes', '/weekly.files']) await ask('GET', `/api/v1/reports${path}`);
  for (const path of ['', '/course', '/course?by=week', '/near-misses']) await ask('GET', `/api/v1/risk/campaigns/q${path}`);
  const told = await ask('GET', '/api/v1/risk/labels?campaign=q');
  for (const task of ['none', /task_[0-9a-f]{32}/.exec(told.data as string)?.[0]]) await ask('POST', `/api/v1/risk/calibration/candidates/${task}`);
  const { annotators: [{ annotator_id: annotator }] } = await ask('GET', '/api/v1/risk/annotators');
  for (const what of ['pause', 'resume']) for (const [who, body] of [[annotator, '{"reason":"training"}'], [annotator, '{}'], ['nobody', '{"reason":"training"}']] as const) await ask('POST', `/api/v1/risk/annotators/${who}/${what}`, { body });
  const { data } = await ask('GET', '/api/v1/risk/labels?format=csv&campaign=q&limit=1');
  for (const body of [{ format: 'csv', data }, { format: 'csv', data: 'x' }, { format: 'none', data }]) await ask('POST', '/api/v1/risk/labels', { body: JSON.stringify(body) });
  const yaml = { type: 'application/yaml' };
  for (const path of ['/metrics', '/api/v1/health', '/api/v1/openapi.json', '/api/v1/status', '/api/v1/policies']) await ask('GET', path);
  await ask('GET', '/api/v1/status', { token: 'weir_admin_wrong' });
  await ask('PUT', '/api/v1/policies/acme', { ...yaml, body: blocking('Heron') });
  await ask('PUT', '/api/v1/policies/acme', { ...yaml, body: blocking('Heron') });
  await ask('PUT', '/api/v1/policies/acme?parent=1', { ...yaml, body: blocking('Osprey') });
  await ask('PUT', '/api/v1/policies/acme?parent=2', { ...yaml, body: 'policy: acme\nrulez: 1\n' });
  await ask('PUT', '/api/v1/policies/acme?parent=2', { type: 'image/png', body: 'x' });
  await ask('PUT', '/api/v1/policies/acme?paren=2', { ...yaml, body: blocking('x') });
  await ask('PUT', '/api/v1/policies/acme', { ...yaml, body: `# ${'x'.repeat(8 * 1024 * 1024)}` });
  for (const path of ['', '?revision=1', '?revision=9', '/history', '/history?limit=1', '/diff', '/diff?from=9']) await ask('GET', `/api/v1/policies/acme${path}`);
  for (const path of ['/rollback?revision=1', '/rollback', '/rollback?revision=9', '/rollback?revision=1&parent=1']) await ask('POST', `/api/v1/policies/acme${path}`);
  await ask('POST', '/api/v1/policies/acme/explain', { body: JSON.stringify({ text: 'a Heron', scores: { 'pii.EMAIL': 'unknown' } }) });
  await ask('POST', '/api/v1/policies/acme/screen', { body: JSON.stringify({ text: 'a Heron to ana@example.com', scores: { 'toxicity.hate': 'unknown' } }) });
  await ask('POST', '/api/v1/policies/acme/screen', { body: JSON.stringify({ scores: { 'pii.EMAIL': 1 } }) });
  await ask('POST', '/api/v1/policies/acme/explain', { body: '{}' });
  await ask('POST', '/api/v1/policies/nobody/explain', { body: '{"text":"x"}' });
  await ask('POST', '/api/v1/policies/acme/explain', { body: JSON.stringify({ text: 'x', source: 'rulez: 1' }) });
  const every = `policy: acme\nrules:\n  - { id: r, when: { all: [ { not: { context: surface, eq: kids } }, { any: [ { score: '*.*', gte: 0.1 }, { context: role, exists: true } ] } ] }, action: warn }\n  - { id: off, enabled: false, when: { context: a, eq: 1 }, action: warn }\n`;
  await ask('POST', '/api/v1/policies/acme/explain', { body: JSON.stringify({ text: 'x', context: { role: 'tool' }, source: every }) });
  await ask('POST', '/api/v1/policies/acme/test');
  await ask('POST', '/api/v1/policies/acme/test', { body: JSON.stringify({ cases: [{ name: 'wrong', direction: 'input', text: 'a Heron', expect: { action: 'allow' } }] }) });
  await ask('POST', '/api/v1/policies/acme/test', { body: '{"filter": 1}' });
  await ask('POST', '/api/v1/policies/acme/compare', { body: JSON.stringify({ source: blocking('Fileword').replace('action: block', 'action: warn') }) });
  await ask('POST', '/api/v1/policies/acme/compare', { body: '{}' });
  await ask('DELETE', '/api/v1/policies/acme');
  await ask('DELETE', '/api/v1/policies/acme');
  await ask('GET', '/api/v1/policies');

  for (const path of ['/api/v1/tenants', '/api/v1/usage', '/api/v1/usage?from=then', '/api/v1/tenants/default/keys', '/api/v1/tenants/nobody/keys', '/api/v1/decisions', '/api/v1/decisions?request_id=abc', '/api/v1/decisions?limit=0', '/api/v1/decisions?before=x', '/api/v1/decisions/counts', '/api/v1/decisions/counts?span=minute&since=2020-01-01T00:00:00Z', '/api/v1/decisions/counts?since=then', '/api/v1/audit?limit=3', '/api/v1/audit?limit=0', '/api/v1/audit?since=then', '/api/v1/audit/0', '/api/v1/audit/999999', '/api/v1/audit/x', '/api/v1/audit/checkpoint', '/api/v1/audit/999999/proof', '/api/v1/session', '/api/v1/sessions', '/api/v1/login/callback?code=x']) await ask('GET', path);
  await until(async () => (await fetch(`${house.adminUrl}/api/v1/audit/0/proof`, { headers: { authorization: `Bearer ${house.token}` } })).status === 200, 'a checkpoint');
  await ask('GET', '/api/v1/audit/0/proof');
  for (const index of [0, 1, 2, 3, 999_999]) await ask('GET', `/api/v1/audit/${index}/explain`);
  const made = await ask('POST', '/api/v1/tenants/default/keys', { body: '{"name":"one"}' });
  await ask('POST', '/api/v1/tenants/default/keys', { body: '{"nam":"one"}' });
  await ask('GET', '/api/v1/tenants/default/keys');
  for (const _ of ['first', 'again']) await ask('DELETE', `/api/v1/tenants/default/keys/${made.key_id}`);
  for (const body of ['{"session_id":"s"}', '{"before":"then"}', '{"before":1}', '{}', '{"all":true}']) await ask('POST', '/api/v1/tenants/default/erasures', { body });
  await ask('GET', '/api/v1/tenants/default/erasures');
  await meetKeeper(house.dir, 'folder-1', 'eu/gone');
  for (const body of ['{"keeper":"folder-1","reason":"none"}', '{"keeper":"none","reason":"none"}', '{"keeper":"none"}', '{}']) await ask('POST', '/api/v1/erasures/gone', { body });
  const expiring = { name: 'short', roles: ['tenant-viewer'], tenants: ['default'], expires_at: '2100-01-01T00:00:00Z' };
  const { token_id: id, token } = await ask('POST', '/api/v1/tokens', { body: JSON.stringify(expiring) });
  await ask('POST', '/api/v1/tokens', { body: JSON.stringify(expiring) });
  await ask('POST', '/api/v1/tokens', { body: '{}' });
  await ask('POST', '/api/v1/tokens', { body: 'x', type: 'text/plain' });
  await ask('GET', '/api/v1/tokens');
  await ask('GET', '/api/v1/tokens', { token });
  await ask('GET', '/api/v1/session', { token });
  const { session_id: session } = await ask('POST', '/api/v1/session', { body: JSON.stringify({ token }) });
  for (const body of ['{}', '{"token":"wrong"}']) await ask('POST', '/api/v1/session', { body });
  await ask('GET', '/api/v1/sessions');
  const machine = (await ask('POST', '/api/v1/tokens', { body: JSON.stringify({ name: 'sidecar', roles: ['shipper'] }) })).token as string;
  const batch = { size: 1, from: 0, segment: 0, entries: ['{}'], checkpoints: [], rest: [] };
  for (const [path, body] of [['test%2Fone', { ...batch, entries: [] }], ['test%2Fone', batch], ['test%2Fone', { ...batch, from: 1 }], ['test%2Fone', {}], ['test%2F..', batch], ['%2Fetc', batch]] as const) await ask('POST', `/api/v1/ship/${path}`, { body: JSON.stringify(body), token: machine });
  await ask('POST', '/api/v1/ship/test%2Fone', { body: JSON.stringify(batch) });
  for (const path of ['/api/v1/origins', '/api/v1/audit?origin=none', '/api/v1/audit?origin=..']) await ask('GET', path);
  for (const _ of ['first', 'again']) await ask('DELETE', `/api/v1/sessions/${session}`);
  await ask('DELETE', '/api/v1/session');
  for (const _ of ['first', 'again']) await ask('DELETE', `/api/v1/tokens/${id}`);
  await ask('GET', '/api/v1/login');
  // Only with a provider: test/admin/oidc.test.ts sees these.
  for (const seen of ['GET /api/v1/login/callback 200', 'GET /api/v1/login 302']) checked.add(seen);
  const succeeding = Object.entries(paths).flatMap(([path, operations]) => Object.entries(operations).flatMap(([method, { responses }]) => Object.keys(responses).filter((status) => status.startsWith('2')).map((status) => `${method.toUpperCase()} ${path} ${status}`)));
  t.same(succeeding.filter((one) => !checked.has(one)), [], 'each success was seen');
});
