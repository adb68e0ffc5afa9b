import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { isSrgb } from '../../src/images/icc.js';
import { decodeImage } from '../../src/images/index.js';

const sRGB = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const PRIMARIES = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
];
const ADOBE = [
  [0.6097, 0.3111, 0.0195],
  [0.2053, 0.6257, 0.0609],
  [0.1492, 0.0632, 0.7446],
];

/** A matrix profile of ICC version 2 with one curve of 1,024 points for all colours. */
function profile(
  primaries: readonly (readonly number[])[],
  light: (value: number) => number,
  extra: string[] = [],
): Buffer {
  const fixed = (values: readonly number[]): Buffer => {
    const data = Buffer.alloc(8 + 4 * values.length);
    data.write('XYZ ');
    for (const [i, value] of values.entries()) data.writeInt32BE(Math.round(value * 65536), 8 + 4 * i);
    return data;
  };
  const curve = Buffer.alloc(12 + 2 * 1024);
  curve.write('curv');
  curve.writeUInt32BE(1024, 8);
  for (let i = 0; i < 1024; i++) curve.writeUInt16BE(Math.round(light(i / 1023) * 65535), 12 + 2 * i);
  const text = Buffer.from('desc\0\0\0\0\0\0\0\x02x\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1');
  const tags: [string, Buffer][] = [
    ['desc', Buffer.concat([text, Buffer.alloc(80)])],
    ['wtpt', fixed([0.9642, 1, 0.8249])],
    ...['r', 'g', 'b'].map((name, i): [string, Buffer] => [`${name}XYZ`, fixed(primaries[i] ?? [])]),
    ...['r', 'g', 'b'].map((name): [string, Buffer] => [`${name}TRC`, curve]),
    ...extra.map((name): [string, Buffer] => [name, Buffer.alloc(16)]),
  ];
  const head = Buffer.alloc(132 + 12 * tags.length);
  head.write('lcms', 4);
  head.writeUInt32BE(0x02100000, 8);
  head.write('mntrRGB XYZ ', 12);
  head.write('acsp', 36);
  for (const [i, value] of [0.9642, 1, 0.8249].entries()) head.writeInt32BE(Math.round(value * 65536), 68 + 4 * i);
  head.writeUInt32BE(tags.length, 128);
  const parts: Buffer[] = [head];
  let at = head.length;
  for (const [i, [name, data]] of tags.entries()) {
    head.write(name, 132 + 12 * i);
    head.writeUInt32BE(at, 136 + 12 * i);
    head.writeUInt32BE(data.length, 140 + 12 * i);
    const padded = Buffer.concat([data, Buffer.alloc(-data.length & 3)]);
    parts.push(padded);
    at += padded.length;
  }
  head.writeUInt32BE(at, 0);
  return Buffer.concat(parts);
}

test('a profile is sRGB by its colours and curves, whatever it is called', () => {
  assert.ok(isSrgb(profile(PRIMARIES, sRGB)));
  assert.ok(!isSrgb(profile(ADOBE, sRGB)), 'other colours');
  assert.ok(!isSrgb(profile(PRIMARIES, (value) => value ** 2.2)), 'a power of 2.2 is up to 7 of 255 off in the dark');
  assert.ok(!isSrgb(profile(PRIMARIES, (value) => value)), 'linear');
  assert.ok(!isSrgb(profile(PRIMARIES, sRGB, ['A2B0'])), 'a table comes before colours');
  const whole = profile(PRIMARIES, sRGB);
  for (let cut = 0; cut < whole.length - 2048; cut += 37) assert.ok(!isSrgb(whole.subarray(0, cut)), `cut at ${cut}`);
});

test('plain sRGB leaves pixels as they are; any other profile is applied', async () => {
  const raw = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => (i * 89) % 256);
  const pixels = async (icc?: Buffer): Promise<Uint8Array> => {
    const png = await sharp(raw, { raw: { width: 40, height: 30, channels: 3 } })
      .png()
      .toBuffer();
    // The profile is put in front of the pixels, since sharp writes only files of profiles.
    const bytes = icc ? withProfile(png, icc) : png;
    return (await decodeImage(bytes, 'png', { mode: 'photo', height: 30, width: 40, channels: 3 })) as Uint8Array;
  };
  assert.deepEqual(Buffer.from(await pixels()), Buffer.from(raw));
  assert.deepEqual(Buffer.from(await pixels(profile(PRIMARIES, sRGB))), Buffer.from(raw));
  const adobe = await pixels(profile(ADOBE, (value) => value ** (563 / 256)));
  const moved = adobe.reduce((sum, value, i) => sum + Math.abs(value - (raw[i] ?? 0)), 0) / raw.length;
  assert.ok(moved > 3, `Adobe RGB moves colours by ${moved}`);
});

/** A PNG with an iCCP chunk behind its header. */
function withProfile(png: Buffer, icc: Buffer): Buffer {
  const data = Buffer.concat([Buffer.from('x\0\0', 'latin1'), deflateSync(icc)]);
  const name = Buffer.from('iCCP');
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length, 0);
  name.copy(chunk, 4);
  data.copy(chunk, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}
