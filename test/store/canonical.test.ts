import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  byCodePoint,
  canonicalJson,
  crc32c,
  fingerprint,
  type Json,
  KeySet,
  sha256Hex,
} from '../../src/store/index.js';
import { hex, key } from '../helpers/store.js';

test('canonical JSON sorts keys by code point and leaves no spaces', () => {
  assert.equal(
    canonicalJson({ b: [1, 2.5, null, true], a: { z: 'x y', é: 1e-7 } }),
    '{"a":{"z":"x y","é":1e-7},"b":[1,2.5,null,true]}',
  );
  // By UTF-16 unit U+1F600 (D83D …) would come before U+FF21.
  assert.equal(canonicalJson({ '\u{1f600}': 1, '\uff21': 2, a: 3, ab: 4 }), '{"a":3,"ab":4,"\uff21":2,"\u{1f600}":1}');
  assert.equal(canonicalJson(-0), '0');
  assert.equal(canonicalJson(JSON.parse('{"__proto__":1}') as Json), '{"__proto__":1}');
});

test('what JSON cannot hold is refused', () => {
  assert.throws(() => canonicalJson(Number.NaN), TypeError);
  assert.throws(() => canonicalJson({ a: Number.POSITIVE_INFINITY }), TypeError);
  assert.throws(() => canonicalJson({ a: undefined } as unknown as Json), TypeError);
  assert.throws(() => canonicalJson(JSON.parse('['.repeat(5000) + ']'.repeat(5000)) as Json), TypeError);
});

test('the fingerprint is the one Python makes', () => {
  // hashlib.sha256(json.dumps(spec, sort_keys=True, separators=(",", ":")).encode()).hexdigest(), Python 3.12
  const spec = { format: 1, features: 8, type: 'float32', base: 'fixture' } as const;
  assert.equal(fingerprint(spec), 'f1a652bfe1e0fd6ad8228703d9571cb6e6dedaae4974ecd0ef72308e7e89995f');
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('CRC-32C of the vectors of RFC 3720, B.4', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e);
  assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c);
});

test('CRC-32C does not depend on alignment, and continues', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 37) & 255);
  const whole = crc32c(bytes);
  for (let offset = 0; offset < 9; offset++) {
    const moved = new Uint8Array(120);
    moved.set(bytes, offset);
    assert.equal(crc32c(moved.subarray(offset, offset + 100)), whole);
    assert.equal(crc32c(bytes.subarray(offset), crc32c(bytes.subarray(0, offset))), whole);
  }
});

test('a key set holds what was added, through its growth', () => {
  const keys = new KeySet();
  for (let i = 0; i < 20_000; i++) assert.equal(keys.add(i % 2 ? key(i) : hex(i)), i);
  assert.equal(keys.add(key(7)), 7);
  assert.equal(keys.size, 20_000);
  for (let i = 0; i < 20_000; i += 97) {
    assert.equal(keys.indexOf(hex(i)), i);
    assert.deepEqual(Buffer.from(keys.at(i)), Buffer.from(key(i)));
  }
  for (let i = 20_000; i < 21_000; i++) assert.equal(keys.has(key(i)), false);
  // Keys that agree in all but the last byte share a place in the table.
  const near = [0, 1, 2].map((last) => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? last : 9)));
  assert.equal(new KeySet(near).size, 3);
});

test('what is no key is refused', () => {
  const keys = new KeySet();
  for (const bad of ['', 'ab', 'x'.repeat(64), `${'ab'.repeat(32)}0`, new Uint8Array(31), new Uint8Array(33)]) {
    assert.throws(() => keys.has(bad), TypeError);
  }
});

test('keys are put in order by all of their bytes', () => {
  // 1,500 that begin alike in one, four or 31 bytes, so that the leading bits do not decide.
  const all = Array.from({ length: 1500 }, (_, i) => {
    const digest = sha256Hex(`key ${i}`);
    const same = [2, 8, 62][i % 3] as number;
    return 'ab'.repeat(same / 2) + digest.slice(same);
  });
  const keys = new KeySet(all);
  const distinct = [...new Set(all)];
  assert.deepEqual(
    Array.from(keys.order(), (index) => Buffer.from(keys.at(index)).toString('hex')),
    [...distinct].sort(),
  );
  assert.deepEqual([...new KeySet().order()], []);
});

test('strings are ordered by code point, whatever their halves are', () => {
  const texts = [
    '',
    'a',
    'ab',
    'b',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{1F600}',
    '\u{1F600}a',
    '\u{10000}',
    '\ud83d',
    '\ud83da',
  ];
  const points = (text: string): number[] => Array.from(text, (one) => one.codePointAt(0) as number);
  const slow = (a: string, b: string): number => {
    const [x, y] = [points(a), points(b)];
    const at = x.findIndex((point, i) => point !== y[i]);
    return at < 0 ? x.length - y.length : (x[at] as number) - (y[at] ?? -1);
  };
  for (const a of texts) {
    for (const b of texts) assert.equal(Math.sign(byCodePoint(a, b)), Math.sign(slow(a, b)), JSON.stringify([a, b]));
  }
});
