import type { Interpolation, OpOf } from './graph.js';

/** What one output value takes of the values of an axis: pairs of a place and a weight. */
type Taps = readonly (readonly [place: number, weight: number])[];

/** Keys's cubic with a = -0.5, and Lanczos's windows: tensorflow/core/kernels/image/scale_and_translate_op.cc. */
const KERNELS: Readonly<
  Record<'bilinear' | 'bicubic' | 'lanczos3' | 'lanczos5', { radius: number; at(x: number): number }>
> = {
  bilinear: { radius: 1, at: (x) => Math.max(1 - x, 0) },
  bicubic: {
    radius: 2,
    at: (x) => (x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0),
  },
  lanczos3: lanczos(3),
  lanczos5: lanczos(5),
};

function lanczos(radius: number) {
  const at = (x: number): number => {
    if (x > radius) return 0;
    return x <= 1e-3 ? 1 : (radius * Math.sin(Math.PI * x) * Math.sin((Math.PI * x) / radius)) / (Math.PI * x) ** 2;
  };
  return { radius, at };
}

/** tf.image.resize of one axis, half-pixel centers. */
function resizeAxis(size: number, out: number, by: Interpolation, antialias: boolean): Taps[] {
  const scale = Math.fround(size / out);
  return Array.from({ length: out }, (_, i): Taps => {
    if (by === 'nearest') return [[Math.min(Math.floor(Math.fround(Math.fround(i + 0.5) * scale)), size - 1), 1]];
    if (by === 'bilinear' && !antialias) {
      const at = Math.fround(Math.fround(i + 0.5) * scale) - 0.5;
      const low = Math.floor(at);
      const share = at - low;
      const inside = (place: number): number => Math.min(Math.max(place, 0), size - 1);
      return [
        [inside(low), 1 - share],
        [inside(low + 1), share],
      ];
    }
    if (by === 'bicubic' && !antialias) return bicubic(size, i, scale);
    const { radius, at } = KERNELS[by];
    const stretch = antialias ? Math.max(scale, 1) : 1;
    const middle = (i + 0.5) * (size / out);
    const first = Math.max(Math.ceil(middle - radius * stretch - 0.5), 0);
    const last = Math.min(Math.floor(middle + radius * stretch - 0.5), size - 1);
    return normal(
      Array.from({ length: last - first + 1 }, (__, j) => [
        first + j,
        at(Math.abs((first + j + 0.5 - middle) / stretch)),
      ]),
    );
  });
}

/** Weights that sum to 1. */
function normal(taps: Taps): Taps {
  const sum = taps.reduce((total, [, weight]) => total + weight, 0);
  return taps.map(([place, weight]) => [place, weight / sum]);
}

/** TensorFlow reads these weights from a table of 1,024 steps: tensorflow/core/kernels/image/resize_bicubic_op.cc. */
function bicubic(size: number, i: number, scale: number): Taps {
  const middle = Math.fround(Math.fround(i + 0.5) * scale - 0.5);
  const low = Math.floor(middle);
  const step = roundHalfEven((middle - low) * 1024) / 1024;
  const { at } = KERNELS.bicubic;
  const taps = [-1, 0, 1, 2].map((j) => [low + j, at(Math.abs(j - step))] as const);
  return normal(taps.filter(([place]) => place >= 0 && place < size));
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  if (x - floor !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Python's `int(float(a * b) / c)`, as Keras computes it in float32. */
const share = (a: number, b: number, c: number): number => Math.trunc(Math.fround(Math.fround(a * b) / c));

/** An axis cropped (or, below 0, padded on both sides) and then resized. */
function axis(
  size: number,
  out: number,
  offset: number,
  kept: number,
  op: Pick<OpOf<'Resizing'>, 'interpolation' | 'antialias'>,
) {
  const weights = new Float32Array(out * size);
  for (const [i, taps] of resizeAxis(kept, out, op.interpolation, op.antialias).entries()) {
    for (const [place, weight] of taps) {
      const from = place + offset;
      if (from >= 0 && from < size) weights[i * size + from] = (weights[i * size + from] ?? 0) + weight;
    }
  }
  return weights;
}

/** What a resampling multiplies the rows and the columns of an image with: `[out, in]` each, in C order. */
export interface Resampling {
  readonly rows: Float32Array;
  readonly columns: Float32Array;
}

/**
 * Resizing and cropping as what they are, a product with one matrix for the rows and one for the columns:
 * keras/src/backend/tensorflow/image.py, keras/src/layers/preprocessing/image_preprocessing/center_crop.py.
 */
export function resampling(op: OpOf<'Resizing' | 'CenterCrop'>, height: number, width: number): Resampling {
  const { height: h, width: w } = op;
  if (op.kind === 'CenterCrop' && height >= h && width >= w) {
    const cut = { interpolation: 'nearest', antialias: false } as const;
    return {
      rows: axis(height, h, Math.floor((height - h) / 2), h, cut),
      columns: axis(width, w, Math.floor((width - w) / 2), w, cut),
    };
  }
  const how = op.kind === 'CenterCrop' ? ({ interpolation: 'bilinear', antialias: false, fit: 'crop' } as const) : op;
  const kept = (size: number, wanted: number): readonly [offset: number, size: number] => {
    const margin = Math.trunc((Math.max(size, wanted) - size) / 2);
    if (how.fit === 'pad') return [-margin, size + 2 * margin];
    if (how.fit === 'stretch') return [0, size];
    const inside = Math.max(Math.min(size, wanted), 1);
    return [Math.trunc((size - inside) / 2), inside];
  };
  return {
    rows: axis(height, h, ...kept(height, share(width, h, w)), how),
    columns: axis(width, w, ...kept(width, share(height, w, h)), how),
  };
}
