import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { collectGarbage, type GcOptions, verifySets } from '../../src/commands/cache/index.js';
import { thumbnails } from '../../src/extract/thumbnails.js';
import { decodeBoth, decodeImage } from '../../src/images/index.js';
import { thumbnail } from '../../src/images/thumbnail.js';
import { features } from '../../src/index.js';
import { realSystem } from '../../src/store/index.js';
import { encodeThumbnails, ThumbnailStore } from '../../src/store/thumbnails.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';
import { pictures } from '../helpers/pictures.js';
import { folder, hex } from '../helpers/store.js';

const TINY = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf', threads: 1 } as const;
const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
const imagesOf = (data: string) =>
  readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\d\.png$/.test(name))
    .map((name) => ({ path: path.join(data, name), sha256: hashOf(path.join(data, name)) }));
const partsOf = (cache: string): string[] => readdirSync(path.join(cache, 'thumbnails')).sort();

test('a thumbnail is upright, at most 128 pixels a side, never enlarged, white behind alpha, the same bytes each time', async () => {
  for (const name of ['rotated.jpg', 'rgba.png', 'grey.png', 'rgb.jpg']) {
    const file = fixture(`images/${name}`);
    const bytes = readFileSync(file);
    const format = name.endsWith('jpg') ? 'jpeg' : 'png';
    const webp = await thumbnail(bytes, format);
    assert.deepEqual(webp, await thumbnail(bytes, format));
    const found = await sharp(webp).metadata();
    const { autoOrient } = await sharp(bytes).metadata();
    const scale = Math.min(1, 128 / Math.max(autoOrient.width, autoOrient.height));
    assert.deepEqual(
      [found.format, found.width, found.height, found.hasAlpha],
      ['webp', Math.round(autoOrient.width * scale), Math.round(autoOrient.height * scale), false],
    );
  }
  const large = await sharp({
    create: { width: 900, height: 300, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  })
    .png()
    .toBuffer();
  const { data, info } = await sharp(await thumbnail(large, 'png'))
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height], [128, 43]);
  assert.ok(
    data.every((value) => value > 250),
    'white',
  );
});

test('decoded with the pixels of a base, both are what they are alone', async () => {
  for (const mode of ['photo', 'keras'] as const) {
    const bytes = readFileSync(fixture('images/rgb.jpg'));
    const options = { mode, height: 24, width: 20, channels: 3 } as const;
    const { pixels, small } = await decodeBoth(bytes, 'jpeg', options, 16);
    assert.deepEqual(pixels, await decodeImage(bytes, 'jpeg', options));
    assert.ok(Math.max(small.width, small.height) <= 16);
  }
});

test('features makes them while it decodes; missing ones are made on demand; the same contents are the same parts', async (t) => {
  const data = await pictures(t, 6);
  const [work, other] = [await folder(t), await folder(t)];
  await features({ ...TINY, data, cache: work, thumbnails: true });
  await features({ ...TINY, data, cache: other });
  const images = imagesOf(data);
  const found = await thumbnails(work, images);
  assert.equal(found.size, 6);
  assert.ok(!existsSync(path.join(other, 'thumbnails')));
  assert.deepEqual(await thumbnails(other, images.reverse()), new Map([...found].reverse()));
  assert.deepEqual(partsOf(other), partsOf(work));
  // What has vectors already gets its picture from a later run.
  rmSync(path.join(other, 'thumbnails'), { recursive: true });
  const again = await features({ ...TINY, data, cache: other, thumbnails: true });
  assert.deepEqual([again.extracted, again.reused], [0, 6]);
  assert.deepEqual(partsOf(other), partsOf(work));
  const before = partsOf(work);
  await features({ ...TINY, data, cache: work, thumbnails: true });
  assert.deepEqual(partsOf(work), before, 'nothing is made twice');
});

test('what is damaged is told of and made again; what is gone, or has become another, is missing', async (t) => {
  const data = await pictures(t, 4);
  const cache = await folder(t);
  const images = imagesOf(data);
  const whole = await thumbnails(cache, images);
  const [name = ''] = partsOf(cache);
  const part = path.join(cache, 'thumbnails', name);
  const bytes = readFileSync(part);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  writeFileSync(part, bytes);
  const told: string[] = [];
  assert.deepEqual(await thumbnails(cache, images, { onDamaged: ({ message }) => told.push(message) }), whole);
  assert.match(
    told[0] ?? '',
    /part-[0-9a-f]{32}\.arrow is damaged: its bytes are not those that its name stands for; delete it/,
  );
  rmSync(path.join(cache, 'thumbnails'), { recursive: true });
  rmSync(images[0]?.path ?? '');
  copyFileSync(images[2]?.path ?? '', images[1]?.path ?? '');
  assert.deepEqual(
    [...(await thumbnails(cache, images)).keys()].sort(),
    images
      .slice(2)
      .map(({ sha256 }) => sha256)
      .sort(),
  );
});

test('a cache that cannot be written costs no picture', { skip: process.getuid?.() === 0 }, async (t) => {
  const data = await pictures(t, 2);
  const cache = await folder(t);
  chmodSync(cache, 0o500);
  t.after(() => chmodSync(cache, 0o700));
  const told: string[] = [];
  assert.equal((await thumbnails(cache, imagesOf(data), { onWarning: (message) => told.push(message) })).size, 2);
  assert.match(told.join(), /small pictures are not kept/);
});

test('rows that are no hash and WebP are damage, whatever the name says; parts made otherwise are not read', async (t) => {
  const cache = await folder(t);
  const webp = await sharp({ create: { width: 2, height: 2, channels: 3, background: 'red' } })
    .webp()
    .toBuffer();
  const store = await ThumbnailStore.open(cache, 'a');
  await store.add(hex(1), webp);
  await store.flush();
  const { name, bytes } = encodeThumbnails([{ sha256: hex(2), webp: Buffer.from('no picture') }], 'a');
  writeFileSync(path.join(store.dir, name), bytes);
  const told: string[] = [];
  const again = await ThumbnailStore.open(cache, 'a', { onDamaged: ({ message }) => told.push(message) });
  assert.match(told.join(), /row 0 holds no hash and WebP picture/);
  assert.deepEqual([again.has(hex(1)), again.has(hex(2))], [true, false]);
  assert.equal((await ThumbnailStore.open(cache, 'b')).has(hex(1)), false);
});

test('features --thumbnails: the command', async (t) => {
  const data = await pictures(t, 2);
  const cache = await folder(t);
  const args = ['--base', TINY.base, '--layer', 'maps', '--preprocess', 'tf'];
  const { code, stderr } = await permafrost(
    ['features', '--data', data, '--cache', cache, ...args, '--thumbnails'],
    cache,
  );
  assert.equal(code, 0, stderr);
  assert.equal(partsOf(cache).length, 1);
});

test('verify finds damaged small pictures, and its repair deletes them; gc takes them out first where a cache is too large', async (t) => {
  const data = await pictures(t, 4);
  const cache = await folder(t);
  const { set } = await features({ ...TINY, data, cache, thumbnails: true });
  const listed = await permafrost(['cache', 'ls', '--cache', cache], cache);
  assert.match(listed.stdout, /small pictures: 1 part, \d/);
  const [sound, small] = await verifySets(cache);
  assert.deepEqual([sound?.set, small?.set, small?.parts, small?.rows, small?.damaged], [set, 'thumbnails', 1, 4, []]);
  const [name = ''] = partsOf(cache);
  const part = path.join(cache, 'thumbnails', name);
  writeFileSync(part, readFileSync(part).subarray(0, -9));
  const told = await permafrost(['cache', 'verify', '--cache', cache], cache);
  assert.equal(told.code, 1);
  assert.match(told.stderr, /thumbnails: 1 part, 0 sound rows, 1 damaged part\n/);
  const [, mended] = await verifySets(cache, { repair: true });
  assert.deepEqual([mended?.damaged.length, mended?.repaired], [1, true]);
  assert.deepEqual(partsOf(cache), []);
  await features({ ...TINY, data, cache, thumbnails: true });
  writeFileSync(path.join(cache, 'thumbnails', `_tmp-${realSystem.host}-99999999-0123456789ab`), 'left');
  const kinds = async (options: GcOptions): Promise<string[]> =>
    (await collectGarbage(cache, options)).garbage.map(({ kind }) => kind);
  assert.deepEqual(await kinds({}), ['temporary']);
  const { size, garbage } = await collectGarbage(cache, { maxSize: 1 });
  assert.equal(garbage[0]?.kind, 'thumbnails');
  assert.deepEqual(await kinds({ maxSize: size - 1, yes: true }), ['thumbnails']);
  assert.ok(!existsSync(path.join(cache, 'thumbnails')));
  assert.equal((await thumbnails(cache, imagesOf(data))).size, 4, 'they are made again');
});
