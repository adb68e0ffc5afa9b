import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STYLE } from '../../src/report/page/style.js';

type Colour = readonly [number, number, number];

/** What light of a colour is left to people who lack a kind of cone: Machado, Oliveira and Fernandes (2009), severity 1. */
const SEEN: Readonly<Record<string, readonly Colour[]>> = {
  'all cones': [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  'no red': [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  'no green': [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  'no blue': [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

const linear = (hex: string): Colour => {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const share = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return [r, g, b];
};
const times = (matrix: readonly Colour[], [r, g, b]: Colour): Colour => {
  const [x = 0, y = 0, z = 0] = matrix.map((row) => Math.min(1, Math.max(0, row[0] * r + row[1] * g + row[2] * b)));
  return [x, y, z];
};

/** CIELAB of linear sRGB, white D65. */
function lab(colour: Colour): Colour {
  const xyz = [
    [0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505],
    [0.2126, 0.7152, 0.0722],
    [0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089],
  ] as const;
  const [x, y, z] = times(xyz, colour).map((value) =>
    value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116,
  ) as [number, number, number];
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

const luminance = (hex: string): number => {
  const [r, g, b] = linear(hex);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

const [light = '', dark = ''] = STYLE.split('@media (prefers-color-scheme:dark)');
const coloursOf = (part: string): string[] =>
  Array.from({ length: 8 }, (_, k) => new RegExp(`--s${k}:(#[0-9a-f]{6})`).exec(part)?.[1] ?? '');
const groundOf = (part: string): string =>
  (/--paper:(#[0-9a-f]{3,6})/.exec(part)?.[1] ?? '').replace(/^#(.)(.)(.)$/, '#$1$1$2$2$3$3');

for (const [scheme, part] of [
  ['light', light],
  ['dark', dark],
] as const) {
  test(`the eight colours of series stay apart in the ${scheme}, whatever cones there are, and from the ground`, () => {
    const colours = coloursOf(part);
    for (const [who, matrix] of Object.entries(SEEN)) {
      const seen = colours.map((hex) => lab(times(matrix, linear(hex))));
      for (const [i, a] of seen.entries()) {
        for (const [j, b] of seen.slice(0, i).entries()) {
          const apart = Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
          assert.ok(apart > 18, `${colours[i]} and ${colours[j]}, ${who}: ${apart.toFixed(1)}`);
        }
      }
    }
    for (const hex of colours) {
      const [low = 0, high = 0] = [luminance(hex), luminance(groundOf(part))].sort((a, b) => a - b);
      assert.ok((high + 0.05) / (low + 0.05) >= 2.99, `${hex} on ${groundOf(part)}`);
    }
  });
}
