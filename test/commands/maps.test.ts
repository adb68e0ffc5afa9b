import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import sharp from 'sharp';
import { openBase } from '../../src/base/index.js';

import {
  DataError,
  FileError,
  type MapsOptions,
  type MapsResult,
  ModelError,
  maps,
  UsageError,
} from '../../src/index.js';
import { colors } from '../../src/maps/colormaps.js';

import { boxes, type FeatureMaps, gridFor, isDead, mapPng, mapSvg, shades, strongest } from '../../src/maps/picture.js';
import { COLORMAPS } from '../../src/options/choices.js';
import { permafrost } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';

interface Fixture {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly values: string;
  readonly colors: Readonly<Record<string, readonly string[]>>;
  readonly colormaps: Readonly<Record<string, string>>;
}

const matplotlib = JSON.parse(readFileSync(fixture('maps.json'), 'utf8')) as Fixture;
const { height, width, channels } = matplotlib;
const found: FeatureMaps = {
  values: new Float32Array(new Uint8Array(Buffer.from(matplotlib.values, 'base64')).buffer),
  height,
  width,
  channels,
};
const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

const picture = fixture('keras/picture.png');
const tiny = { base: fixture('keras/tiny.keras'), layer: 'maps', preprocess: 'tf', path: picture } as const;
const inFolder = (name: string): string => path.join(folder, name);

/** The colour in the middle of each block of a box, RGB, row by row. */
async function blocks(png: Buffer, box: { x: number; y: number; width: number; height: number }): Promise<Buffer> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [3000, 1800, 3]);
  const pixel = (row: number, column: number): Buffer => {
    const y = box.y + Math.floor(((row + 0.5) * box.height) / height);
    const x = box.x + Math.floor(((column + 0.5) * box.width) / width);
    return data.subarray((y * 3000 + x) * 3, (y * 3000 + x) * 3 + 3);
  };
  return Buffer.concat(Array.from({ length: height * width }, (_, i) => pixel(Math.floor(i / width), i % width)));
}

describe("matplotlib's colours", () => {
  for (const name of COLORMAPS) {
    test(`${name}: its 256 colours, and every block of the picture`, async () => {
      assert.equal(Buffer.from(colors(name)).toString('base64'), matplotlib.colormaps[name]);
      const grid = { rows: 2, columns: 4 };
      const png = await mapPng(found, grid, name);
      const places = boxes(grid, found);
      assert.equal(places.length, 8);
      for (const [i, box] of places.entries()) {
        const expected = matplotlib.colors[name]?.[i] ?? Buffer.alloc(height * width * 3, 255).toString('base64');
        assert.equal((await blocks(png, box)).toString('base64'), expected, `map ${i}`);
      }
    });
  }

  test('a constant map is black, the least value too, and the greatest the last colour', () => {
    assert.ok(shades(found, 2).every((shade) => shade === 0));
    assert.deepEqual([Math.min(...shades(found, 0)), Math.max(...shades(found, 0))], [0, 255]);
  });
});

test('a grid lies where plt.subplots(4, 8, figsize=(10, 6)) puts square axes', () => {
  const all = boxes({ rows: 4, columns: 8 }, { height: 7, width: 7 });
  // ax.get_position() of the first and the last of them, in pixels from above
  assert.deepEqual(all[0], { x: 375, y: 243, width: 247, height: 247 });
  assert.deepEqual(all[31], { x: 2453, y: 1328, width: 247, height: 247 });
});

test('the title needs no font: it is drawn, in the middle above the maps, the same bytes each time', async () => {
  const grid = { rows: 4, columns: 8 };
  const png = await mapPng(found, grid, 'gray');
  assert.deepEqual(png, await mapPng(found, grid, 'gray'));
  assert.equal((await sharp(png).metadata()).density, 300);
  const strip = await sharp(png).extract({ left: 0, top: 0, width: 3000, height: 100 }).png().toBuffer();
  const { info } = await sharp(strip).trim().toBuffer({ resolveWithObject: true });
  const left = -(info.trimOffsetLeft ?? 0);
  assert.ok(Math.abs(left + info.width / 2 - 1500) < 5, `${left} ${info.width}`);
  assert.ok(Math.abs(info.width - 329) < 12, `matplotlib's is 329 pixels wide, this ${info.width}`);
  const svg = (await mapSvg(found, grid, 'gray')).toString();
  assert.ok(!svg.includes('<text') && svg.includes('width="10in" height="6in"'));
  assert.equal(svg.match(/<image /g)?.length, channels);
});

test('fewer maps than the usual grid holds are shown as large as the page allows', () => {
  const square = { height: 7, width: 7 };
  const grids = [1, 2, 3, 8, 16, 32].map((count) => gridFor(count, square));
  assert.deepEqual(
    grids.map(({ rows, columns }) => `${rows}x${columns}`),
    ['1x1', '1x2', '1x3', '2x4', '3x6', '4x8'],
  );
  for (const [i, count] of [1, 2, 3, 8, 16].entries()) {
    const [here] = boxes(grids[i] as { rows: number; columns: number }, square);
    const [usual] = boxes({ rows: 4, columns: 8 }, square);
    assert.ok((here?.width ?? 0) > (usual?.width ?? 0), `${count} maps`);
  }
  assert.deepEqual(gridFor(4, { height: 1, width: 20 }), { rows: 4, columns: 1 });
});

test('the strongest maps are those of the greatest mean, and maps of one value are dead', () => {
  const values = Float32Array.from([0, 3, 0, 5, 0, 1, 0, -9]); // [1, 2, 4]: means 0, 2, 0, -2
  const maps = { values, height: 1, width: 2, channels: 4 };
  assert.deepEqual(strongest(maps, 4), [1, 0, 2, 3]);
  assert.deepEqual(strongest(maps, 2), [1, 0]);
  assert.deepEqual(
    [0, 1, 2, 3].map((channel) => isDead(maps, channel)),
    [true, false, true, false],
  );
});

test('maps lie where they are asked to, dead ones are framed, and what the base saw stands left of them', async () => {
  const grid = { rows: 1, columns: 2 };
  const values = Float32Array.from([0, 1, 0, 2]); // [2, 1, 2]: dead, and from 1 to 2
  const maps = { values, height: 2, width: 1, channels: 2 };
  const photo = { pixels: Uint8Array.of(200, 10, 30), height: 1, width: 1, channels: 3 };
  const usual = (await mapSvg(maps, grid, 'gray', { chosen: [1, 0] })).toString();
  const more = (await mapSvg(maps, grid, 'gray', { chosen: [1], numbered: true, line: 'a line', photo })).toString();
  const count = (text: string, what: RegExp): number => text.match(what)?.length ?? 0;
  const frame = /<rect [^>]*stroke=/g;
  assert.deepEqual([count(usual, /<image /g), count(usual, frame), count(usual, /<g /g)], [2, 1, 1]);
  assert.deepEqual([count(more, /<image /g), count(more, frame), count(more, /<g /g)], [2, 0, 3]);
  const png = await mapPng(maps, grid, 'gray', { photo });
  const { data } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const middle = (x: number, y: number): number[] => [...data.subarray((y * 3000 + x) * 3, (y * 3000 + x) * 3 + 3)];
  assert.deepEqual(middle(530, 908), [200, 10, 30]);
});

describe('permafrost maps', () => {
  test('has as many maps as the layer has features', async () => {
    const out = inFolder('tiny.png');
    const result = await maps({ ...tiny, out });
    const { spec } = await openBase(tiny);
    assert.equal(result.channels, spec.features);
    assert.deepEqual(result.shown, Math.min(32, result.channels));
    assert.deepEqual(result.shownChannels, [...Array(result.shown).keys()]);
    assert.ok(existsSync(out));
  });

  test('the command: PNG or SVG by the suffix, one JSON object', async () => {
    const args = ['maps', picture, '--base', tiny.base, '--layer', 'maps', '--preprocess', 'tf', '--json'];
    const { code, stdout, stderr } = await permafrost([...args, '--out', 'new/a.svg', '--grid', '1x2'], folder);
    assert.equal(code, 0, stderr);
    const { out, shown } = JSON.parse(stdout) as { out: string; shown: number };
    assert.deepEqual([path.basename(out), shown], ['a.svg', 2]);
    assert.equal(readFileSync(out, 'utf8').match(/<image /g)?.length, 2);
  });

  test('the strongest maps and the photo; an option without effect is refused', async () => {
    const args = ['maps', picture, '--base', tiny.base, '--layer', 'maps', '--preprocess', 'tf', '--json'];
    const { code, stdout, stderr } = await permafrost(
      [...args, '--strongest', '3', '--photo', '--out', 'b.png'],
      folder,
    );
    assert.equal(code, 0, stderr);
    const { shown, shownChannels, channels } = JSON.parse(stdout) as MapsResult;
    assert.deepEqual([shown, new Set(shownChannels).size], [3, 3]);
    assert.match(stderr, new RegExp(`3 of ${channels} feature maps of .*the strongest`));
    for (const flag of ['--pooling=max', '--store=float16']) {
      const wrong = await permafrost([...args, flag], folder);
      assert.equal(wrong.code, 2);
      assert.match(wrong.stderr, /belongs to/);
    }
  });

  const broken = inFolder('broken.jpg');
  writeFileSync(broken, 'no picture');
  const refused: readonly [string, Partial<MapsOptions>, new (message: string) => Error, RegExp][] = [
    ['no such image', { path: inFolder('none.png') }, DataError, /none\.png: there is no such file/],
    ['a broken image', { path: broken }, DataError, /broken\.jpg .*none/],
    ['a folder', { path: folder }, DataError, /is a folder: give one image file/],
    ['a vector', { layer: 'global_average_pooling2d' }, ModelError, /gives a vector of \d+ values, .*--layer/],
    [
      'a file where a folder must be',
      { out: path.join(fixture('maps.json'), 'a.png') },
      FileError,
      /is a file, not a folder/,
    ],
    ['another suffix', { out: 'maps.gif' }, UsageError, /\.png or \.svg/],
    ['an empty grid', { grid: { rows: 0, columns: 8 } }, UsageError, /each from 1 to 64, not ."rows":0,"columns":8/],
    [
      'an unknown colormap',
      { colormap: 'jet' as 'gray' },
      UsageError,
      /colormap must be one of gray, viridis, magma, not "jet"/,
    ],
  ];
  for (const [what, options, kind, message] of refused) {
    test(`${what} is refused in one sentence`, async () => {
      await assert.rejects(maps({ ...tiny, out: inFolder('refused.png'), ...options }), (error: Error) => {
        assert.ok(error instanceof kind, `${error}`);
        assert.match(error.message, message);
        return true;
      });
      assert.ok(!existsSync(inFolder('refused.png')));
    });
  }
});

test('what is being done is told, in order', async () => {
  const steps: string[] = [];
  await maps({ ...tiny, out: inFolder('told.png'), onStep: (what) => steps.push(what) });
  assert.deepEqual(steps, [
    `reading ${tiny.base}`,
    'preparing tiny',
    'computing the feature maps of picture.png',
    'drawing told.png',
  ]);
});
