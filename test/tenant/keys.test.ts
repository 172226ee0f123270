/** The form of a key: what is generated parses, what is mistyped does not. */
import fc from 'fast-check';
import t from 'tap';
import { generateKey, keyDigest, parseKey } from '../../src/tenant/keys.ts';

t.test('a generated key has its form, parses, and no two are the same', (t) => {
  const keys = Array.from({ length: 200 }, () => generateKey());
  for (const key of keys) {
    t.match(key, /^weir_[0-9A-Za-z]{49}$/);
    t.equal(parseKey(key), key);
  }
  t.equal(new Set(keys).size, keys.length);
  t.end();
});

t.test('all 256 bits are in the key', (t) => {
  const of = (fill: number): string => generateKey(() => Buffer.alloc(32, fill));
  t.match(of(0), /^weir_0{43}/);
  t.equal(of(255).length, of(0).length);
  const bits = new Set<string>();
  for (let bit = 0; bit < 256; bit++) {
    const bytes = Buffer.alloc(32);
    bytes[bit >> 3] = 1 << (bit & 7);
    bits.add(generateKey(() => bytes));
  }
  t.equal(bits.size, 256);
  t.end();
});

t.test('a key with one character changed, left out or added is not a key', (t) => {
  const key = generateKey();
  fc.assert(fc.property(fc.integer({ min: 0, max: key.length - 1 }), fc.constantFrom(...'0aZ_- é'), (at, character) => {
    fc.pre(key[at] !== character);
    return parseKey(key.slice(0, at) + character + key.slice(at + 1)) === undefined
      && parseKey(key.slice(0, at) + key.slice(at + 1)) === undefined
      && parseKey(key.slice(0, at) + character + key.slice(at)) === undefined;
  }));
  t.equal(parseKey(''), undefined);
  t.end();
});

t.test('the digest is SHA-256 in lower-case hexadecimal', (t) => {
  t.equal(keyDigest('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  t.end();
});
