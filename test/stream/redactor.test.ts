/** The redactor on plain text: any cut gives the redaction of the whole; what may still match waits, nothing else does. */
import fc from 'fast-check';
import t from 'tap';
import { Redactor } from '../../src/stream/redactor.ts';
import { planOf, REDACT_PII } from '../helpers/plans.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

function redactorOf(policy: string): Redactor {
  const plan = planOf(policy).forOutput({});
  const channel = plan.openChannel();
  return new Redactor(plan.patterns, (component, text) => channel.judge(component, text));
}

function redact(policy: string, pieces: readonly string[]): string {
  const redactor = redactorOf(policy);
  return pieces.map((piece) => redactor.feed(piece)).join('') + redactor.flush();
}

t.test('styles', async (t) => {
  const text = 'ana.b@example.com paid with 4111 1111 1111 1111 from 192.168.13.77';
  const style = (more: string): string => redact(REDACT_PII.replace('action: redact', `action: redact, redact: ${more}`), [text]);
  t.equal(style('{ style: label }'), '[EMAIL] paid with [CREDIT_CARD] from [IP_ADDRESS]');
  t.match(style('{ style: mask }'), /^a\*\*\*@… paid with \*\*\*\* \*\*\*\* \*\*\*\* 1111 from \*\*\*\.\*\*\*\.\*3\.77$/);
  t.match(style('{ style: mask, keep_last: 2 }'), /\*\*\*\* \*\*\*\* \*\*\*\* \*\*11/);
  const hashed = style('{ style: hash }');
  t.match(hashed, /^\[EMAIL:[0-9a-f]{12}\] paid with \[CREDIT_CARD:[0-9a-f]{12}\]/);
  t.equal(style('{ style: hash }'), hashed, 'a value keeps its hash');
});

const PIECES = ['ana@example.com', 'x.y@mail.example.org', '4111 1111 1111 1111', '078-05-1120', 'GB82 WEST 1234 5698 7654 32', '10.1.2.3', 'call 212 555 0123', `sk-proj-${'a1B2c3D4'.repeat(6)}`, 'the', 'report', '14', 'v1.2.3', '@', 'a@ b', '\n', '日本', '😀', '-----BEGIN PRIVATE KEY-----', 'QUJD'.repeat(30), '.', ','];

t.test('every cut gives the redaction of the whole, and no prefix is taken back', async (t) => {
  fc.assert(fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }), fc.constantFrom(' ', '', ', '), fc.integer(), (parts, glue, cutSeed) => {
    const text = parts.join(glue);
    return redact(REDACT_PII, cutsOf(text, cutSeed, 2)) === redact(REDACT_PII, [text]);
  }), { numRuns: runs(3_000), seed });
  t.pass(`seed ${seed}`);
});

t.test('waits for no more than may match', async (t) => {
  const redactor = redactorOf(REDACT_PII);
  t.equal(redactor.feed('Hello '), 'Hello ');
  t.equal(redactor.feed('wor'), '');
  t.equal(redactor.heldChars, 3);
  t.equal(redactor.feed('ld (x) '), 'world (x) ');
  t.equal(redactor.feed('ana@example.com'), '');
  t.equal(redactor.feed(', and'), '[EMAIL], ');
  t.equal(redactor.replaced, 1);
  t.equal(redactor.flush(), 'and');
  t.equal(redactor.heldChars, 0);
});

t.test('a block lets out what stood before the match, and then nothing', async (t) => {
  const block = REDACT_PII.replace('action: redact', 'action: block');
  for (const pieces of [['to ana@example.com, now'], ['to ana', '@example.com', ', now', ' more'], [...'to ana@example.com, now']]) {
    const redactor = redactorOf(block);
    t.equal(pieces.map((p) => redactor.feed(p)).join('') + redactor.flush(), 'to ', pieces.join('|'));
    t.equal(redactor.blocked, true);
    t.equal(redactor.feed('more') + redactor.flush(), '');
  }
  const last = redactorOf(block);
  t.equal(last.feed('to ana@example.com') + last.flush(), 'to ');
  t.equal(last.blocked, true);
});

t.test('a key without an end is one label, however long', async (t) => {
  const body = 'QUJDREVG'.repeat(5_000);
  const text = `key: -----BEGIN PRIVATE KEY-----\n${body}`;
  t.equal(redact(REDACT_PII, [text]), 'key: [PRIVATE_KEY]');
  t.equal(redact(REDACT_PII, cutsOf(text, 3, 50)), 'key: [PRIVATE_KEY]');
  t.equal(redact(REDACT_PII.replace('action: redact', 'action: redact, redact: { style: hash }'), cutsOf(text, 4, 50)), 'key: [PRIVATE_KEY]', 'too long to be kept for a hash');
});

t.test('a pattern that is only observed makes nothing wait', async (t) => {
  const redactor = redactorOf(REDACT_PII.replace('action: redact', 'action: warn'));
  t.equal(redactor.feed('ana@exa'), 'ana@exa');
  t.equal(redactor.feed('mple.com '), 'mple.com ');
  t.equal(redactor.flush(), '');
});
