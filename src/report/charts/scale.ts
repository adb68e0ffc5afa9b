/** From values to places. */
export interface Scale {
  /** Values at the two ends. */
  readonly domain: readonly [number, number];
  /** @returns the place of a value */
  readonly at: (value: number) => number;
  /** Values that an axis names, with their texts. */
  readonly ticks: readonly (readonly [value: number, text: string])[];
}

const tickText = (value: number, step: number): string => {
  const text =
    Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-4)
      ? value.toExponential(0).replace('e+', 'e')
      : value.toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  return text.replace('-', '−');
};

/** @returns a step of 1, 2 or 5 times a power of ten that gives about so many ticks */
function stepOf(span: number, count: number): number {
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const times = raw / power;
  return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

/** @returns ends that hold all values, apart from each other and finite */
export function extent(values: Iterable<number>): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const room = low === high ? Math.max(Math.abs(low) * 0.1, 1e-6) : 0;
  return [low - room, high + room];
}

/** @param isNice whether the ends move out to the next ticks */
export function linear(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  { count = 5, isNice = false } = {},
): Scale {
  const step = stepOf(high - low, count);
  const [start, end] = isNice
    ? [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step]
    : [low, high];
  const ticks: [number, string][] = [];
  for (let k = Math.ceil(start / step - 1e-9); k * step <= end + step * 1e-9; k++) {
    ticks.push([k * step, tickText(k * step, step)]);
  }
  return { domain: [start, end], at: (value) => from + ((value - start) / (end - start)) * (to - from), ticks };
}

/** Of values above 0: ticks at powers of ten, where there are enough. */
export function logarithmic([low, high]: readonly [number, number], [from, to]: readonly [number, number]): Scale {
  const [start, end] = [Math.log10(low), Math.log10(high)];
  const at = (value: number): number => from + ((Math.log10(value) - start) / (end - start)) * (to - from);
  const every = Math.max(1, Math.ceil((end - start) / 6));
  const ticks: [number, string][] = [];
  for (let power = Math.ceil(start - 1e-9); power <= end + 1e-9; power += every) {
    ticks.push([10 ** power, power >= -2 && power <= 3 ? String(10 ** power) : `1e${power}`.replace('-', '−')]);
  }
  if (ticks.length >= 2) return { domain: [low, high], at, ticks };
  const ends = [low, high].map((value): [number, string] => [value, String(Number(value.toPrecision(2)))]);
  return { domain: [low, high], at, ticks: ends };
}

/** Of names: each in the middle of its own stretch. */
export function ordinal(names: readonly string[], [from, to]: readonly [number, number]): Scale {
  const width = (to - from) / names.length;
  const at = (place: number): number => from + (place + 0.5) * width;
  return { domain: [0, names.length - 1], at, ticks: names.map((name, i) => [i, name]) };
}

/** A place in a drawing: a tenth of a pixel is enough. */
export const px = (value: number): string => String(Math.round(value * 10) / 10);

/** @returns a path through points, without those that lie within half a pixel of the one before */
export function pathOf(points: Iterable<readonly [number, number]>): string {
  const parts: string[] = [];
  let [x, y] = [Number.NaN, Number.NaN];
  let skipped: readonly [number, number] | null = null;
  for (const point of points) {
    if (Math.abs(point[0] - x) < 0.5 && Math.abs(point[1] - y) < 0.5) {
      skipped = point;
      continue;
    }
    [x, y] = point;
    skipped = null;
    parts.push(`${parts.length === 0 ? 'M' : 'L'}${px(x)} ${px(y)}`);
  }
  if (skipped !== null) parts.push(`L${px(skipped[0])} ${px(skipped[1])}`);
  return parts.join('');
}
