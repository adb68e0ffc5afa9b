import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { FeatureSet, features } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { countFiles, readImage, walk } from '../../src/sources/index.js';
import { permafrost } from '../helpers/cli.js';
import { fixture, root } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { mutate } from '../helpers/mutate.js';
import { folder } from '../helpers/store.js';

const BASE = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf' } as const;
const FLAGS = ['--base', BASE.base, '--layer', 'maps', '--preprocess', 'tf', '--json'];
const MEMORY = 1.5e9;

const originals = readdirSync(fixture('images')).filter((name) => !name.endsWith('.json'));
const bytesOf = (name: string): Buffer => readFileSync(fixture(`images/${name}`));

/** Runs `features` as a user does. @returns its JSON, the quarantine and the peak of resident memory in bytes */
async function extract(work: string, data: string, more: readonly string[] = []) {
  const cache = path.join(work, `cache${more.join('')}`);
  const rss = path.join(work, 'rss');
  const started = performance.now();
  const done = await permafrost(['features', '--data', data, '--cache', cache, ...FLAGS, ...more], work, {
    NODE_OPTIONS: `--import ${path.join(root, 'dist/bench/rss.js')}`,
    PERMAFROST_RSS: rss,
  });
  assert.equal(done.code, 0, done.stderr.slice(-2000));
  const result = JSON.parse(done.stdout) as Record<'images' | 'extracted' | 'reused' | 'quarantined', number> & {
    dir: string;
  };
  const quarantine = (await (await FeatureSet.open(result.dir)).quarantine()).entries();
  return {
    ...result,
    quarantine,
    rss: Number(readFileSync(rss, 'utf8')),
    ms: performance.now() - started,
    stderr: done.stderr,
  };
}

describe('mutants of real images', () => {
  for (const image of ['photo', 'keras'] as const) {
    test(`each is extracted or put aside with a reason: --image ${image}`, async (t) => {
      const work = await folder(t);
      const data = path.join(work, 'data');
      mkdirSync(data);
      const random = new Random(`hostile ${image}`);
      const count = long ? 5000 : 500;
      for (let i = 0; i < count; i++) {
        const name = originals[i % originals.length] as string;
        const other = bytesOf(originals[random.below(originals.length)] as string);
        writeFileSync(path.join(data, `${i}-${name}`), mutate(bytesOf(name), random, other));
      }
      const { images, extracted, reused, quarantined, quarantine, rss, ms } = await extract(work, data, [
        '--image',
        image,
      ]);
      assert.equal(images, count);
      assert.ok(extracted + reused + quarantined > count * 0.95, 'mutants are nearly all of different content');
      assert.ok(extracted > count / 20 && quarantined > count / 4, `${extracted} extracted, ${quarantined} put aside`);
      assert.equal(quarantine.length, quarantined);
      for (const { path, message } of quarantine)
        assert.ok(message.length > 5 && message.length < 300, `${path}: ${message}`);
      assert.ok(rss < MEMORY, `${(rss / 1e6).toFixed(0)} MB`);
      t.diagnostic(
        `${extracted} extracted, ${quarantined} put aside, ${(rss / 1e6).toFixed(0)} MB, ${(ms / 1000).toFixed(1)} s`,
      );
    });
  }
});

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** A PNG whose header says another size, with the right checksum. */
function resized(png: Buffer, width: number, height: number): Buffer {
  const bytes = Buffer.from(png);
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

const blank = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: 'red' } }).png({ compressionLevel: 9, palette: false });

test('huge pictures in tiny files: decoded within the memory, or put aside by their header', async (t) => {
  const work = await folder(t);
  const data = path.join(work, 'data');
  mkdirSync(data);
  const put = (name: string, bytes: Buffer): void => writeFileSync(path.join(data, name), bytes);
  put('wide.png', await blank(30_000, 3).toBuffer());
  put('bomb.png', resized(await blank(10, 10).toBuffer(), 2 ** 31 - 1, 2 ** 31 - 1));
  put('bomb-2.png', resized(await blank(10, 10).toBuffer(), 50_000, 50_000));
  // 81 million pixels each in under 300 kB, side by side: interlaced and in other ways not to be had a line at a time.
  const large = await blank(9000, 9000).toBuffer();
  assert.ok(large.length < 1e6);
  const text = (i: number) => Buffer.concat([large, Buffer.from(`${i}`)]);
  for (let i = 0; i < (long ? 12 : 3); i++) put(`large-${i}.png`, text(i));
  put('large.webp', await sharp(large).webp({ effort: 0, lossless: false }).toBuffer());
  put('large.jpg', await sharp(large).jpeg({ progressive: true, quality: 20 }).toBuffer());
  const rle = Buffer.alloc(60);
  rle.write('BM');
  rle.writeUInt32LE(54, 10);
  rle.writeUInt32LE(40, 14);
  rle.writeInt32LE(9999, 18);
  rle.writeInt32LE(9999, 22);
  rle.writeUInt16LE(1, 26);
  rle.writeUInt16LE(8, 28);
  rle.writeUInt32LE(1, 30);
  put('rle.bmp', rle);
  for (const image of ['photo', 'keras']) {
    const { quarantine, extracted, quarantined, rss, ms } = await extract(work, data, ['--image', image]);
    assert.ok(rss < MEMORY, `${image}: ${(rss / 1e6).toFixed(0)} MB`);
    const aside = quarantine.map(({ path, message }) => `${path} ${message}`).join('\n');
    for (const name of ['bomb.png', 'bomb-2.png'])
      assert.match(aside, new RegExp(`${name} .*(million pixels|decoded)`));
    assert.doesNotMatch(aside, /wide|large/);
    t.diagnostic(
      `${image}: ${extracted} extracted, ${quarantined} put aside, ${(rss / 1e6).toFixed(0)} MB, ${(ms / 1000).toFixed(1)} s`,
    );
  }
});

test('a picture that loads other files loads none', async (t) => {
  const work = await folder(t);
  const data = path.join(work, 'data');
  mkdirSync(data);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file://${fixture('images/rgb.png')}" width="9" height="9"/></svg>`;
  writeFileSync(path.join(data, 'a.svg'), svg);
  writeFileSync(path.join(data, 'b.png'), ` ${svg}`);
  writeFileSync(path.join(data, 'c.gif'), `GIF89a${svg}`);
  writeFileSync(path.join(data, 'd.svg'), Buffer.from(`\ufeff<?xml version="1.0"?>${svg}`, 'utf16le'));
  const { extracted, quarantined } = await extract(work, data);
  assert.deepEqual([extracted, quarantined], [0, 4]);
});

test('names, links, pipes and sockets of every kind', {
  skip: process.platform === 'win32' && 'needs Unix',
}, async (t) => {
  const work = await folder(t);
  const data = path.join(work, 'data');
  const outside = path.join(work, 'outside');
  mkdirSync(path.join(data, 'dir.jpg'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'secret.png'), bytesOf('palette.png'));
  const put = (name: string | Buffer, picture: string): void =>
    writeFileSync(
      Buffer.concat([Buffer.from(`${data}/`), Buffer.isBuffer(name) ? name : Buffer.from(name)]),
      bytesOf(picture),
    );
  put('line\nbreak\x1b[2J.png', 'rgb.png');
  put('dir.jpg/in a folder.jpg', 'rgb.jpg');
  // APFS takes no such names, Linux does.
  const latin1 = process.platform === 'linux';
  if (latin1) {
    const name = Buffer.from('caf\xe9', 'latin1');
    put(Buffer.concat([name, Buffer.from('.png')]), 'grey.png');
    mkdirSync(Buffer.concat([Buffer.from(`${data}/`), name]));
    put(Buffer.concat([name, Buffer.from('/deep.gif')]), 'still.gif');
  }
  symlinkSync('.', path.join(data, 'circle'));
  symlinkSync('/', path.join(data, 'disk'));
  symlinkSync('..', path.join(data, 'up'));
  symlinkSync(outside, path.join(data, 'aside'));
  symlinkSync('loop-b.png', path.join(data, 'loop-a.png'));
  symlinkSync('loop-a.png', path.join(data, 'loop-b.png'));
  symlinkSync('/dev/zero', path.join(data, 'zero.png'));
  symlinkSync('/dev/zero', path.join(data, 'zero'));
  execFileSync('mkfifo', [path.join(work, 'pipe'), path.join(data, 'fifo.png')]);
  symlinkSync(path.join(work, 'pipe'), path.join(data, 'pipe.png'));
  writeFileSync(path.join(data, 'empty.png'), '');
  const server = createServer().listen(path.join(data, 'socket.png'));
  t.after(() => server.close());
  const { extracted, quarantine, images, stderr } = await extract(work, data);
  assert.equal(extracted, latin1 ? 4 : 2);
  const reasons = new Map(quarantine.map(({ path, message }) => [path, message]));
  assert.deepEqual([...reasons.keys()].sort(), ['empty.png', 'loop-a.png', 'loop-b.png', 'pipe.png', 'zero.png']);
  assert.match(reasons.get('zero.png') ?? '', /a device/);
  assert.equal(images, extracted + 5);
  for (const name of ['disk/', 'up/', 'aside/']) assert.match(stderr, new RegExp(`^${name} is a link out`, 'm'));
  assert.ok(!stderr.includes('\x1b'), 'a name moves no cursor');
  const again = await extract(work, data);
  assert.equal(again.extracted, 0);
  assert.equal(again.reused, latin1 ? 4 : 2);
});

test('a file that shrinks, grows or vanishes while it is found costs only itself', async (t) => {
  const work = await folder(t);
  const data = path.join(work, 'data');
  mkdirSync(data);
  const names = ['a.png', 'b.png', 'c.png', 'd.png'];
  for (const name of names)
    writeFileSync(path.join(data, name), Buffer.concat([bytesOf('rgb.png'), Buffer.from(name)]));
  const found = [];
  for await (const file of walk(data)) found.push(file);
  truncateSync(path.join(data, 'a.png'), 100);
  appendFileSync(path.join(data, 'b.png'), Buffer.alloc(2 ** 20 + 5));
  rmSync(path.join(data, 'c.png'));
  const read = await Promise.allSettled(found.map((file) => readImage(file)));
  assert.deepEqual(
    read.map((result) => (result.status === 'fulfilled' ? result.value?.bytes.length : (result.reason as Error).name)),
    [100, bytesOf('rgb.png').length + 5 + 2 ** 20 + 5, 'ImageError', bytesOf('rgb.png').length + 5],
  );
  // What was read of it is its content: the whole of it is another, and is extracted when it is there.
  const cache = path.join(work, 'cache');
  const first = await features({ ...BASE, data, cache });
  assert.deepEqual([first.extracted, first.quarantined], [2, 1]);
  writeFileSync(path.join(data, 'a.png'), bytesOf('rgb.png'));
  const second = await features({ ...BASE, data, cache });
  assert.deepEqual([second.extracted, second.reused, second.quarantined], [1, 2, 0]);
  assert.equal(await countFiles(data), 3);
});
