/**
 * Who may do what: every route of a running Weir with every role, with none, and with what is no credential. The roles
 * are those that the route declares, which the OpenAPI document and the README tell too.
 */
import t from 'tap';
import { ADMIN_ROUTES } from '../../src/admin/server.ts';
import { templateOf } from '../../src/admin/openapi.ts';
import { PEOPLE_ROLES, ROLE_MEANINGS, ROLES, type Role } from '../../src/contract/people.ts';
import { generateKey } from '../../src/tenant/keys.ts';
import { ask, cookiesOf, tokenFor, type Asked } from '../helpers/admin.ts';
import { blocking, openHouse, until, watching, type House } from '../helpers/house.ts';
import { meetKeeper } from '../helpers/keepers.ts';
import { trainedModels, type TrainedModels } from '../helpers/models.ts';

t.setTimeout(300_000);

interface Call extends Asked {
  readonly path: string;
}

/** A request of each route that succeeds for who may send it, made ready by an admin. */
const CALLS: Readonly<Record<string, (house: House, round: number, token: string) => Promise<Call>>> = {
  status: async () => ({ path: '/api/v1/status' }),
  listPolicies: async () => ({ path: '/api/v1/policies' }),
  readPolicy: async () => ({ path: '/api/v1/policies/acme' }),
  storePolicy: async (house) => ({ path: `/api/v1/policies/acme?parent=${await newest(house)}`, body: watching('Osprey'), headers: { 'content-type': 'application/yaml' } }),
  retirePolicy: async (house) => ({ path: `/api/v1/policies/${await spare(house)}` }),
  rollBackPolicy: async () => ({ path: '/api/v1/policies/acme/rollback?revision=1' }),
  listRevisions: async () => ({ path: '/api/v1/policies/acme/history' }),
  diffRevisions: async () => ({ path: '/api/v1/policies/acme/diff' }),
  explainPolicy: async () => ({ path: '/api/v1/policies/acme/explain', body: { text: 'x' } }),
  screenText: async () => ({ path: '/api/v1/policies/acme/screen', body: { text: 'x' } }),
  testPolicy: async () => ({ path: '/api/v1/policies/acme/test' }),
  comparePolicy: async () => ({ path: '/api/v1/policies/acme/compare', body: { from: 1, to: 1 } }),
  listTenants: async () => ({ path: '/api/v1/tenants' }),
  listDecisions: async () => ({ path: '/api/v1/decisions' }),
  countDecisions: async () => ({ path: '/api/v1/decisions/counts' }),
  listAuditEntries: async () => ({ path: '/api/v1/audit' }),
  readAuditEntry: async (house) => ({ path: `/api/v1/audit/${await exchangeIndex(house)}` }),
  explainAuditEntry: async (house) => ({ path: `/api/v1/audit/${await exchangeIndex(house)}/explain` }),
  proveAuditEntry: async (house) => ({ path: `/api/v1/audit/${await exchangeIndex(house)}/proof` }),
  readCheckpoint: async () => ({ path: '/api/v1/audit/checkpoint' }),
  shipAuditEntries: async () => ({ path: '/api/v1/ship/test%2Fone', body: { size: 0, from: 0, segment: 0, entries: [], checkpoints: [], rest: [] } }),
  listOrigins: async () => ({ path: '/api/v1/origins' }),
  readSession: async () => ({ path: '/api/v1/session' }),
  endSession: async () => ({ path: '/api/v1/session' }),
  listSessions: async () => ({ path: '/api/v1/sessions' }),
  revokeSession: async (house) => ({ path: `/api/v1/sessions/${(await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: house.token } })).body.session_id}` }),
  listTokens: async () => ({ path: '/api/v1/tokens' }),
  createToken: async (_, round) => ({ path: '/api/v1/tokens', body: { name: `made-${round}`, roles: ['auditor'] } }),
  revokeToken: async (house, round) => ({ path: `/api/v1/tokens/${(await ask(house.adminUrl, '/api/v1/tokens', { method: 'POST', token: house.token, body: { name: `spent-${round}`, roles: ['auditor'] } })).body.token_id}` }),
  listKeys: async () => ({ path: '/api/v1/tenants/default/keys' }),
  createKey: async (_, round) => ({ path: '/api/v1/tenants/default/keys', body: { name: `made-${round}` } }),
  revokeKey: async (house, round) => ({ path: `/api/v1/tenants/default/keys/${(await ask(house.adminUrl, '/api/v1/tenants/default/keys', { method: 'POST', token: house.token, body: { name: `spent-${round}` } })).body.key_id}` }),
  listErasures: async () => ({ path: '/api/v1/tenants/default/erasures' }),
  eraseContent: async () => ({ path: '/api/v1/tenants/default/erasures', body: { session_id: 'none' } }),
  partKeeper: async (house, round) => ({ path: '/api/v1/erasures/gone', body: { keeper: await meetKeeper(house.dir, `folder-${round}`, 'eu/gone'), reason: 'none' } }),
  readUsage: async () => ({ path: '/api/v1/usage' }),
  listReviews: async () => ({ path: '/api/v1/reviews' }),
  nextReview: async () => ({ path: '/api/v1/reviews/next' }),
  readReview: async (house) => ({ path: `/api/v1/reviews/${await review(house)}` }),
  readReviewContent: async (house) => ({ path: `/api/v1/reviews/${await review(house)}/content` }),
  claimReview: async (house) => ({ path: `/api/v1/reviews/${await review(house)}/claim` }),
  renewReview: async (house, _, token) => claimed(house, 'renew', token),
  releaseReview: async (house, _, token) => claimed(house, 'release', token),
  decideReview: async (house, _, token) => claimed(house, 'verdict', token, { resolution: 'allow' }),
  appealReview: async (house) => {
    const { path, body } = await claimed(house, 'verdict', house.token, { resolution: 'block' });
    await ask(house.adminUrl, path, { method: 'POST', token: house.token, body });
    return { path: path.replace('verdict', 'appeal'), body: { reason: 'it was meant otherwise' } };
  },
  resolveReviews: async (house) => ({ path: '/api/v1/reviews/resolve', body: { ids: [await review(house)], resolution: 'allow' } }),
  appealRequest: async (house) => ({ path: '/api/v1/appeals', body: { request_id: (await review(house)).slice('rev_'.length, -'.input'.length), reason: 'it was meant otherwise' } }),
  readQueue: async () => ({ path: '/api/v1/queue' }),
  readQueuePace: async () => ({ path: '/api/v1/queue/pace' }),
  readOverrides: async () => ({ path: '/api/v1/overrides' }),
  readWellness: async () => ({ path: '/api/v1/me/wellness' }),
  saveWellness: async () => ({ path: '/api/v1/me/wellness', body: { cover: true } }),
  answerBreak: async () => ({ path: '/api/v1/me/break', body: { take: false } }),
  readBeside: async () => ({ path: '/api/v1/policies/acme/beside' }),
  readHealth: async () => ({ path: '/api/v1/health/parts' }),
  listClassifiers: async () => ({ path: '/api/v1/classifiers' }),
  screenBeside: async () => ({ path: '/api/v1/screen-beside', body: { text: 'x', left: { policy: 'acme' }, right: { policy: 'acme' } } }),
  readAgreement: async () => ({ path: '/api/v1/agreement' }),
  listRiskCampaigns: async () => ({ path: '/api/v1/risk/campaigns' }),
  readRiskCampaign: async () => ({ path: '/api/v1/risk/campaigns/q' }),
  readRiskReport: async () => ({ path: '/api/v1/risk/campaigns/q/report' }),
  issueRiskReport: async () => ({ path: '/api/v1/risk/campaigns/q/report', body: {} }),
  listRiskReports: async () => ({ path: '/api/v1/risk/campaigns/q/reports' }),
  correctRiskReport: async () => ({ path: '/api/v1/risk/campaigns/q/corrections', body: { reason: 'it was misread' } }),
  readRiskCourse: async () => ({ path: '/api/v1/risk/campaigns/q/course' }),
  readRiskMisses: async () => ({ path: '/api/v1/risk/campaigns/q/near-misses' }),
  readRiskNeeds: async () => ({ path: '/api/v1/risk/campaigns/q/needs' }),
  planRisk: async () => ({ path: '/api/v1/risk/plan?below_percent=2' }),
  proposeRiskCampaign: async () => ({ path: '/api/v1/risk/proposal?below_percent=2' }),
  readRiskGuide: async () => ({ path: '/api/v1/risk/guide' }),
  nextAnnotation: async () => ({ path: '/api/v1/risk/next' }),
  labelAnnotation: async (house, _, token) => ({ path: `/api/v1/risk/annotations/${await annotation(house, token)}/label`, body: { label: 'safe' } }),
  readCurrentAnnotation: async () => ({ path: '/api/v1/risk/current' }),
  skipAnnotation: async (house, _, token) => ({ path: `/api/v1/risk/annotations/${await annotation(house, token)}/skip`, body: { reason: 'unreadable' } }),
  undoLabel: async (house, _, token) => labelled(house, token).then(() => ({ path: '/api/v1/risk/undo' })),
  nextDispute: async () => ({ path: '/api/v1/risk/disputes/next' }),
  readCurrentDispute: async () => ({ path: '/api/v1/risk/disputes/current' }),
  listCalibrationItems: async () => ({ path: '/api/v1/risk/calibration/items' }),
  listItemCandidates: async () => ({ path: '/api/v1/risk/calibration/candidates' }),
  adoptCandidate: async (house) => ({ path: `/api/v1/risk/calibration/candidates/${await settled(house)}` }),
  openCalibrationItem: async (house, round) => ({ path: `/api/v1/risk/calibration/items/${await knownItem(house, `open ${round}`)}/text` }),
  retireCalibrationItem: async (house, round) => ({ path: `/api/v1/risk/calibration/items/${await knownItem(house, `old ${round} ${Math.random()}`)}/retire` }),
  renewAnnotations: async (house, _, token) => annotation(house, token).then(() => ({ path: '/api/v1/risk/renew' })),
  releaseAnnotations: async () => ({ path: '/api/v1/risk/release' }),
  readAnnotator: async () => ({ path: '/api/v1/risk/me' }),
  listWeeklyReports: async () => ({ path: '/api/v1/reports?tenant=default' }),
  readWeeklyReport: async () => ({ path: '/api/v1/reports/weekly?tenant=default' }),
  readWeeklyReportPage: async () => ({ path: '/api/v1/reports/weekly.html?tenant=default' }),
  readWeeklyReportTable: async () => ({ path: '/api/v1/reports/weekly.csv?tenant=default' }),
  readWeeklyReportDsa: async () => ({ path: '/api/v1/reports/weekly.dsa?tenant=default' }),
  readWeeklyReportFiles: async () => ({ path: '/api/v1/reports/weekly.files?tenant=default' }),
  listModels: async () => ({ path: '/api/v1/learn/models' }),
  readModel: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}` }),
  readModelGate: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}/gate` }),
  promoteModel: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}/promote`, body: {} }),
  readShadow: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}/shadow` }),
  beginShadow: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}/shadow`, body: { share_percent: 1 } }),
  endShadow: async (house) => trained(house, 'shadow').then(() => ({ path: '/api/v1/learn/plugins/prompt-injection/shadow' })),
  retireModel: async (house) => ({ path: `/api/v1/learn/models/${await trained(house, 'fresh')}/retire` }),
  rollbackModel: async (house) => trained(house, 'working').then(() => ({ path: '/api/v1/learn/plugins/prompt-injection/rollback', body: {} })),
  listModelSwitches: async () => ({ path: '/api/v1/learn/plugins/prompt-injection/switches' }),
  listAnnotators: async () => ({ path: '/api/v1/risk/annotators' }),
  pauseAnnotator: async (house) => ({ path: `/api/v1/risk/annotators/${await annotator(house)}/pause`, body: { reason: 'ill' } }),
  resumeAnnotator: async (house) => ({ path: `/api/v1/risk/annotators/${await annotator(house)}/resume`, body: { reason: 'well' } }),
  countCalibrationItems: async () => ({ path: '/api/v1/risk/calibration' }),
  addCalibrationItems: async (_, round) => ({ path: '/api/v1/risk/calibration', body: { items: [{ text: `known ${round}`, label: 'safe' }] } }),
  exportLabels: async () => ({ path: '/api/v1/risk/labels' }),
  importLabels: async () => ({ path: '/api/v1/risk/labels', body: { format: 'jsonl', data: '' } }),
};

/** An item of the queue that nobody has had, decided by one. */
async function review(house: House): Promise<string> {
  const known = async (): Promise<readonly string[]> => (await ask(house.adminUrl, '/api/v1/reviews?limit=1000', { token: house.token })).body.items.map(({ review_id: id }: { readonly review_id: string }) => id);
  const before = new Set(await known());
  const { key } = (await ask(house.adminUrl, '/api/v1/tenants/default/keys', { method: 'POST', token: house.token, body: { name: `reviewed-${before.size}` } })).body as { readonly key: string };
  await house.chat('an Egret', { authorization: `Bearer ${key}` });
  let made: string | undefined;
  await until(async () => (made = (await known()).find((id) => !before.has(id))) !== undefined, 'the review');
  return made!;
}

async function claimed(house: House, what: string, token: string, more: object = {}): Promise<{ readonly path: string; readonly body: object }> {
  const path = `/api/v1/reviews/${await review(house)}`;
  const { body } = await ask(house.adminUrl, `${path}/claim`, { method: 'POST', token });
  return { path: `${path}/${what}`, body: { fence: body.fence ?? 0, ...more } };
}

/** What the caller has to label, where they may. */
async function annotation(house: House, token: string): Promise<string> {
  let id: string | undefined = 'none';
  await until(async () => {
    const { status, body } = await ask(house.adminUrl, '/api/v1/risk/next', { method: 'POST', token });
    if (status !== 200 || body.state === 'paused') return true;
    id = body.annotation?.annotation_id as string | undefined;
    if (id === undefined) await house.chat('something to label');
    return id !== undefined;
  }, 'something to label');
  return id;
}

async function labelled(house: House, token: string): Promise<void> {
  await ask(house.adminUrl, `/api/v1/risk/annotations/${await annotation(house, token)}/label`, { method: 'POST', token, body: { label: 'safe' } });
}

/** A drawn text with its label. */
async function settled(house: House): Promise<string> {
  await labelled(house, house.token);
  const { body: { data } } = await ask(house.adminUrl, '/api/v1/risk/labels?limit=1', { token: house.token });
  return (JSON.parse(data as string) as { readonly task_id: string }).task_id;
}

async function knownItem(house: House, text: string): Promise<string> {
  await ask(house.adminUrl, '/api/v1/risk/calibration', { method: 'POST', token: house.token, body: { items: [{ text, label: 'safe' }] } });
  return (await ask(house.adminUrl, '/api/v1/risk/calibration/items?limit=1', { token: house.token })).body.items[0].item_id as string;
}

async function annotator(house: House): Promise<string> {
  await annotation(house, house.token);
  return encodeURIComponent((await ask(house.adminUrl, '/api/v1/risk/annotators', { token: house.token })).body.annotators[0].annotator_id as string);
}

const newest = async (house: House): Promise<number> => (await house.api('GET', '/acme')).body.number as number;
const exchangeIndex = async (house: House): Promise<number> => (await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token })).body.entries[0].index as number;
const models = new Map<string, TrainedModels>();

async function trained({ dir }: House, which: 'fresh' | 'shadow' | 'working'): Promise<string> {
  const known = models.get(dir) ?? trainedModels(dir);
  models.set(dir, known);
  return known[which]();
}

t.teardown(() => Promise.all([...models.values()].map((one) => one.close())));

let spares = 0;

/** A stored policy that nobody is under. */
async function spare(house: House): Promise<string> {
  const id = `spare-${spares++}`;
  await house.api('PUT', `/${id}`, blocking('x', id));
  return id;
}

t.test('each role on each route gets what the route declares', async (t) => {
  const house = await openHouse(t, {
    config: { review: { double_blind_percent: 0 }, risk: { campaigns: [{ id: 'q', strata: [{ id: 'all', probability_percent: 100 }], calibration_percent: 0 }] }, tenants: [{ id: 'default', policy: 'acme', upstream: 'local', data: { campaigns: true } }] },
    files: { 'acme.yaml': watching('Fileword') },
  });
  await house.chat('x');
  await house.api('PUT', '/acme', watching('Heron'));
  const tokens = Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await tokenFor(house.adminUrl, house.token, `a-${role}`, [role], role === 'tenant-viewer' ? ['default'] : [])] as const))) as Record<Role, string>;
  await until(async () => (await ask(house.adminUrl, '/api/v1/audit?kind=exchange', { token: house.token })).body.entries.length === 1, 'the exchange on disk');
  const exchange = await exchangeIndex(house);
  await until(async () => (await ask(house.adminUrl, `/api/v1/audit/${exchange}/proof`, { token: house.token })).status === 200, 'a checkpoint that covers it');
  const guarded = ADMIN_ROUTES.filter(({ access }) => access !== 'open');
  t.same(guarded.map(({ name }) => name).filter((name) => CALLS[name] === undefined), [], 'there is a request for each');
  t.same(Object.keys(CALLS).filter((name) => !guarded.some((route) => route.name === name)), [], 'and none without a route');
  let round = 0;
  for (const { method, name, access } of guarded) {
    for (const role of ROLES) {
      const { path, ...call } = await CALLS[name]!(house, round++, tokens[role]);
      const { status, text } = await ask(house.adminUrl, path, { method, ...call, token: tokens[role] });
      const wanted = (access as readonly Role[]).includes(role) ? '2' : '403';
      t.ok(String(status).startsWith(wanted), `${role} ${method} ${path}: ${status} where ${wanted} is declared ${status < 300 ? '' : text.slice(0, 200)}`);
    }
    const { path, ...call } = await CALLS[name]!(house, round++, house.token);
    for (const wrong of [undefined, '', 'x', 'weir_admin_', `weir_admin_${'x'.repeat(43)}`, generateKey(), tokens.admin.slice(0, -1), `${tokens.admin}x`]) {
      const { status, headers } = await ask(house.adminUrl, path, { method, ...call, token: wrong });
      t.same([status, headers['www-authenticate']], [401, 'Bearer'], `${name} ${wrong?.slice(0, 14)}`);
    }
    t.equal((await ask(house.adminUrl, path, { method, ...call, headers: { ...call.headers, authorization: `Basic ${Buffer.from(`admin:${tokens.admin}`).toString('base64')}` } })).status, 401, 'no passwords');
    t.equal((await ask(house.adminUrl, `${path}${path.includes('?') ? '&' : '?'}token=${tokens.admin}`, { method, ...call })).status, 401, 'no token in a query');
  }
  for (const { method, path } of ADMIN_ROUTES.filter(({ access }) => access === 'open')) t.not((await ask(house.adminUrl, path, { method, body: method === 'POST' ? '{}' : undefined })).status, 403, `${path} is open`);
});

t.test('the document tells the same roles', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  const { body: { paths, components } } = await ask(house.adminUrl, '/api/v1/openapi.json');
  for (const { method, path, access, name } of ADMIN_ROUTES) {
    const operation = paths[templateOf(path)][method.toLowerCase()];
    t.same([operation['x-weir-roles'], operation.security], access === 'open' ? [undefined, []] : [[...access], undefined], name);
    t.equal('403' in operation.responses && '401' in operation.responses, access !== 'open' || /login\/callback|session/.test(path), name);
  }
  for (const role of ROLES) t.match(components.securitySchemes.adminToken.description, `${role}: ${ROLE_MEANINGS[role]}`);
});

t.test('a role that does not let one in does not widen what is seen', async (t) => {
  const tenants = [{ id: 'acme', policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: 'ab'.repeat(32) }] }, { id: 'bravo', policy: 'acme', upstream: 'local', keys: [{ id: 'k', sha256: 'cd'.repeat(32) }] }];
  const house = await openHouse(t, { config: { tenants }, files: { 'acme.yaml': blocking('Fileword') } });
  const token = await tokenFor(house.adminUrl, house.token, 'both', ['reviewer', 'tenant-viewer'], ['acme']);
  t.equal((await ask(house.adminUrl, '/api/v1/tenants', { token })).body.tenants.length, 2, 'as reviewer');
  t.same((await ask(house.adminUrl, '/api/v1/audit', { token })).body.entries, [], 'as tenant-viewer, though changes are there');
  t.not((await ask(house.adminUrl, '/api/v1/audit', { token: house.token })).body.entries.length, 0);
});

t.test('a session has the roles of its token', async (t) => {
  const house = await openHouse(t, { files: { 'acme.yaml': blocking('Fileword') } });
  for (const role of PEOPLE_ROLES) {
    const token = await tokenFor(house.adminUrl, house.token, role === 'admin' ? 'second' : role, [role], role === 'tenant-viewer' ? ['default'] : []);
    const cookie = cookiesOf(await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token } }));
    for (const path of ['/api/v1/status', '/api/v1/tokens', '/api/v1/audit', '/api/v1/policies']) t.equal((await ask(house.adminUrl, path, { cookie })).status, (await ask(house.adminUrl, path, { token })).status, `${role} ${path}`);
  }
  const machine = await tokenFor(house.adminUrl, house.token, 'sidecar', ['shipper']);
  t.same([(await ask(house.adminUrl, '/api/v1/session', { method: 'POST', body: { token: machine } })).status, (await ask(house.adminUrl, '/api/v1/audit?origin=test%2Fone', { token: machine })).status], [401, 403], 'a machine has none');
});
