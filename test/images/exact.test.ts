import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { ImageError } from '../../src/errors.js';
import { decodeImage, type ImageFormat, type ImageMode, sniff } from '../../src/images/index.js';
import { Random } from '../../src/random.js';
import { fixture, needsShared, shared } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { needsPython, python } from '../helpers/peers.js';

const run = promisify(execFile);
const needsPillow = needsPython('PIL', 'numpy');
const needsBoth = needsShared.skip ? needsShared : needsPillow;

const decode = async (bytes: Uint8Array, mode: ImageMode, height: number, width: number) => {
  const format = sniff(bytes.subarray(0, 1024));
  if (typeof format !== 'string') throw new ImageError('sniff', `is ${format?.unsupported}: ${format?.hint}`);
  return decodeImage(bytes, format as ImageFormat, { mode, height, width, channels: 3 });
};
const digest = (pixels: Uint8Array | Float32Array): string => createHash('sha256').update(pixels).digest('hex');

interface Odd {
  readonly keras: { readonly width: number; readonly height: number; readonly sha256: string } | null;
  readonly photo: string | null;
}
const odd = JSON.parse(readFileSync(fixture('odd/expected.json'), 'utf8')) as Record<string, Odd>;
/** Decoders of AVIF round colours each in their own way, as do Pillow's conversion of YCbCr and LittleCMS's of Lab: by how much. */
const NEARLY: Readonly<Record<string, number>> = {
  'avif_orientation6.avif': 3,
  'avif_two_frames.avif': 3,
  'tiff_ycbcr.tif': 2,
  'tiff_lab.tif': 6,
};

describe('kinds that decoders get wrong', () => {
  for (const [name, { keras, photo }] of Object.entries(odd)) {
    const bytes = readFileSync(fixture(`odd/${name}`));

    test(`${name}: --image keras is load_img, or it is refused`, async () => {
      if (keras === null) {
        await assert.rejects(decode(bytes, 'keras', 20, 24), /: (fetch|use|convert|scale) .+/);
        return;
      }
      const pixels = await decode(bytes, 'keras', keras.height, keras.width);
      if (!(name in NEARLY)) assert.equal(digest(pixels), keras.sha256);
    });

    test(`${name}: --image photo is Pillow's picture, or it is put aside`, async () => {
      if (photo === null) {
        await assert.rejects(decode(bytes, 'photo', 20, 24), (error: Error) => {
          assert.ok(error instanceof ImageError);
          assert.match(error.message, /: (fetch|convert|scale) .+/, 'it says what to do');
          return true;
        });
        return;
      }
      const wanted = Buffer.from(photo, 'base64');
      const pixels = await decode(bytes, 'photo', 20, 24);
      const most = NEARLY[name] ?? 0;
      assert.equal(pixels.length, wanted.length);
      assert.ok(pixels.every((value, i) => Math.abs(value - (wanted[i] ?? 0)) <= most));
    });
  }
});

interface Drawn {
  readonly name: string;
  readonly width?: number;
  readonly height?: number;
  readonly sha256?: string;
}
/** What differs on purpose: see docs/bases.md. */
const ON_PURPOSE: readonly { readonly names: RegExp; readonly reason: RegExp }[] = [
  { names: /^pnm_[25]_(256|1000|65535)/, reason: /16 bits, whose values Keras cuts off at 255/ },
  { names: /^tiff_ycbcr_None/, reason: /^other pixels$/ },
];

describe('hundreds of pictures that Pillow writes', needsPillow, () => {
  let data: string;
  let drawn: readonly Drawn[];
  before(async () => {
    data = await mkdtemp(path.join(tmpdir(), 'permafrost-test-'));
    const { stdout } = await run(python, [fixture('draw_images.py'), data], { maxBuffer: 2 ** 26 });
    drawn = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Drawn);
    assert.ok(drawn.length > 600, `${drawn.length} pictures`);
  });

  after(() => rm(data, { recursive: true }));

  for (const kind of ['png', 'webp', 'jpeg', 'tiff', 'gif', 'pnm', 'bmp']) {
    test(`--image keras equals load_img: ${kind}`, async () => {
      let equal = 0;
      for (const { name, width, height, sha256 } of drawn.filter((one) => one.name.startsWith(kind))) {
        if (!width || !height || !sha256) continue;
        const found = await decode(await readFile(path.join(data, name)), 'keras', height, width).then(
          (pixels) => (digest(pixels) === sha256 ? 'equal' : 'other pixels'),
          (error: Error) => error.message,
        );
        if (found === 'equal') equal++;
        else assert.match(found, ON_PURPOSE.find(({ names }) => names.test(name))?.reason ?? /^equal$/, name);
      }
      assert.ok(equal >= 25, `${equal} are equal`);
    });
  }

  test('cut anywhere, each is put aside or has all its pixels', async () => {
    const random = new Random('cut');
    let refused = 0;
    for (const { name, width = 37, height = 29, sha256 } of drawn) {
      if (!sha256 || random.below(3) > 0) continue;
      const bytes = await readFile(path.join(data, name));
      const whole = await decode(bytes, 'keras', height, width).catch(() => null);
      if (!whole) continue;
      const cut = bytes.subarray(0, bytes.length - 1 - random.below(bytes.length >> 1));
      const pixels = await decode(cut, 'keras', height, width).catch((error: Error) => {
        assert.ok(error instanceof ImageError, `${name}: ${error.stack}`);
        refused++;
        return null;
      });
      if (pixels) assert.deepEqual(pixels, whole, `${name} cut at ${cut.length} of ${bytes.length}`);
    }
    assert.ok(refused > 100, `${refused} are refused`);
  });
});

describe('JPEGs with 64 bytes overwritten', needsBoth, () => {
  test('nothing is accepted in the keras mode that load_img refuses; what is, has its pixels', async (t) => {
    const data = await mkdtemp(path.join(tmpdir(), 'permafrost-test-'));
    t.after(() => rm(data, { recursive: true }));
    const count = long ? '240' : '60';
    const { stdout } = await run(python, [
      fixture('overwrite_jpegs.py'),
      shared('real/hymenoptera/train'),
      data,
      count,
    ]);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.length, Number(count));
    const tally = { equal: 0, refused: 0 };
    for (const { name, width = 8, height = 8, sha256 } of lines.map((line) => JSON.parse(line) as Drawn)) {
      const pixels = await decode(await readFile(path.join(data, name)), 'keras', height, width).catch(
        (error: Error) => {
          assert.match(error.message, /is a damaged JPEG/);
          return null;
        },
      );
      if (pixels === null) {
        tally.refused++;
        continue;
      }
      assert.equal(digest(pixels), sha256, `${name}: load_img ${sha256 ? 'gives other pixels' : 'refuses it'}`);
      tally.equal++;
    }
    t.diagnostic(JSON.stringify(tally));
    assert.ok(tally.equal > lines.length / 2 && tally.refused > lines.length / 10, JSON.stringify(tally));
  });
});

describe('photographs', needsBoth, () => {
  test('--image photo is Pillow: upright, sRGB, antialiased bicubic', async (t) => {
    const data = await mkdtemp(path.join(tmpdir(), 'permafrost-test-'));
    t.after(() => rm(data, { recursive: true }));
    const count = long ? '244' : '16';
    await run(python, [fixture('photo_reference.py'), shared('real/hymenoptera/train'), data, count]);
    const lines = JSON.parse(await readFile(path.join(data, 'reference.json'), 'utf8')) as readonly {
      readonly file: string;
      readonly pixels: string;
      readonly size: number;
    }[];
    assert.ok(lines.length >= 40);
    let worst = 0;
    for (const { file, pixels, size } of lines) {
      const wanted = await readFile(pixels);
      const found = await decode(await readFile(file), 'photo', size, size);
      let sum = 0;
      for (const [i, value] of wanted.entries()) sum += Math.abs(value - (found[i] ?? Number.NaN));
      worst = Math.max(worst, sum / wanted.length);
      assert.ok(sum / wanted.length <= 1.5, `${file} at ${size}: ${sum / wanted.length}`);
    }
    t.diagnostic(`the worst differs by ${worst.toFixed(2)} of 255 on average`);
  });
});
