/**
 * Kept content: what was sealed is read again, by whoever has the key and for the exchange it belongs to; a changed byte
 * does not open; what was erased is nowhere; and what goes wrong with it costs no entry of the log.
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { checkLog } from '../../src/audit/check.ts';
import { checkContent } from '../../src/audit/content-check.ts';
import { rotateMasterKey } from '../../src/audit/content-rotation.ts';
import { MasterKey, openMasterKey, type ContentKeyError } from '../../src/audit/content-key.ts';
import type { ErasureRecord } from '../../src/audit/entry.ts';
import { openAuditLog, type AuditLog } from '../../src/audit/log.ts';
import { publishedKeys } from '../../src/audit/recovery.ts';
import { KEY_OFFSET, SLOT_BYTES, unwrapKey } from '../../src/audit/sealed-content.ts';
import { ContentVault, type VaultOptions } from '../../src/audit/vault.ts';
import { CHANNELS, type ContentLost, type HealthChanged } from '../../src/contract/channels.ts';
import type { KeptTexts, NewContent } from '../../src/contract/content.ts';
import { exchangeRecord, linesOf, logOptions } from '../helpers/audit.ts';

const DAY = '2026-01-02';
const CANARY = 'canary-of-a-text-7531';

interface Place {
  /** What a data folder holds. */
  readonly folder: string;
  readonly audit: string;
  readonly content: string;
  readonly log: AuditLog;
  readonly vault: ContentVault;
  readonly erasures: ErasureRecord[];
}

async function open(t: Test, more: Partial<VaultOptions> = {}, folder = mkdtempSync(join(tmpdir(), 'weir-vault-'))): Promise<Place> {
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const audit = join(folder, 'audit');
  const log = await openAuditLog(logOptions(audit));
  t.teardown(() => log.close());
  const erasures: ErasureRecord[] = [];
  const content = join(folder, 'content');
  const vault = new ContentVault({ dir: content, keyFile: join(folder, 'keys/content.key'), clock: () => Date.parse(`${DAY}T12:00:00Z`), audit: async (record) => {
    erasures.push(record);
    await log.append(record, 'strict');
  }, ...more });
  return { folder, audit, content, log, vault, erasures };
}

function texts(...all: string[]): KeptTexts {
  return { texts: all.map((text, i) => ({ place: `messages[${i}].content`, role: 'user', text })), cut: 0 };
}

function exchange(requestId: string, more: Partial<NewContent> = {}): NewContent {
  return { tenantId: 'acme', requestId, startedAt: `${DAY}T03:04:05.000Z`, texts: { input: texts(`${CANARY} asked in ${requestId}`), output: texts(`${CANARY} answered in ${requestId}`) }, ...more };
}

/** As the proxy does: the entry holds what `put` says. */
async function record({ log, vault }: Place, content: NewContent): Promise<void> {
  await log.append({ ...exchangeRecord(content.requestId), tenant_id: content.tenantId, started_at: content.startedAt, session_id: content.sessionId, content: vault.put(content) }, 'strict');
}

async function isSound({ audit, log }: Place): Promise<boolean> {
  await log.flush();
  return (await checkLog({ dir: audit, keys: await publishedKeys(audit), threads: 1 })).damage === undefined;
}

/** Files under a folder in which any of these bytes stand. */
function filesWith(folder: string, needles: readonly (string | Buffer)[]): string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return files.filter((file) => needles.some((needle) => readFileSync(file).includes(needle)));
}

function forms(text: string): string[] {
  const base64 = [0, 1, 2].map((shift) => Buffer.from('x'.repeat(shift) + text).toString('base64').slice(4, -4));
  return [text, ...base64, Buffer.from(text).toString('hex'), Buffer.from(text, 'utf16le').toString('latin1')];
}

function losses(t: Test): ContentLost[] {
  const lost: ContentLost[] = [];
  const onLost = (message: unknown): void => void lost.push(message as ContentLost);
  CHANNELS.contentLost.subscribe(onLost);
  t.teardown(() => CHANNELS.contentLost.unsubscribe(onLost));
  return lost;
}

t.test('what was put is read, and stands nowhere in clear', async (t) => {
  const place = await open(t);
  await record(place, exchange('one'));
  await record(place, exchange('two', { sessionId: 's', texts: { output: texts('', 'é😀\u0000') } }));
  t.equal(place.vault.put(exchange('none', { texts: {} })), undefined, 'nothing to keep');
  t.same(await place.vault.read({ tenantId: 'acme', requestId: 'one' }, 'input'), { state: 'there', texts: texts(`${CANARY} asked in one`) });
  t.same(await place.vault.read({ tenantId: 'acme', requestId: 'two', startedAt: `${DAY}T23:00:00Z` }, 'output'), { state: 'there', texts: texts('', 'é😀\u0000') });
  t.same(await place.vault.read({ tenantId: 'acme', requestId: 'two' }, 'input'), { state: 'absent' });
  for (const requestId of ['none', 'three']) t.same(await place.vault.read({ tenantId: 'acme', requestId }, 'input'), { state: 'absent' });
  t.same(await place.vault.read({ tenantId: '../acme', requestId: 'one' }, 'input'), { state: 'absent' });
  t.same(filesWith(place.folder, forms(CANARY)), []);
  t.equal(statSync(join(place.folder, 'keys/content.key')).mode & 0o777, 0o600);
  t.same(await checkContent(place.audit, place.content), { sound: 3, erased: 0, missing: 0, altered: 0 });
  t.ok(await isSound(place));
  const again = new ContentVault({ dir: place.content, keyFile: join(place.folder, 'keys/content.key'), clock: Date.now, audit: async () => {} });
  again.put(exchange('later'));
  for (const requestId of ['one', 'later']) t.match(await again.read({ tenantId: 'acme', requestId }, 'output'), { state: 'there' }, 'another process goes on');
});

t.test('any texts, in any order', async (t) => {
  const place = await open(t);
  let number = 0;
  await fc.assert(fc.asyncProperty(fc.array(fc.record({ tenantId: fc.constantFrom('acme', 'other'), day: fc.constantFrom('2026-01-01', DAY), input: fc.array(fc.string({ unit: 'binary' })), output: fc.array(fc.string()) }), { maxLength: 6 }), async (all) => {
    const put = all.map(({ tenantId, day, input, output }) => exchange(`any-${number++}`, { tenantId, startedAt: `${day}T00:00:00Z`, texts: { input: texts(...input), output: texts(...output) } }));
    for (const content of put) place.vault.put(content);
    for (const { tenantId, requestId, texts: { input, output } } of put) {
      for (const [direction, wanted] of [['input', input], ['output', output]] as const) t.strictSame(await place.vault.read({ tenantId, requestId }, direction), wanted!.texts.length === 0 ? { state: 'absent' } : { state: 'there', texts: wanted });
    }
  }), { numRuns: 25 });
});

t.test('a changed byte, and a text in the place of another, do not open', async (t) => {
  const place = await open(t);
  await record(place, exchange('one', { sessionId: 's' }));
  await record(place, exchange('two', { sessionId: 's' }));
  await place.vault.flush();
  const read = (requestId: string, direction: 'input' | 'output' = 'input', tenantId = 'acme') => place.vault.read({ tenantId, requestId }, direction).then(({ state }) => state);
  for (const ending of ['content', 'keys']) {
    const file = join(place.content, 'acme', `${DAY}.${ending}`);
    const whole = readFileSync(file);
    const first = ending === 'keys' ? SLOT_BYTES : whole.length / 2;
    for (let at = 0; at < first; at++) {
      const bytes = Buffer.from(whole);
      bytes[at]! ^= 1 << at % 8;
      writeFileSync(file, bytes);
      const [input, output, other] = [await read('one'), await read('one', 'output'), await read('two')];
      if (ending === 'keys' ? [input, output].some((state) => state !== (at < 16 ? 'absent' : 'damaged')) : (input === 'there') === (output === 'there')) t.fail(`${ending} byte ${at}: ${input}, ${output}`);
      if (other !== 'there') t.fail(`${ending} byte ${at}: the other is ${other}`);
      if (ending === 'content' && at % 29 === 0) t.match(await checkContent(place.audit, place.content), { sound: 3, altered: 1, firstAltered: { index: 0, requestId: 'one' } }, `byte ${at} is seen without a key`);
    }
    writeFileSync(file, whole);
  }
  // The slots of both exchanges, and the folders of two tenants, exchanged.
  const file = join(place.content, 'acme', `${DAY}.keys`);
  const whole = readFileSync(file);
  const [a, b] = [whole.subarray(0, SLOT_BYTES), whole.subarray(SLOT_BYTES)];
  writeFileSync(file, Buffer.concat([a.subarray(0, 16), b.subarray(16), b.subarray(0, 16), a.subarray(16)]));
  t.same([await read('one'), await read('two')], ['damaged', 'damaged'], 'the key of another request');
  writeFileSync(file, whole);
  cpSync(join(place.content, 'acme'), join(place.content, 'other'), { recursive: true });
  t.equal(await read('one', 'input', 'other'), 'damaged', 'the key of another tenant');
  for (const ending of ['content', 'keys']) cpSync(join(place.content, 'acme', `${DAY}.${ending}`), join(place.content, 'acme', `2026-01-01.${ending}`));
  t.equal((await place.vault.read({ tenantId: 'acme', requestId: 'one', startedAt: '2026-01-01T00:00:00Z' }, 'input')).state, 'damaged', 'the key of another day');
  t.equal(await read('one'), 'there');
  writeFileSync(join(place.content, 'acme', `${DAY}.content`), '');
  t.equal(await read('one'), 'damaged', 'its file is cut');
});

t.test('erased is erased: by request, session, day and tenant', async (t) => {
  const place = await open(t);
  const ids = ['one', 'two', 'three', 'four'];
  for (const id of ids) await record(place, exchange(id, id === 'one' ? {} : { sessionId: id === 'four' ? 'other' : 's' }));
  await record(place, exchange('old', { startedAt: '2026-01-01T00:00:00Z' }));
  await record(place, exchange('foreign', { tenantId: 'other' }));
  await place.vault.flush();
  const before = join(place.folder, '../', `${place.folder.split('/').at(-1)}-copy`);
  t.teardown(() => rmSync(before, { recursive: true, force: true }));
  const states = async (vault = place.vault): Promise<string[]> => Promise.all([...ids, 'old'].map(async (requestId) => (await vault.read({ tenantId: 'acme', requestId }, 'output')).state));

  t.same(await place.vault.erase({ tenantId: 'acme', requestId: 'one' }, 'ana'), { destroyed: 1, gone: 0 });
  t.same(await states(), ['erased', 'there', 'there', 'there', 'there']);
  t.same(await place.vault.erase({ tenantId: 'acme', requestId: 'one' }, 'ana'), { destroyed: 0, gone: 1 }, 'again: it is gone');
  t.same(await place.vault.erase({ tenantId: 'acme', sessionId: 's' }, 'ana'), { destroyed: 2, gone: 0 });
  t.same(await states(), ['erased', 'erased', 'erased', 'there', 'there']);
  t.same(await place.vault.erase({ tenantId: 'acme', before: DAY }, 'ana'), { destroyed: 1, gone: 0 });
  t.same(await states(), ['erased', 'erased', 'erased', 'there', 'erased']);
  t.notOk(existsSync(join(place.content, 'acme/2026-01-01.content')), 'of a whole day the files go too');
  t.same(await checkContent(place.audit, place.content), { sound: 4, erased: 8, missing: 0, altered: 0 });
  t.same(await place.vault.erase({ tenantId: 'acme' }, 'ana'), { destroyed: 1, gone: 3 });
  t.same(await place.vault.erase({ tenantId: 'nobody' }, 'ana'), { destroyed: 0, gone: 0 });
  t.same(await states(), ids.map(() => 'erased').concat('erased'));
  t.equal((await place.vault.read({ tenantId: 'other', requestId: 'foreign' }, 'input')).state, 'there', 'another tenant keeps its own');
  t.ok(await isSound(place), 'the log verifies');
  t.match(linesOf(place.audit).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'erasure').map(({ author, tenant_id, request_id, session_id, before, destroyed, gone }) => [author, tenant_id, request_id ?? session_id ?? before, destroyed, gone]), [
    ['ana', 'acme', 'one', 1, 0], ['ana', 'acme', 'one', 0, 1], ['ana', 'acme', 's', 2, 0], ['ana', 'acme', DAY, 1, 0], ['ana', 'acme', undefined, 1, 3], ['ana', 'nobody', undefined, 0, 0],
  ]);
  await place.vault.erase({ tenantId: 'nobody', sessionId: `${CANARY} of a caller` }, 'ana');
  t.match(place.erasures.at(-1), { session_id: 'other' }, 'what is no name is not told');
  place.vault.put(exchange('anew'));
  t.equal((await place.vault.read({ tenantId: 'acme', requestId: 'anew' }, 'input')).state, 'there', 'what comes later is kept');
  t.equal((await place.vault.read({ tenantId: 'acme', requestId: 'four' }, 'input')).state, 'erased');
});

t.test('no form of a text or of its key is left, with the master key or without', async (t) => {
  const place = await open(t);
  const whole = join(place.content, 'acme', `${DAY}.keys`);
  await record(place, exchange('one', { sessionId: 's' }));
  await record(place, exchange('two'));
  await place.vault.flush();
  const slots = [0, 1].map((i) => readFileSync(whole).subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
  const wrapped = slots.map((slot) => slot.subarray(KEY_OFFSET));
  const master = await openMasterKey({ dir: place.content, keyFile: join(place.folder, 'keys/content.key') }, { make: false });
  const inClear = slots.map((slot) => unwrapKey(slot, master.forTenant('acme'), { tenantId: 'acme', day: DAY })!);
  const formsOf = (bytes: Buffer): (Buffer | string)[] => [bytes, bytes.toString('base64'), bytes.toString('hex')];
  t.same(filesWith(place.folder, inClear.flatMap(formsOf)), [], 'a key is written wrapped alone');
  t.same(filesWith(place.folder, wrapped.flatMap(formsOf)), [whole]);
  await place.vault.erase({ tenantId: 'acme', requestId: 'one' }, 'ana');
  t.same(filesWith(place.folder, formsOf(wrapped[0]!)), []);
  t.same(filesWith(place.folder, formsOf(wrapped[0]!.subarray(12, 44))), []);
  t.same(filesWith(place.folder, formsOf(wrapped[1]!)), [whole], 'that of the other stays');
  const keys = [...wrapped, ...inClear].flatMap(formsOf);
  await place.vault.erase({ tenantId: 'acme' }, 'ana');
  t.same(filesWith(place.folder, [...keys, ...forms(CANARY)]), []);
});

t.test('without its key nothing is kept, which is told, and the log goes on', async (t) => {
  const lost = losses(t);
  const told: string[] = [];
  const onHealth = (message: unknown): void => void ((message as HealthChanged).part === 'content' && told.push((message as HealthChanged).detail));
  CHANNELS.healthChanged.subscribe(onHealth);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(onHealth));
  const first = await open(t);
  await record(first, exchange('one'));
  await first.vault.flush();
  await first.log.close();
  const keyFile = join(first.folder, 'keys/content.key');
  const key = readFileSync(keyFile, 'utf8');
  for (const [written, wanted] of [[undefined, /is missing, and content was sealed with [0-9a-f]{32}; put that one back/], [Buffer.alloc(32).toString('base64'), /the master key is [0-9a-f]{32}, and content was sealed with/], ['no key', /holds no key: expected 32 bytes in base64/]] as const) {
    if (written === undefined) rmSync(keyFile);
    else writeFileSync(keyFile, written);
    const place = await open(t, {}, first.folder);
    await place.vault.prepare();
    await record(place, exchange('lost'));
    await place.vault.flush();
    t.match(told.pop(), wanted);
    t.same(lost.splice(0), [{ count: 1, reason: 'key' }]);
    await t.rejects(place.vault.read({ tenantId: 'acme', requestId: 'one' }, 'input'), { name: 'ContentKeyError', message: wanted } as unknown as ContentKeyError);
    t.equal(existsSync(keyFile), written !== undefined, 'none is made in its place');
    t.equal((JSON.parse(linesOf(place.audit).at(-1)!) as { content?: unknown }).content, undefined, 'the decision is recorded');
    await place.log.close();
  }
  writeFileSync(keyFile, key);
  const place = await open(t, {}, first.folder);
  t.equal((await place.vault.read({ tenantId: 'acme', requestId: 'one' }, 'input')).state, 'there');
  rmSync(keyFile);
  t.same(await place.vault.erase({ tenantId: 'acme' }, 'ana'), { destroyed: 1, gone: 0 }, 'erasing needs no key');
  t.ok(await isSound(place));
  const given = new ContentVault({ dir: place.content, keyFile, key: key.trim(), clock: Date.now, audit: async () => {} });
  given.put(exchange('given'));
  t.equal((await given.read({ tenantId: 'acme', requestId: 'given' }, 'input')).state, 'there', 'the key may come from the configuration');
});

t.test('what cannot be written is counted and costs no entry', async (t) => {
  const lost = losses(t);
  const place = await open(t, { pendingBytesMax: 1 });
  await record(place, exchange('one'));
  await record(place, exchange('two'));
  t.same(lost.splice(0), [{ count: 1, reason: 'overflow' }]);
  await place.vault.flush();
  writeFileSync(join(place.content, 'blocked'), 'a file where a folder should be');
  await record(place, exchange('three', { tenantId: 'blocked' }));
  await place.vault.flush();
  t.same(lost, [{ count: 1, reason: 'write' }]);
  await record(place, exchange('four'));
  t.equal((await place.vault.read({ tenantId: 'acme', requestId: 'four' }, 'input')).state, 'there');
  rmSync(join(place.content, 'blocked'));
  t.same(await checkContent(place.audit, place.content), { sound: 4, erased: 0, missing: 2, altered: 0 });
  t.ok(await isSound(place));
});

t.test('what a crash leaves unfinished is written over', async (t) => {
  const place = await open(t);
  await record(place, exchange('one'));
  await place.vault.flush();
  for (const ending of ['content', 'keys']) {
    const file = join(place.content, 'acme', `${DAY}.${ending}`);
    writeFileSync(file, Buffer.concat([readFileSync(file), Buffer.alloc(50, 7)]));
  }
  await record(place, exchange('two'));
  for (const requestId of ['one', 'two']) t.equal((await place.vault.read({ tenantId: 'acme', requestId }, 'output')).state, 'there');
  t.equal(readFileSync(join(place.content, 'acme', `${DAY}.keys`)).length, 2 * SLOT_BYTES);
  t.same(await checkContent(place.audit, place.content), { sound: 4, erased: 0, missing: 0, altered: 0 });
});

t.test('another master key: all is read, the former opens nothing', async (t) => {
  const place = await open(t);
  const keyFile = join(place.folder, 'keys/content.key');
  const masterOf = { dir: place.content, keyFile };
  const rotate = () => rotateMasterKey(masterOf, 'ana', (record) => place.log.append(record, 'strict'));
  await t.rejects(rotate(), { name: 'ContentKeyError' }, 'there is none yet');
  for (const [requestId, tenantId] of [['one', 'acme'], ['two', 'acme'], ['three', 'other']] as const) await record(place, exchange(requestId, { tenantId }));
  await place.vault.erase({ tenantId: 'acme', requestId: 'two' }, 'ana');
  const former = readFileSync(keyFile, 'utf8');
  t.same(await rotate(), { rewrapped: 2, damaged: 0 });
  const vault = new ContentVault({ ...masterOf, clock: Date.now, audit: async () => {} });
  const states = (one: ContentVault) => Promise.all([['one', 'acme'], ['two', 'acme'], ['three', 'other']].map(async ([requestId, tenantId]) => (await one.read({ tenantId: tenantId!, requestId: requestId! }, 'input')).state));
  t.same(await states(vault), ['there', 'erased', 'there']);
  t.not(readFileSync(keyFile, 'utf8'), former);
  t.same(filesWith(place.folder, [former.trim()]), []);
  await t.rejects(states(new ContentVault({ ...masterOf, key: former.trim(), clock: Date.now, audit: async () => {} })), /the master key is/);
  const slot = readFileSync(join(place.content, 'acme', `${DAY}.keys`)).subarray(0, SLOT_BYTES);
  t.equal(unwrapKey(slot, new MasterKey(Buffer.from(former, 'base64')).forTenant('acme'), { tenantId: 'acme', day: DAY }), undefined);
  t.same(await checkContent(place.audit, place.content), { sound: 4, erased: 2, missing: 0, altered: 0 });
  const keys = join(place.content, 'acme', `${DAY}.keys`);
  const bytes = readFileSync(keys);
  bytes[60]! ^= 1;
  writeFileSync(keys, bytes);
  t.same(await rotate(), { rewrapped: 1, damaged: 1 }, 'what is damaged stays so');
  await t.rejects(rotateMasterKey({ ...masterOf, key: former.trim() }, 'ana', async () => {}), /put it into audit.master_key_file first/);
  t.match(linesOf(place.audit).map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'content_key_rotation'), [{ author: 'ana', rewrapped: 2, damaged: 0, from: /^[0-9a-f]{32}$/, to: /^[0-9a-f]{32}$/ }, { rewrapped: 1, damaged: 1 }]);
  writeFileSync(`${keyFile}.next`, former);
  await t.rejects(states(new ContentVault({ ...masterOf, clock: Date.now, audit: async () => {} })), /was cut short; run weir audit rotate-master-key again/);
  rmSync(keyFile);
  await t.rejects(rotate(), /holds no key, and content is still under it/);
  t.ok(await isSound(place));
});

t.test('days that are older than a tenant keeps them are erased, once', async (t) => {
  const place = await open(t);
  for (const day of ['2025-12-20', '2025-12-31', DAY]) for (const tenantId of ['acme', 'other']) place.vault.put(exchange(`${tenantId}-${day}`, { tenantId, startedAt: `${day}T10:00:00Z` }));
  await place.vault.flush();
  for (let round = 0; round < 2; round++) await place.vault.sweep(new Map([['acme', 2], ['other', 10], ['nobody', 1]]));
  t.match(place.erasures, [{ author: 'retention', tenant_id: 'acme', before: '2025-12-31', destroyed: 1 }, { author: 'retention', tenant_id: 'other', before: '2025-12-23', destroyed: 1 }]);
  t.equal(place.erasures.length, 2);
  t.same(await Promise.all(['2025-12-20', '2025-12-31'].map(async (day) => (await place.vault.read({ tenantId: 'acme', requestId: `acme-${day}` }, 'input')).state)), ['erased', 'there']);
});
