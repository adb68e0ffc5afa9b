import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import sharp from 'sharp';
import { preprocessingOps } from '../../src/base/index.js';
import { ImageError, UsageError } from '../../src/errors.js';
import { decodeImage, type ImageFormat, PIXELS_REVISIONS, readImageFile, sniff } from '../../src/images/index.js';
import { assertClose } from '../helpers/close.js';
import { fixture } from '../helpers/fixtures.js';

type Loaded = Record<string, { rgb: string; grayscale: string }>;
const expected = JSON.parse(readFileSync(fixture('images/load_img.json'), 'utf8')) as Loaded;
const picture = (name: string): Buffer => readFileSync(fixture(`images/${name}`));
const formatOf = (bytes: Uint8Array): ImageFormat => {
  const format = sniff(bytes.subarray(0, 1024));
  assert.equal(typeof format, 'string');
  return format as ImageFormat;
};
const decode = (
  bytes: Uint8Array,
  mode: 'photo' | 'keras' = 'photo',
  channels: 1 | 3 = 3,
  size: readonly [number, number] = [13, 17],
) => decodeImage(bytes, formatOf(bytes), { mode, height: size[0], width: size[1], channels });

const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

/** Kinds whose samples Keras's 8-bit pixels are not defined for. */
const DEEP = ['deep.png'];

describe('--image keras gives the pixels of keras.utils.load_img', () => {
  for (const [name, { rgb, grayscale }] of Object.entries(expected)) {
    test(name, async () => {
      const bytes = picture(name);
      if (DEEP.includes(name)) {
        await assert.rejects(decode(bytes, 'keras'), /use --image photo/);
        return;
      }
      if (name.endsWith('.avif')) {
        // Another decoder, another rounding of the same colours.
        const wanted = Buffer.from(rgb, 'base64');
        const off = Array.from(await decode(bytes, 'keras'), (value, i) => Math.abs(value - (wanted[i] ?? 0)));
        assert.ok(mean(off) <= 12, `differs by ${mean(off)} on average`);
        return;
      }
      assert.deepEqual(Buffer.from((await decode(bytes, 'keras')) as Uint8Array), Buffer.from(rgb, 'base64'));
      assert.deepEqual(Buffer.from((await decode(bytes, 'keras', 1)) as Uint8Array), Buffer.from(grayscale, 'base64'));
    });
  }
});

test('photo pixels are those of their revision: whoever moves them raises the mode in PIXELS_REVISIONS', async () => {
  const { revision, pixels } = JSON.parse(readFileSync(fixture('images/photo.json'), 'utf8')) as {
    revision: number;
    pixels: Record<string, string>;
  };
  assert.equal(revision, PIXELS_REVISIONS.photo);
  // Other processors may round otherwise in their vector units.
  const tolerance = process.platform === 'linux' && process.arch === 'x64' ? 0 : 2;
  for (const [name, packed] of Object.entries(pixels)) {
    const wanted = Buffer.from(packed, 'base64');
    const got = await decode(picture(name));
    assertClose(got, wanted, tolerance, name);
  }
});

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0) / values.length;

describe('--image photo', () => {
  for (const name of Object.keys(expected)) {
    test(`${name} decodes in colour and grey`, async () => {
      const bytes = picture(name);
      const colour = await decode(bytes);
      assert.equal(colour.length, 13 * 17 * 3);
      assert.equal((await decode(bytes, 'photo', 1)).length, 13 * 17);
      assert.ok(mean(colour) > 40 && mean(colour) < 230, `mean ${mean(colour)}`);
    });
  }

  test('orientation is applied, alpha is blended on white, 16 bits are scaled', async () => {
    const upright = await sharp(picture('rotated.jpg'))
      .rotate(90)
      .resize(17, 13, { fit: 'fill' })
      .removeAlpha()
      .raw()
      .toBuffer();
    const turned = await decode(picture('rotated.jpg'));
    assert.ok(Math.abs(mean(turned) - mean(upright)) < 2);
    assertClose(turned, upright, 23);
    const blended = await decode(picture('rgba.png'), 'photo', 3, [30, 40]);
    assert.deepEqual(Array.from(blended.subarray(0, 3)), [255, 255, 255], 'clear at its left edge');
    const deep = await decode(picture('deep.png'), 'photo', 1, [30, 40]);
    const shallow = await decode(picture('grey.png'), 'photo', 1, [30, 40]);
    assertClose(deep, shallow, 1);
  });

  test('the same bytes give the same pixels, whatever is decoded beside them', async () => {
    const bytes = picture('rgb.jpg');
    const all = await Promise.all(Array.from({ length: 16 }, () => decode(bytes)));
    for (const one of all) assert.deepEqual(one, all[0]);
  });
});

describe('images that cannot be used', () => {
  for (const name of [
    'rgb.jpg',
    'progressive.jpg',
    'rgb.png',
    'lossy.webp',
    'still.gif',
    'rgb.tif',
    'rgb.avif',
    'rgb.bmp',
  ]) {
    test(`${name} cut off is an error`, async () => {
      const bytes = picture(name);
      for (const share of [0.6, 0.85]) {
        const cut = bytes.subarray(0, Math.floor(bytes.length * share));
        for (const mode of ['photo', 'keras'] as const) {
          await assert.rejects(
            decode(cut, mode),
            (error: Error) => error instanceof ImageError && !error.message.includes('\n'),
          );
        }
      }
    });
  }

  test('a warning of the decoder is not an error', async () => {
    const bytes = picture('rgb.jpg');
    const odd = Buffer.concat([bytes.subarray(0, 2), Buffer.from([0xff, 0xff, 0xff]), bytes.subarray(2)]);
    assert.equal((await decode(odd)).length, 13 * 17 * 3);
    const trailing = Buffer.concat([bytes, Buffer.from('something after the picture')]);
    assert.deepEqual(await decode(trailing), await decode(bytes));
  });

  test('more pixels than the limit are refused by the header, in any format', async () => {
    const png = picture('rgb.png');
    const bomb = await sharp({
      create: { width: 12_000, height: 9_000, channels: 3, background: 'red' },
      limitInputPixels: false,
    })
      .png({ compressionLevel: 9 })
      .toBuffer();
    const before = process.memoryUsage().rss;
    await assert.rejects(decode(bomb), /more than 100 million pixels/);
    await assert.rejects(decode(bomb, 'keras'), /more than 100 million pixels/);
    const bmp = Buffer.from(picture('rgb.bmp'));
    bmp.writeInt32LE(2 ** 30, 18);
    await assert.rejects(decode(bmp), /more than 100 million pixels/);
    assert.ok(process.memoryUsage().rss - before < 200e6);
    assert.ok(png.length > 0);
  });

  test('kinds are told by content', () => {
    const kind = (bytes: Buffer) => sniff(bytes);
    assert.deepEqual(kind(Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1')), {
      unsupported: 'a HEIC picture',
      hint: 'convert it to JPEG, for example with ImageMagick or libvips',
    });
    const unsupported = (bytes: Buffer) => (kind(bytes) as { unsupported: string }).unsupported;
    assert.equal(unsupported(Buffer.from('\0\0\0\x0cjP  \r\n\x87\n', 'latin1')), 'a JPEG 2000 picture');
    assert.equal(unsupported(Buffer.from('\0\0\0\x0cJXL \r\n\x87\n', 'latin1')), 'a JPEG XL picture');
    assert.equal(unsupported(Buffer.from('<?xml version="1.0"?>\n<!-- a --><svg xmlns="x">')), 'an SVG drawing');
    for (const text of ['BM is how this text begins, and it goes on for a while', 'hello', '', '<html><svg>']) {
      assert.equal(kind(Buffer.from(text)), null);
    }
  });

  test('reading: what is no image is left alone, what is named like one is told', async () => {
    const put = (name: string, content: string | Buffer) => {
      writeFileSync(path.join(folder, name), content);
      return { path: name, absolute: path.join(folder, name) };
    };
    assert.equal(await readImageFile(put('README.txt', 'hello')), null);
    assert.equal((await readImageFile(put('unnamed', picture('rgb.png'))))?.format, 'png');
    assert.equal((await readImageFile(put('wrong.gif', picture('rgb.jpg'))))?.format, 'jpeg');
    await assert.rejects(readImageFile(put('text.jpg', 'hello')), /named like an image but is none/);
    await assert.rejects(readImageFile(put('empty.png', '')), /is empty/);
    await assert.rejects(
      readImageFile(put('a.svg', '<svg></svg>')),
      /^ImageError: is an SVG drawing, which is not supported: draw it as PNG/,
    );
    await assert.rejects(readImageFile({ path: 'gone.jpg', absolute: path.join(folder, 'gone.jpg') }), /leads nowhere/);
    await assert.rejects(readImageFile(put('sha.jpg', 'x')), (error: ImageError) => error.sha256?.length === 64);
  });
});

test('preprocessing is that of keras.applications.imagenet_utils', () => {
  const apply = (mode: 'tf' | 'caffe' | 'torch', rgb: number[]): number[] => {
    let values = rgb;
    for (const { op } of preprocessingOps(mode, 3)) {
      if (op.kind === 'ReverseChannels') values = [...values].reverse();
      else if (op.kind === 'Rescaling') {
        const { scale, offset } = op;
        values = values.map((x, i) => x * (scale[i] ?? scale[0] ?? 0) + (offset[i] ?? offset[0] ?? 0));
      }
    }
    return values;
  };
  // keras.applications.imagenet_utils.preprocess_input([10, 100, 200], mode=…)
  assertClose(apply('tf', [10, 100, 200]), [-0.92156863, -0.21568627, 0.5686275], 1e-4);
  assertClose(apply('caffe', [10, 100, 200]), [96.061, -16.779, -113.68], 1e-4);
  assertClose(apply('torch', [10, 100, 200]), [-1.9466565, -0.28501397, 1.681394], 1e-4);
  assert.throws(() => preprocessingOps('torch', 1), UsageError);
});
