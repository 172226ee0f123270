/**
 * A weekly report of real traffic: exchanges of known counts through the real proxy, reviews, verdicts, an objection, a policy
 * that is changed and a model that is switched, over SQLite and Postgres; and then every number, in every form, against what
 * was planted.
 */
import t from 'tap';
import type { WeeklyDocument } from '../../../src/report/weekly/document.ts';
import { weekAt } from '../../../src/report/weekly/weeks.ts';
import { SqlModelStore } from '../../../src/store/models.ts';
import { PostgresDatabase } from '../../../src/store/postgres.ts';
import { openSqliteDatabase } from '../../../src/store/sqlite.ts';
import { ask, tokenFor } from '../../helpers/admin.ts';
import { freshFolder, openHouse, until } from '../../helpers/house.ts';
import { openPostgresSchema, POSTGRES_MISSING } from '../../helpers/postgres.ts';
import { readCsv } from '../../helpers/weekly.ts';

t.setTimeout(300_000);

const POLICY = `policy: acme
patterns:
  - { id: codename, label: CODENAME, literal: [Bluebird] }
  - { id: seen, label: SEEN, literal: [Egret] }
rules:
  - { id: codename, priority: 1, direction: input, when: { score: patterns.codename, gte: 1 }, action: block }
  - { id: look, priority: 5, direction: input, when: { score: patterns.seen, gte: 1 }, action: escalate, severity: low }
  - { id: pii, priority: 10, direction: input, when: { score: pii.EMAIL, gte: 0.5 }, action: redact }
`;
const PRODUCT = '=HYPERLINK("x") <b>&';
const IMAGE = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } };

for (const kind of ['sqlite', 'postgres'] as const) {
  t.test(`${kind}: every number is what was planted`, { skip: kind === 'postgres' && POSTGRES_MISSING }, async (t) => {
    const dir = freshFolder(t);
    const url = kind === 'postgres' ? await openPostgresSchema(t) : undefined;
    const house = await openHouse(t, { dir, config: { review: { double_blind_percent: 0 }, ...(url === undefined ? {} : { store: { url } }), tenants: [{ id: 'default', policy: 'acme', upstream: 'local', product: PRODUCT }] }, files: { 'acme.yaml': POLICY } });
    const api = async (method: string, path: string, body?: object, token = house.token): Promise<any> => (await ask(house.adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) })).body;
    for (let i = 0; i < 4; i++) t.equal(await house.chat(`hello ${i}`), 200);
    for (let i = 0; i < 3; i++) t.equal(await house.chat('of Bluebird'), 400);
    for (let i = 0; i < 2; i++) t.equal(await house.chat('an Egret'), 200);
    t.equal(await house.chat('write to ana@example.com and ben@example.com'), 200);
    const post = (path: string, body: object): Promise<Response> => fetch(`http://127.0.0.1:${house.port}${path}`, { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer sk-made-up' }, body: JSON.stringify(body) });
    t.equal((await post('/v1/chat/completions', { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'what is it?' }, IMAGE] }] })).status, 200);
    t.equal((await post('/v1/chat/completions', { messages: 7 })).status, 400, 'one that cannot be read');

    t.equal((await house.api('PUT', '/acme?comment=first', POLICY)).status, 201);
    const reviews = async (): Promise<readonly { readonly review_id: string }[]> => (await api('GET', 'reviews')).items;
    await until(async () => (await reviews()).length === 2, 'the reviews');
    const [one, two] = (await reviews()).map(({ review_id: id }) => id) as [string, string];
    const [ana, ben] = [await tokenFor(house.adminUrl, house.token, 'ana', ['reviewer']), await tokenFor(house.adminUrl, house.token, 'ben', ['reviewer'])];
    const judge = async (id: string, token: string, resolution: string): Promise<void> => {
      const { fence } = await api('POST', `reviews/${id}/claim`, undefined, token);
      t.equal((await ask(house.adminUrl, `/api/v1/reviews/${id}/verdict`, { method: 'POST', token, body: { fence, resolution } })).status, 200, `a verdict on ${id}`);
    };
    await judge(one, ana, 'block');
    await judge(two, ana, 'allow');
    t.equal((await ask(house.adminUrl, `/api/v1/reviews/${one}/appeal`, { method: 'POST', token: house.token, body: { reason: 'it was a joke' } })).status, 200);
    await judge(one, ben, 'allow');
    const database = url === undefined ? openSqliteDatabase(`${dir}/data/weir.db`) : new PostgresDatabase(url);
    const switched = { plugin: 'toxicity', number: 1, change: 'rollback' as const, model_id: null, sha256: 'a'.repeat(64), from_model_id: null, from_sha256: 'b'.repeat(64), back: 0, author: 'somebody', reason: null, against: [], created_at: new Date().toISOString() };
    t.equal(await new SqlModelStore(database).switchTo(switched, { change_id: 'made-up', record: JSON.stringify({ kind: 'model_change', change: 'rollback', author: 'somebody', plugin: 'toxicity', model_id: null }) }), 'switched');
    await database.close();

    const today = new Date(Date.now() - 12 * 3_600_000).toISOString().slice(0, 13);
    const [from, to] = [`${today}:00Z`, new Date(Date.parse(`${today}:00Z`) + 24 * 3_600_000).toISOString().replace(':00.000Z', 'Z')];
    const query = `tenant=default&from=${from}&until=${to}`;
    const told = async (): Promise<WeeklyDocument> => api('GET', `reports/weekly?${query}`);
    await until(async () => (await told()).findings?.volume.exchanges.total === 12, 'all that was closed is counted');
    const { findings: found, basis } = await told();

    t.match(found.volume, { exchanges: { total: 12, before: 0 }, detailed: 12, decisions: { input: { total: 11 }, late: { total: 0 } }, routes: [{ name: '/v1/chat/completions', total: 12 }] });
    t.equal(found.volume.decisions.output.total, 8, 'what was blocked has no answer');
    t.same(Object.fromEntries(found.volume.outcomes.map(({ name, total }) => [name, total])), { completed: 8, blocked: 3, refused: 1 });
    t.same(Object.fromEntries(found.volume.statuses.map(({ name, total }) => [name, total])), { 200: 8, 400: 4 });
    t.equal(found.volume.days.reduce((sum, { exchanges }) => sum + exchanges, 0), 12);
    t.equal(found.volume.days.reduce((sum, { acted_on: acted }) => sum + acted, 0), 6);
    t.same(Object.fromEntries(found.actions.exchanges.map(({ name, total }) => [name, total])), { allow: 5, block: 3, escalate: 2, redact: 1, none: 1 });
    t.same(Object.fromEntries(found.actions.by_part.input.map(({ name, total }) => [name, total])), { allow: 5, block: 3, escalate: 2, redact: 1 });
    t.equal(found.actions.redacted_spans.input.total, 2);
    const category = (name: string) => found.violations.find((trend) => trend.category === name);
    t.match([category('patterns.codename'), category('patterns.seen'), category('pii.EMAIL')], [{ exchanges: 3, share: { value: 0.25, of: 12 }, finding: 'too_little' }, { exchanges: 2 }, { exchanges: 1 }]);
    t.same(found.actions.by_category.filter(({ action }) => action === 'block').map(({ category: name, total }) => [name, total]), [['patterns.codename', 3]]);
    t.same(Object.fromEntries(found.rules.map(({ name, total }) => [name, total])), { codename: 3, look: 2, pii: 1 });
    t.match(found.rules.find(({ name }) => name === 'look')?.false_positives, { judged: 2, of: 2, rate: 1 }, 'both were allowed in the end');
    t.match(found.coverage, { partial: { total: 1 }, degraded: { total: 0 }, unscreened: [{ direction: 'input', why: 'opaque', total: 1 }] });
    t.match(found.availability, { answered: { total: 11 }, failed: { total: 0 }, client: { total: 1 }, share: 1 });
    t.match(found.latency.map(({ name, n }) => [name, n]), [['screening_input', 11], ['screening_output', 8], ['first_byte', found.latency[2]!.n], ['exchange', 12]]);
    t.ok(found.latency.every(({ n, p50_ms: p50, p95_ms: p95 }) => n === 0 || p50! <= p95!));
    t.match(found.reviews, { opened: { total: 2, before: 0 }, resolved: { total: 2 }, overdue: { total: 0 }, open_at_end: { total: 0 }, resolutions: [{ name: 'allow', total: 2 }], time_to_resolution: { n: 2 } });
    t.match(found.overrides.all, { judged: 2, of: 0 }, 'an escalated item that is allowed is as it was');
    t.match(found.appeals, { made: { total: 1 }, decided: { total: 1 }, reversed: { total: 1 }, upheld: { total: 0 }, reversal_share: { value: 1, of: 1 } });
    t.equal(found.residual_risk, null);
    t.match(found.changes.policies, [{ policy: 'acme', revision: 1, change: 'stored' }]);
    t.match(found.changes.models, [{ plugin: 'toxicity', change: 'rollback', model_id: null }]);
    t.notMatch(JSON.stringify(found), /somebody|ana\b|ben\b|joke|example\.com|Egret|Bluebird/, 'no reviewer, no operator, nothing that anybody wrote');
    t.match(basis, [{ checkpoint: /^weir\/.*\n\d+\n/ }]);

    const text = async (form: string): Promise<string> => (await ask(house.adminUrl, `/api/v1/reports/weekly${form}`, { token: house.token })).text;
    const csv = readCsv(await text(`.csv?${query}`));
    const value = (section: string, item: string, detail = ''): string | undefined => csv.find((row) => row[2] === section && row[3] === item && row[4] === detail)?.[6];
    t.same([value('volume', 'exchanges'), value('volume', 'decisions', 'input'), value('volume', 'outcome', 'blocked'), value('actions', 'exchange', 'block'), value('violations', 'exchanges', 'pii.EMAIL'), value('rules', 'exchanges', 'look'), value('coverage', 'unscreened_opaque', 'input'), value('availability', 'availability'), value('reviews', 'opened'), value('appeals', 'reversed'), value('actions', 'redacted_spans', 'input')], ['12', '11', '3', '3', '1', '2', '1', '1', '2', '1', '2']);
    t.ok(csv.every((row) => row.length === csv[0]!.length), 'every row has every column');
    const html = await text(`.html?${query}`);
    for (const piece of ['<th scope="row">Exchanges</th><td class="number">12</td>', '<th scope="row">blocked</th><td class="number">3</td>', '<th scope="row">codename</th><td class="number">3</td>', '<th scope="row">Came in</th><td class="number">2</td>', '<th scope="row">Reversed</th><td class="number">1</td>', '=HYPERLINK(&quot;x&quot;) &lt;b&gt;&amp;']) t.ok(html.includes(piece), piece);
    t.notMatch(html, /<b>&|<script|\son\w+=|https?:\/\/(?!\d)/, 'a page that loads and runs nothing');
    const part = async (name: string): Promise<readonly (readonly string[])[]> => readCsv(await text(`.dsa?${query}&part=${name}`));
    const own = await part('own_initiative');
    t.same(own.map((row) => [row[1], row[3], row[5], row[6], row[7], row[13]]).slice(1), [
      [`'${PRODUCT}`, 'TOTAL', '4', '4', '3', '1'], [`'${PRODUCT}`, 'STATEMENT_CATEGORY_DATA_PROTECTION_AND_PRIVACY_VIOLATIONS', '1', '1', '0', '1'], [`'${PRODUCT}`, 'KEYWORD_OTHER', '1', '1', '0', '1'],
      [`'${PRODUCT}`, 'STATEMENT_CATEGORY_OTHER_VIOLATION_TC', '3', '3', '3', '0'], [`'${PRODUCT}`, 'KEYWORD_OTHER', '3', '3', '3', '0'],
    ]);
    t.same((await part('complaints')).slice(1).map((row) => row[6]), ['1', '0', '', '1', (await part('complaints'))[5]![6], '0']);
    t.match((await part('automated_means')).slice(1).map((row) => [row[4], row[6]]), [[/solely/, '4'], [/not taken/, ''], [/Accuracy$/, ''], [/Precision/, ''], [/Recall/, ''], [/solely/, '4'], [/not taken/, ''], [/Accuracy$/, ''], [/Precision/, ''], [/Recall/, '']]);
    const listed = await api('GET', 'reports?tenant=default');
    t.equal(listed.weeks.slice(0, 2).reduce((sum: number, { exchanges }: { exchanges: number }) => sum + exchanges, 0), 12);
    t.match(await api('GET', `reports/weekly?week=${weekAt(Date.now()).week}`), { findings: { period: { is_over: false, time_zone: 'UTC' } } }, 'who has one tenant need not name it');
    t.match(await api('GET', 'reports/weekly?tenant=nobody'), { error: { code: 'not_found', message: /nothing is known of a tenant "nobody"/ } });
    t.match(await api('GET', 'reports/weekly?week=2999-W01'), { error: { message: /has not begun/ } });
  });
}
