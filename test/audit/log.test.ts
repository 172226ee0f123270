/**
 * The audit log: its chain, its durability and its recovery, over every cut of the file and every flipped bit of it.
 */
import { readFileSync, rmSync, writeFileSync, appendFileSync, mkdirSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { canonicalJson, GENESIS } from '../../src/audit/entry.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { CHANNELS, type AuditLost, type HealthChanged } from '../../src/contract/channels.ts';
import { until } from '../helpers/upstream.ts';
import { exchangeRecord as record, linesOf, logFolder as folder, logOptions as options, segmentsOf, verifyFolder, writeLog } from '../helpers/audit.ts';

t.test('canonical JSON sorts keys at every depth and leaves out what is undefined', async (t) => {
  t.equal(canonicalJson({ b: [{ z: 1, a: undefined }, undefined, 'ü\u2028'], a: { y: null, x: -0.5 } }), '{"a":{"x":-0.5,"y":null},"b":[{"z":1},null,"ü\u2028"]}');
});

t.test('entries are linked as an independent reader sees it', async (t) => {
  const dir = folder(t);
  await writeLog(dir, 5);
  let prev = GENESIS;
  for (const [index, line] of linesOf(dir).entries()) {
    const entry = JSON.parse(line) as Record<string, unknown>;
    t.match(entry, { index, prev, request_id: `request-${index}`, origin: 'test/one', time: '2026-01-02T03:00:00.000Z' });
    prev = hash('sha256', `\0${line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}')}`, 'hex');
    t.equal(entry.hash, prev);
  }
});

t.test('strict entries are in the file when append resolves, appended at once they share groups', async (t) => {
  const dir = folder(t);
  const log = await openAuditLog(options(dir));
  await Promise.all(Array.from({ length: 100 }, (_, i) => log.append(record(`request-${i}`), 'strict')));
  t.equal(linesOf(dir).length, 100);
  t.equal(log.head().index, 99);
  await log.close();
  t.same(verifyFolder(dir), { head: log.head(), entries: 100, tornBytes: 0 });
});

t.test('relaxed entries reach the file by themselves, in order with strict ones', async (t) => {
  const dir = folder(t);
  const log = await openAuditLog(options(dir));
  await log.append(record('first'), 'relaxed');
  t.equal(linesOf(dir).length, 0, 'append does not wait for the disk');
  await until(() => linesOf(dir).length === 1, 20_000, 'the entry');
  void log.append(record('second'), 'relaxed');
  await log.append(record('third'), 'strict');
  t.same(linesOf(dir).map((line) => JSON.parse(line).request_id), ['first', 'second', 'third']);
  for (let i = 0; i < 300; i++) void log.append(record(`more-${i}`), 'relaxed');
  await log.flush();
  t.equal(linesOf(dir).length, 303);
  await log.close();
});

t.test('a log goes on where it ended, over segments', async (t) => {
  const dir = folder(t);
  await writeLog(dir, 7, { segmentBytesMax: 1000 });
  await writeLog(dir, 7, { segmentBytesMax: 1000 });
  t.ok(segmentsOf(dir).length >= 4, 'small segments are followed by new ones');
  t.match(verifyFolder(dir), { entries: 14, head: { index: 13 }, damage: undefined });
});

t.test('a segment ends after a day, also over a restart, and not while it is empty', async (t) => {
  const dir = folder(t);
  let now = Date.parse('2030-01-01T00:00:00Z');
  const day = 86_400_000;
  for (const [hours, segments] of [[0, 1], [23, 1], [1, 2], [-5, 2], [28, 2], [1, 3]] as const) {
    now += hours * 3_600_000;
    await writeLog(dir, 1, { clock: () => now, segmentMsMax: day });
    t.equal(segmentsOf(dir).length, segments, new Date(now).toISOString());
  }
});

t.test('an empty newest segment is no damage', async (t) => {
  const dir = folder(t);
  await writeLog(dir, 3);
  writeFileSync(join(dir, '000000000003.jsonl'), '');
  await writeLog(dir, 1);
  t.match(verifyFolder(dir), { entries: 4, damage: undefined });
});

t.test('cut at any byte, the log recovers to whole entries and says what it cut off', async (t) => {
  const source = folder(t);
  await writeLog(source, 3);
  const whole = readFileSync(join(source, segmentsOf(source)[0]));
  for (let size = 0; size <= whole.length; size += 7) {
    const dir = join(source, '..', `cut-${size}`, 'audit');
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, '000000000000.jsonl'), whole.subarray(0, size));
    const complete = whole.subarray(0, size).toString().split('\n').length - 1;
    const torn = size - (whole.subarray(0, size).lastIndexOf(0x0a) + 1);
    if (verifyFolder(dir).damage !== undefined || verifyFolder(dir).tornBytes !== torn) t.fail(`verify at ${size}`);
    const log = await openAuditLog(options(dir));
    await log.append(record('after'), 'strict');
    await log.close();
    const kinds = linesOf(dir).slice(complete).map((line) => JSON.parse(line));
    const expected = torn > 0 ? [{ kind: 'recovered', bytes: torn }, { kind: 'exchange' }] : [{ kind: 'exchange' }];
    if (kinds.length !== expected.length || verifyFolder(dir).damage !== undefined) t.fail(`recovery at ${size}`);
    t.match(kinds, expected, { diagnostic: false });
  }
});

t.test('any flipped bit is found and located', async (t) => {
  const source = folder(t);
  await writeLog(source, 3);
  const name = segmentsOf(source)[0];
  const whole = readFileSync(join(source, name));
  let missed = 0;
  for (let at = 0; at < whole.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bytes = Buffer.from(whole);
      bytes[at] ^= 1 << bit;
      const report = verifyLog([{ name, bytes }]);
      const line = whole.subarray(0, at).toString('latin1').split('\n').length;
      // The last line end is the one byte whose loss looks like a crash: the line before it is then unfinished.
      const found = at === whole.length - 1 ? report.tornBytes > 0 : report.damage !== undefined && report.damage.line === line && report.damage.index === line - 1;
      if (!found) missed++;
    }
  }
  t.equal(missed, 0);
});

t.test('entries deleted, doubled, swapped, or sealed anew are found and located', async (t) => {
  const source = folder(t);
  await writeLog(source, 5, { segmentBytesMax: 600 });
  const segments = segmentsOf(source).map((name) => ({ name, bytes: readFileSync(join(source, name)) }));
  const lines = linesOf(source).map((line) => `${line}\n`);
  const verify = (...order: number[]) => verifyLog([{ name: 'a', bytes: Buffer.from(order.map((i) => lines[i]).join('')) }]).damage;
  t.equal(verify(0, 1, 2, 3, 4), undefined);
  t.match(verify(0, 1, 3, 4), { line: 3, index: 2, reason: /index 3, expected 2/ });
  t.match(verify(1, 2, 3), { line: 1, index: 0 });
  t.match(verify(0, 1, 1, 2), { line: 3, index: 2 });
  t.match(verify(0, 2, 1, 3), { line: 2, index: 1 });
  t.match(verifyLog([segments[1], segments[0]]).damage, { segment: segments[1].name, line: 1, index: 0 });
  const forged = lines[2].replace('request-2', 'request-9').replace(/,"hash":"[0-9a-f]+"\}\n$/, '}');
  const resealed = `${forged.slice(0, -1)},"hash":"${hash('sha256', `\0${forged}`, 'hex')}"}\n`;
  const report = verifyLog([{ name: 'a', bytes: Buffer.from([...lines.slice(0, 2), resealed, ...lines.slice(3)].join('')) }]);
  t.match(report.damage, { line: 4, index: 3, reason: /hash of the entry before/ });
  const junk = verifyLog([{ name: 'a', bytes: Buffer.from('not an entry\n') }]);
  t.match(junk.damage, { line: 1, index: 0, reason: /does not end with its hash/ });
  for (const body of ['[1]', '{"index":"0","prev":"x"}', 'nothing}']) {
    const line = `${body.slice(0, -1)},"hash":"${hash('sha256', `${body.slice(0, -1)}}`, 'hex')}"}\n`;
    t.match(verifyLog([{ name: 'a', bytes: Buffer.from(line) }]).damage, { line: 1, reason: /no entry/ });
  }
  const torn = { name: 'b', bytes: segments[0].bytes.subarray(0, -1) };
  t.match(verifyLog([torn, segments[1]]).damage, { segment: 'b', line: 2, reason: /unfinished/ });
});

t.test('a damaged log does not open', async (t) => {
  const dir = folder(t);
  await writeLog(dir, 4, { segmentBytesMax: 600 });
  const [first, ...rest] = segmentsOf(dir);
  const last = join(dir, rest.at(-1)!);
  const good = readFileSync(last);
  const bad = Buffer.from(good);
  bad[10] ^= 1;
  writeFileSync(last, bad);
  await t.rejects(openAuditLog(options(dir)), { code: 'audit_unavailable', message: /damaged.*line 1/ });
  writeFileSync(last, good);
  const before = join(dir, rest.at(-2) ?? first);
  const beforeGood = readFileSync(before);
  appendFileSync(before, 'torn');
  await t.rejects(openAuditLog(options(dir)), { message: /another segment follows/ });
  writeFileSync(before, Buffer.from(beforeGood).fill('x', 5, 6));
  await t.rejects(openAuditLog(options(dir)), { message: /damaged/ });
  writeFileSync(before, beforeGood);
  await (await openAuditLog(options(dir))).close();
});

t.test('one writer per folder; a holder that is gone holds nothing', async (t) => {
  const dir = folder(t);
  const log = await openAuditLog(options(dir));
  await t.rejects(openAuditLog(options(dir)), { code: 'audit_unavailable', message: /already writes/ });
  await log.close();
  await log.close();
  for (const stale of [`${process.pid} 1\n`, '999999999 1\n', 'garbage']) {
    writeFileSync(join(dir, 'lock'), stale);
    await (await openAuditLog(options(dir))).close();
  }
  await t.rejects(log.append(record('late'), 'strict'), { code: 'audit_unavailable', message: /closed/ });
});

/** Entries that were told as lost from here on, by kind. */
function losses(t: Test): () => Readonly<Partial<Record<AuditLost['kind'], number>>> {
  const lost: Partial<Record<AuditLost['kind'], number>> = {};
  const onLost = (message: unknown): void => {
    const { kind, count } = message as AuditLost;
    lost[kind] = (lost[kind] ?? 0) + count;
  };
  CHANNELS.auditLost.subscribe(onLost);
  t.teardown(() => CHANNELS.auditLost.unsubscribe(onLost));
  return () => lost;
}

t.test('a disk that cannot be written ends the log: strict rejects, relaxed is counted, health is told once', async (t) => {
  const dir = folder(t);
  const told: HealthChanged[] = [];
  const listen = (message: unknown): void => void told.push(message as HealthChanged);
  CHANNELS.healthChanged.subscribe(listen);
  t.teardown(() => CHANNELS.healthChanged.unsubscribe(listen));
  const lost = losses(t);
  const log = await openAuditLog(options(dir));
  rmSync(dir, { recursive: true });
  const both = await Promise.allSettled([log.append(record('a'), 'strict'), log.append(record('b'), 'strict')]);
  t.same(both.map((r) => r.status), ['rejected', 'rejected']);
  await t.rejects(log.append(record('c'), 'strict'), { code: 'audit_unavailable', message: /ENOENT/ });
  await t.resolves(log.append(record('d'), 'relaxed'));
  await t.rejects(log.flush(), { code: 'audit_unavailable' });
  await log.close();
  t.match(told, [{ part: 'audit', healthy: false, detail: /ENOENT/ }]);
  t.equal(told.length, 1);
  t.same(lost(), { exchange: 4 }, 'each of them once');
});

t.test('a disk slower than the traffic: entries are turned away, and the log says how many', async (t) => {
  const dir = folder(t);
  const log = await openAuditLog(options(dir, { pendingMax: 3 }));
  const lost = losses(t);
  const results = await Promise.allSettled([1, 2, 3, 4, 5].map((i) => log.append(record(`r${i}`), 'strict')));
  t.same(lost(), { exchange: 2 });
  t.same(results.map((r) => r.status), ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
  await log.append(record('r6'), 'strict');
  await log.close();
  t.match(linesOf(dir).slice(3).map((line) => JSON.parse(line)), [{ kind: 'lost', count: 2 }, { request_id: 'r6' }]);
  t.equal(verifyFolder(dir).damage, undefined);
});

t.test('kill -9 loses nothing that strict acknowledged', async (t) => {
  const dir = folder(t);
  const script = `
    import { openAuditLog } from ${JSON.stringify(new URL('../../src/audit/log.ts', import.meta.url).href)};
    const log = await openAuditLog({ dir: ${JSON.stringify(dir)}, keyFile: ${JSON.stringify(join(dir, '../audit.key'))}, origin: 'test/child', clock: Date.now, segmentBytesMax: 20000 });
    for (let i = 0; ; i++) { await log.append({ ...${JSON.stringify(record('x'))}, request_id: 'r' + i }, 'strict'); process.stdout.write('r' + i + '\\n'); }`;
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => {
      told += chunk.toString();
      if (told.length > 2000 + round * 531) child.kill('SIGKILL');
    });
    await new Promise((resolve) => child.once('close', resolve));
    const report = verifyFolder(dir);
    t.equal(report.damage, undefined);
    const have = new Set(linesOf(dir).map((line) => JSON.parse(line).request_id));
    const acknowledged = told.split('\n').slice(0, -1);
    t.ok(acknowledged.length > 100);
    t.same(acknowledged.filter((id) => !have.has(id)), []);
  }
});
