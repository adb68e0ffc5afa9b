/** Numbers as people read them: what is not there is a dash. */
const NONE = '–';

/** A number, or that there is none. */
export type Maybe = number | null | undefined;

const show =
  (of: (value: number) => string) =>
  (value: Maybe): string =>
    value === null || value === undefined || !Number.isFinite(value) ? NONE : of(value).replace('-', '−');

/** `84.3 %` */
export const percent = show((share) => `${(share * 100).toFixed(1)} %`);
/** `0.843` */
export const decimals = show((value) => value.toFixed(3));
/** `0.8431` */
export const four = show((value) => value.toFixed(4));
/** Of numbers in any unit: four figures at most. */
export const figures = show((value) => {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return String(Number(value.toPrecision(3))).replace('e+', 'e');
  return String(Number(value.toPrecision(4)));
});
/** Of what is measured in any unit: four figures, zeros too, so that they stand below each other. */
export const measured = show((value) => {
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e4) ? figures(value) : value.toPrecision(4);
});
/** `12,345` */
export const whole = show((value) => String(value).replace(/\B(?=(\d{3})+$)/g, ','));

/** `1 image`, `12,345 images` */
export const counted = (count: number, what: string, many = `${what}s`): string =>
  `${whole(count)} ${count === 1 ? what : many}`;

/** `[0.781, 0.892]`; empty where there is no interval */
export const interval = (
  ends: readonly [number, number] | null | undefined,
  of: (value: number) => string = decimals,
): string => (ends ? `[${ends.map((end) => of(end).replace(' %', '')).join(', ')}]` : '');

/** At most so many letters, with an ellipsis in the middle. */
export const short = (text: string, most: number): string => {
  const letters = Array.from(text);
  if (letters.length <= most) return text;
  const front = Math.ceil((most - 1) / 2);
  return `${letters.slice(0, front).join('')}…${letters.slice(letters.length - (most - 1 - front)).join('')}`;
};

/** Names as a sentence lists them, of many the first. */
export const listed = (names: readonly string[], most = 6): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
