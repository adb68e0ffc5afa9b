import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { activationOf, disagreement, even, logitOf } from '../../src/explain/activation.js';
import { enlarged, heatPixels, rangeOf, shadesOf } from '../../src/explain/heat.js';
import { type Overlay, overlayPixels, overlayPng, overlaySvg, photoPixels, shown } from '../../src/explain/picture.js';
import { colors } from '../../src/maps/colormaps.js';
import type { FeatureMaps } from '../../src/maps/picture.js';
import { Random } from '../../src/random.js';
import type { HeadNet } from '../../src/train/head-net.js';

const random = new Random('activation');
const floats = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
const maps = (height: number, width: number, channels: number): FeatureMaps => ({
  ...{ height, width, channels },
  values: floats(height * width * channels),
});
const net = (d: number, units: number, normalize = false): HeadNet => ({
  ...{ d, normalize, activation: 'relu', ending: 'softmax' },
  layers: [{ kernel: floats(d * units), bias: floats(units) }],
});
/** The mean of each channel. */
const pooled = (all: readonly FeatureMaps[]): Float32Array =>
  Float32Array.from(
    all.flatMap(({ values, channels }) =>
      Array.from({ length: channels }, (_, c) => {
        const own = values.filter((_, i) => i % channels === c);
        return own.reduce((sum, one) => sum + one, 0) / own.length;
      }),
    ),
  );
/** What the head gives for a vector, the plain way. */
const plainLogit = ({ layers: [layer], d, normalize }: HeadNet, vector: Float32Array, unit: number): number => {
  const length = normalize ? Math.hypot(...vector) : 1;
  const sum = vector.reduce((all, one, i) => all + (one / length) * (layer?.kernel[unit * d + i] ?? 0), 0);
  return sum + (layer?.bias[unit] ?? 0);
};

describe('the mean of a map and the bias are the logit', () => {
  for (const [what, all, normalize] of [
    ['one base', [maps(3, 5, 7)], false],
    ['vectors divided by their length', [maps(4, 4, 6)], true],
    ['two bases of other grids', [maps(3, 3, 4), maps(2, 5, 6)], false],
    ['two bases, divided by the length of both together', [maps(6, 6, 4), maps(4, 4, 5)], true],
  ] as const) {
    test(what, () => {
      const vector = pooled(all);
      const head = net(vector.length, 3, normalize);
      for (const unit of [0, 1, 2]) {
        const found = activationOf(head, { maps: all, vector }, unit);
        assert.ok(Math.abs(logitOf(found) - plainLogit(head, vector, unit)) < 1e-5);
        const against = activationOf(head, { maps: all, vector }, unit, -1);
        assert.ok(Math.abs(logitOf(against) + logitOf(found)) < 1e-12);
      }
    });
  }

  test('of a vector that was rounded as it was stored too: each position gets the same of it', () => {
    const all = [maps(2, 2, 5)];
    const exact = pooled(all);
    const vector = exact.map((one) => Math.round(one * 64) / 64);
    const head = net(5, 2);
    const found = activationOf(head, { maps: all, vector }, 1);
    assert.ok(Math.abs(logitOf(found) - plainLogit(head, vector, 1)) < 1e-5);
    const unrounded = activationOf(head, { maps: all, vector: exact }, 1);
    const moved = found.values.map((value, i) => value - (unrounded.values[i] ?? 0));
    assert.ok(Math.max(...moved) - Math.min(...moved) < 1e-6);
  });

  test('a bigger grid repeats positions of the smaller ones, whose mean stays', () => {
    const all = [maps(2, 2, 1), maps(3, 1, 1)];
    const found = activationOf(net(2, 1), { maps: all, vector: pooled(all) }, 0);
    assert.deepEqual([found.height, found.width], [6, 2]);
  });
});

test('maps that are not those of the vector are told apart', () => {
  const all = [maps(3, 3, 4)];
  assert.ok(disagreement({ maps: all, vector: pooled(all) }) < 1e-6);
  assert.ok(disagreement({ maps: all, vector: pooled([maps(3, 3, 4)]) }) > 0.01);
});

describe('heat', () => {
  const map = { height: 2, width: 2, values: Float64Array.of(0, 1, 2, 3), bias: 0, rows: even(2), columns: even(2) };

  test('goes evenly from the middle of one position to the next, and stays beyond the last', () => {
    const found = enlarged(map, 4, 4);
    assert.deepEqual(Array.from(found.subarray(0, 4)), [0, 0.25, 0.75, 1]);
    assert.deepEqual([found[4], found[8], found[12]], [0.5, 1.5, 2]);
  });

  test('lies where the positions see, not on an even grid', () => {
    const moved = enlarged({ ...map, columns: { first: 0.5, step: 0.5 } }, 4, 4);
    assert.deepEqual(Array.from(moved.subarray(0, 4)), [0, 0, 0.25, 0.75]);
  });

  test('its colours are those of the colormap from the least to the greatest value', () => {
    const range = rangeOf(map);
    assert.deepEqual(range, { min: 0, max: 3 });
    assert.deepEqual(Array.from(shadesOf(map.values, range)), [0, 85, 170, 255]);
    const pixels = heatPixels(map, 2, 2, 'viridis');
    const palette = colors('viridis');
    assert.deepEqual(pixels.subarray(12, 15), palette.subarray(255 * 3));
    assert.ok((pixels[3] as number) < (pixels[15] as number), 'the photo is seen where the map is low');
  });

  test('a map that is the same everywhere has one colour', () => {
    assert.deepEqual(Array.from(shadesOf(Float64Array.of(2, 2), { min: 2, max: 2 })), [128, 128]);
  });
});

describe('the picture', () => {
  const overlay: Overlay = {
    pixels: Uint8Array.from({ length: 4 * 6 * 3 }, (_, i) => i * 3),
    ...{ height: 4, width: 6, channels: 3 },
    activation: { height: 1, width: 2, values: Float64Array.of(-1, 2), bias: -0.25, rows: even(1), columns: even(2) },
    ...{ title: 'a<b>.png', subject: 'bees 0.562', scores: 'bees 0.562   ants 0.438', sum: 'logit' },
  };

  test('has each pixel that the base saw as a square', () => {
    const pixels = photoPixels(overlay, 5);
    for (const [y, x] of [
      [0, 0],
      [19, 29],
      [7, 12],
    ] as const) {
      const from = (Math.floor(y / 5) * 6 + Math.floor(x / 5)) * 3;
      assert.deepEqual(
        pixels.subarray((y * 30 + x) * 3, (y * 30 + x) * 3 + 3),
        overlay.pixels.subarray(from, from + 3),
      );
    }
    assert.equal(overlayPixels(overlay, 5, 'magma').length, pixels.length);
  });

  test('grey pixels are shown as grey', () => {
    const grey = photoPixels({ ...overlay, channels: 1, pixels: overlay.pixels.slice(0, 24) }, 1);
    assert.deepEqual(Array.from(grey.subarray(3, 6)), [3, 3, 3]);
  });

  test('is the same bytes each time; SVG names itself, with no markup of the names', async () => {
    assert.deepEqual(await overlayPng(overlay, 'magma'), await overlayPng(overlay, 'magma'));
    const svg = (await overlaySvg(overlay, 'magma')).toString();
    assert.match(svg, /<title>a&#60;b&#62;\.png: bees 0\.562<\/title>/);
    assert.equal(svg.match(/<image /g)?.length, 3);
    assert.ok(!svg.includes('<text'));
  });

  test('numbers are short', () => {
    assert.deepEqual([3.1416001, -0.25, 0, -0.001, 123.456, -2e6, 4e-5].map(shown), [
      ...['3.14', '−0.25', '0.00', '0.00', '123.5', '−2.0e+6', '4.0e−5'],
    ]);
  });
});
