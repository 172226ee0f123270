/**
 * What is kept of texts that were screened by `POST /weir/v1/screen`: as they came or as they may go on, for the reviewer of
 * what was escalated, bounded, and erased with their session and with nobody else's.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { checkContent } from '../../src/audit/content-check.ts';
import { ContentVault } from '../../src/audit/vault.ts';
import { CONTENT_CHARS_MAX } from '../../src/contract/content.ts';
import { keptScreenings } from '../../src/proxy/kept-screenings.ts';
import type { ServiceText } from '../../src/screen/service.ts';
import { ask } from '../helpers/admin.ts';
import { linesOf } from '../helpers/audit.ts';
import { openHouse, until, type House } from '../helpers/house.ts';

t.setTimeout(300_000);

const POLICY = `policy: acme
patterns:
  - { id: word, label: WORD, literal: [Bluebird] }
  - { id: never, label: NEVER, literal: [Heron] }
  - { id: seen, label: SEEN, literal: [Egret] }
rules:
  - { id: never, priority: 1, direction: both, when: { score: patterns.never, gte: 1 }, action: block }
  - { id: look, priority: 2, direction: both, when: { score: patterns.seen, gte: 1 }, action: escalate, severity: low }
  - { id: word, priority: 3, direction: both, when: { score: patterns.word, gte: 1 }, action: redact }
`;

const keeping = (t: Test, data: object): Promise<House> => openHouse(t, { files: { 'acme.yaml': POLICY }, config: { tenants: [{ id: 'acme', policy: 'acme', upstream: 'local', data }], classifiers: [] } });

async function screen({ port }: House, body: object): Promise<{ readonly id: string; readonly body: any }> {
  const response = await fetch(`http://127.0.0.1:${port}/weir/v1/screen`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const answer = { id: response.headers.get('x-weir-request-id')!, body: await response.json() };
  if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(answer.body)}`);
  return answer;
}

const call = ({ adminUrl, token }: House, method: string, path: string, body?: object) => ask(adminUrl, `/api/v1/${path}`, { method, token, ...(body === undefined ? {} : { body }) });

/** The texts of the item of an exchange, as a reviewer is shown them. */
async function reviewed(house: House, id: string, direction = 'input'): Promise<any> {
  const path = `reviews/rev_${id}.${direction}`;
  await until(async () => (await call(house, 'GET', path)).status === 200, 'the item');
  const { body } = await call(house, 'GET', `${path}/content`);
  return body.state === 'there' ? body.texts.texts.map(({ spans: _, ...text }: { readonly spans?: unknown }) => text) : body.state;
}

/** Once so many texts are told of, since entries are written after the answer. */
async function contentOf({ dir }: House, texts: number): Promise<Awaited<ReturnType<typeof checkContent>>> {
  const check = () => checkContent(join(dir, 'data/audit'), join(dir, 'data/content'));
  await until(async () => Object.values(await check()).reduce<number>((sum, one) => sum + (typeof one === 'number' ? one : 0), 0) >= texts, 'the entries');
  return check();
}

async function entryOf({ dir }: House, id: string): Promise<any> {
  const find = (): any => linesOf(join(dir, 'data/audit')).map((line) => JSON.parse(line)).find(({ request_id }) => request_id === id);
  await until(() => find() !== undefined, 'the entry');
  return find();
}

t.test('an escalated screening is reviewed with its text', async (t) => {
  const house = await keeping(t, { content: 'original' });
  const one = await screen(house, { content: 'canary Egret Bluebird', direction: 'output', session_id: 's1' });
  t.equal(one.body.action, 'escalate');
  t.same(await reviewed(house, one.id, 'output'), [{ place: 'content', text: 'canary Egret Bluebird' }]);
  t.match((await entryOf(house, one.id)).content, { output: /^[0-9a-f]{64}$/ });
  const many = await screen(house, { requests: [{ content: 'canary first', direction: 'input' }, { content: 'x', direction: 'wrong' }, { content: 'canary Egret', direction: 'input' }, { content: 'canary answer', direction: 'output' }, { content: 'aGk=', direction: 'input', content_type: 'image' }] });
  t.match(many.body.decisions[1], { error: { code: 'invalid_request' } });
  t.same(await reviewed(house, many.id), [{ place: 'requests[0].content', text: 'canary first' }, { place: 'requests[2].content', text: 'canary Egret' }], 'neither what was refused nor media');
  const mixed = await screen(house, { requests: ['a Heron', 'an Egret', 'Bluebird'].map((content) => ({ content, direction: 'input' })) });
  t.match((await entryOf(house, mixed.id)).input, { action: 'block', escalated: true });
  t.equal((await reviewed(house, mixed.id)).length, 3, 'also where another of its call was blocked');
  t.match(await contentOf(house, 4), { sound: 4, erased: 0, missing: 0, altered: 0 });
  const found = readdirSync(house.dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes('canary'));
  t.same(found, [], 'nothing lies there in clear');
});

t.test('without being asked for nothing is kept; as it went on only what went on is', async (t) => {
  const none = await keeping(t, {});
  const one = await screen(none, { content: 'an Egret', direction: 'input' });
  t.equal(await reviewed(none, one.id), 'absent');
  t.equal((await entryOf(none, one.id)).content, undefined);
  const house = await keeping(t, { content: 'redacted' });
  const many = await screen(house, { requests: [['Bluebird here', 'output'], ['an Egret', 'input']].map(([content, direction]) => ({ content, direction })) });
  t.same(await reviewed(house, many.id), [{ place: 'requests[1].content', text: 'an Egret' }]);
  const path = `reviews/rev_${many.id}.output`;
  t.equal((await call(house, 'GET', path)).status, 404, 'the other direction has no item');
  const vault = new ContentVault({ dir: join(house.dir, 'data/content'), keyFile: join(house.dir, 'data/keys/content.key'), clock: Date.now, audit: async () => {} });
  t.match(await vault.read({ tenantId: 'acme', requestId: many.id }, 'output'), { state: 'there', texts: { texts: [{ place: 'requests[0].content', text: '[WORD] here' }] } });
  const blocked = await screen(house, { content: 'a Heron', direction: 'input' });
  t.equal((await entryOf(house, blocked.id)).content, undefined);
});

t.test('sessions of one call are erased one by one, and the log holds with what is left', async (t) => {
  const house = await keeping(t, { content: 'original' });
  const erase = async (body: object) => (await call(house, 'POST', 'tenants/acme/erasures', body)).body;
  const requests = [['s1', 'one'], ['s2', 'two Egret'], [undefined, 'three'], ['s1', 'four']].map(([session_id, content]) => ({ content, direction: 'input', ...(session_id === undefined ? {} : { session_id }) }));
  const { id } = await screen(house, { requests });
  t.same((await reviewed(house, id)).map(({ text }: { text: string }) => text).sort(), ['four', 'one', 'three', 'two Egret']);
  t.match((await entryOf(house, id)).content, { input: /^[0-9a-f]{64}$/, others: [{ input: /^[0-9a-f]{64}$/ }, { input: /^[0-9a-f]{64}$/ }] });
  t.match(await contentOf(house, 3), { sound: 3, erased: 0, altered: 0, missing: 0 });
  t.match(await erase({ session_id: 's1' }), { destroyed: 1 });
  t.same((await reviewed(house, id)).map(({ text }: { text: string }) => text), ['two Egret', 'three']);
  t.match(await contentOf(house, 3), { sound: 2, erased: 1, altered: 0, missing: 0 });
  t.match(await erase({ request_id: id }), { destroyed: 2, gone: 1 });
  t.equal(await reviewed(house, id), 'erased');
  t.match(await contentOf(house, 3), { sound: 0, erased: 3, altered: 0, missing: 0 });
});

t.test('what was altered beside what is sound is found', async (t) => {
  const house = await keeping(t, { content: 'original' });
  const { id } = await screen(house, { requests: [{ content: 'one', direction: 'input', session_id: 's1' }, { content: 'Egret', direction: 'input', session_id: 's2' }, { content: 'two', direction: 'output', session_id: 's3' }] });
  await reviewed(house, id);
  const folder = join(house.dir, 'data/content/acme');
  const file = join(folder, readdirSync(folder).find((name) => name.endsWith('.content'))!);
  const bytes = readFileSync(file);
  bytes[20]! ^= 1;
  writeFileSync(file, bytes);
  t.match(await contentOf(house, 3), { sound: 2, altered: 1, missing: 0, firstAltered: { requestId: id } });
  t.equal(await reviewed(house, id), 'damaged');
});

const text = (came: string, more: Partial<ServiceText> = {}): ServiceText => ({ place: 'content', direction: 'input', sessionId: undefined, came, left: came, isEscalated: false, ...more });

t.test('the limit, within and beyond; what is escalated has its place first', async (t) => {
  const [within] = keptScreenings('original', [text('a'.repeat(CONTENT_CHARS_MAX))]);
  t.match([within!.texts.input.texts[0]!.text.length, within!.texts.input.cut], [CONTENT_CHARS_MAX, 0]);
  const [prompt] = keptScreenings('original', [text(`${'a'.repeat(CONTENT_CHARS_MAX)}!`)]);
  t.match([prompt!.texts.input.texts[0]!.text.at(-1), prompt!.texts.input.cut], ['!', 1], 'the end of a prompt');
  const [answer] = keptScreenings('original', [text(`!${'a'.repeat(CONTENT_CHARS_MAX)}`, { direction: 'output' })]);
  t.match([answer!.texts.output.texts[0]!.text[0], answer!.texts.output.cut], ['!', 1], 'the beginning of an answer');
  const [both] = keptScreenings('original', [text('a'.repeat(CONTENT_CHARS_MAX), { place: 'requests[0].content' }), text('Egret', { place: 'requests[1].content', isEscalated: true })]);
  t.same(both!.texts.input.texts.map(({ place, text: { length } }) => [place, length]), [['requests[0].content', CONTENT_CHARS_MAX - 5], ['requests[1].content', 5]]);
  t.equal(both!.texts.input.cut, 5);
});

t.test('whatever is screened: each text with its session alone, nothing twice, nothing that was held back', async (t) => {
  const one = fc.record({ direction: fc.constantFrom('input', 'output'), sessionId: fc.option(fc.constantFrom('a', 'b', 'c'), { nil: undefined }), came: fc.string({ minLength: 1, maxLength: 9 }), held: fc.boolean(), isEscalated: fc.boolean() }) as fc.Arbitrary<Omit<ServiceText, 'place' | 'left'> & { held: boolean }>;
  fc.assert(fc.property(fc.array(one, { maxLength: 12 }), fc.constantFrom('original', 'redacted'), (list, mode) => {
    const texts = list.map(({ held, ...rest }, i): ServiceText => ({ ...rest, place: `requests[${i}].content`, left: held ? undefined : rest.came }));
    const groups = keptScreenings(mode, texts);
    const found = groups.flatMap(({ sessionId, texts: of }) => (['input', 'output'] as const).flatMap((direction) => of[direction].texts.map(({ place, text: said }) => JSON.stringify([place, direction, sessionId, said])))).sort();
    const wanted = texts.filter(({ left }) => mode === 'original' || left !== undefined).map(({ place, direction, sessionId, came }) => JSON.stringify([place, direction, sessionId, came])).sort();
    return JSON.stringify(found) === JSON.stringify(wanted) && new Set(groups.map(({ sessionId }) => sessionId)).size === groups.length;
  }), { numRuns: 500 });
  t.pass('500 calls');
});
