/** A configured key is in no answer to a refusal, however it is cut; all else is there byte for byte. */
import fc from 'fast-check';
import t from 'tap';
import { KeyShield } from '../../src/proxy/key-shield.ts';
import { ProxyUnderTest } from '../helpers/proxy.ts';
import { chunk, head, LAST_CHUNK, type Script } from '../helpers/upstream.ts';
import { cutsOf, runs, seed } from '../helpers/runs.ts';

const KEY = 'sk-made-up-upstream-0123';
const MASK = '*'.repeat(KEY.length);
/** Cut between characters, since each part is encoded by itself. */
const charactersOf = (text: string, cut: number): readonly string[] => cutsOf('x'.repeat([...text].length), cut).map(((at: number) => (part: string) => [...text].slice(at, (at += part.length)).join(''))(0));

t.test('any text, any cut: the key is masked, nothing else changes, nothing is kept back at the end', async () => {
  const piece = fc.oneof(fc.constantFrom(KEY, KEY.slice(0, 5), KEY.slice(0, -1), KEY.slice(3), 's', 'sk-', '"'), fc.string({ maxLength: 8 }));
  fc.assert(fc.property(fc.array(piece, { maxLength: 12 }), fc.nat(), (pieces, cut) => {
    const text = pieces.join('').toWellFormed();
    const shield = new KeyShield(KEY);
    let fed = 0;
    let left = 0;
    const parts = charactersOf(text, cut).map((part) => {
      const free = shield.feed(Buffer.from(part));
      fed += Buffer.byteLength(part);
      left += free.length;
      if (fed - left >= KEY.length) throw new Error('more is held than may be a key');
      return free;
    });
    return Buffer.concat([...parts, shield.flush()]).toString() === text.replaceAll(KEY, MASK);
  }), { numRuns: runs(2_000), seed });
});

t.test('an upstream that repeats the key it refuses', async (t) => {
  const body = JSON.stringify({ error: { message: `Incorrect API key provided: ${KEY}.`, type: 'invalid_request_error' } });
  const scripts: Readonly<Record<string, Script>> = {
    whole: (socket) => void socket.write(head(401, { 'content-type': 'application/json', 'x-refused': `Bearer ${KEY}`, 'content-length': String(body.length) }) + body),
    'in pieces': (socket) => {
      socket.write(head(500, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' }));
      for (const part of cutsOf(body, 7)) socket.write(chunk(part));
      socket.write(LAST_CHUNK);
    },
  };
  for (const [name, script] of Object.entries(scripts)) {
    const proxy = await ProxyUnderTest.start({ script, apiKey: KEY });
    t.teardown(() => proxy.close());
    const response = await fetch(`http://127.0.0.1:${proxy.port}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] }) });
    t.equal(response.status, name === 'whole' ? 401 : 500);
    t.equal(await response.text(), body.replace(KEY, MASK), name);
    t.notMatch(JSON.stringify([...response.headers]), KEY);
    t.match(JSON.stringify(proxy.upstream.received[0]!.headers), KEY, 'it was sent');
  }
});
