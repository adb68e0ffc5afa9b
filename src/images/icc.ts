/** Colours of red, green and blue under D50, as sRGB's profiles hold them (IEC 61966-2-1, adapted). */
const SRGB = [
  [0.4361, 0.2225, 0.0139],
  [0.3851, 0.7169, 0.0971],
  [0.1431, 0.0606, 0.7141],
] as const;
/** The most that a colour may be off: it moves no pixel by more than 1 of 255. */
const NEAR_COLOUR = 0.002;
/** The most that light may be off at any of the points of a curve, of 1: half a step of 8 bits in the lights. */
const NEAR_CURVE = 0.002;
/** Points at which curves are compared. */
const POINTS = 64;

const srgbLight = (value: number): number => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);

/**
 * Whether a profile of ICC says that pixels are sRGB, or grey with its curve, whatever its name is: by its colours and curves,
 * within what 8 bits can tell. Such a profile changes nothing and is not applied.
 */
export function isSrgb(profile: Uint8Array): boolean {
  const buffer = Buffer.from(profile.buffer, profile.byteOffset, profile.byteLength);
  try {
    const space = buffer.toString('latin1', 16, 20);
    const connection = buffer.toString('latin1', 20, 24);
    if (connection !== 'XYZ ') return false;
    const tags = new Map<string, Buffer>();
    for (let i = 0; i < buffer.readUInt32BE(128); i++) {
      const at = 132 + 12 * i;
      const from = buffer.readUInt32BE(at + 4);
      tags.set(buffer.toString('latin1', at, at + 4), buffer.subarray(from, from + buffer.readUInt32BE(at + 8)));
    }
    // Tables come before colours and curves.
    if (['A2B0', 'A2B1', 'A2B2', 'D2B0'].some((name) => tags.has(name))) return false;
    if (space === 'GRAY') return isSrgbCurve(tags.get('kTRC'));
    if (space !== 'RGB ') return false;
    return ['r', 'g', 'b'].every(
      (name, i) => isColour(tags.get(`${name}XYZ`), i) && isSrgbCurve(tags.get(`${name}TRC`)),
    );
  } catch {
    return false; // cut off: whoever applies it says so
  }
}

const fixed = (tag: Buffer, at: number): number => tag.readInt32BE(at) / 65536;

function isColour(tag: Buffer | undefined, which: number): boolean {
  if (tag === undefined || tag.toString('latin1', 0, 4) !== 'XYZ ') return false;
  return (SRGB[which] ?? []).every((value, i) => Math.abs(fixed(tag, 8 + 4 * i) - value) <= NEAR_COLOUR);
}

function isSrgbCurve(tag: Buffer | undefined): boolean {
  const curve = tag && readCurve(tag);
  if (!curve) return false;
  for (let i = 0; i <= POINTS; i++) {
    // Dark steps weigh more: there little light is many steps.
    const value = i / POINTS;
    const near = Math.min(NEAR_CURVE, 0.0004 + srgbLight(value) * 0.02);
    if (Math.abs(curve(value) - srgbLight(value)) > near) return false;
  }
  return true;
}

/** A curve of ICC: a table, a power, or a formula (ICC.1:2022, 10.6 and 10.18). */
function readCurve(tag: Buffer): ((value: number) => number) | null {
  const type = tag.toString('latin1', 0, 4);
  if (type === 'curv') {
    const count = tag.readUInt32BE(8);
    if (count === 0) return (value) => value;
    if (count === 1) return (value) => value ** (tag.readUInt16BE(12) / 256);
    return (value) => {
      const at = value * (count - 1);
      const low = Math.min(Math.floor(at), count - 2);
      const [a, b] = [tag.readUInt16BE(12 + 2 * low), tag.readUInt16BE(14 + 2 * low)];
      return (a + (b - a) * (at - low)) / 65535;
    };
  }
  if (type !== 'para') return null;
  const kind = tag.readUInt16BE(8);
  const count = [1, 3, 4, 5, 7][kind];
  if (count === undefined) return null;
  const [g = 1, a = 1, b = 0, c = 0, d = 0, e = 0, f = 0] = Array.from({ length: count }, (_, i) =>
    fixed(tag, 12 + 4 * i),
  );
  const power = (value: number): number => Math.max(0, a * value + b) ** g;
  if (kind === 0) return (value) => value ** g;
  if (kind === 1) return (value) => (value >= -b / a ? power(value) : 0);
  if (kind === 2) return (value) => (value >= -b / a ? power(value) + c : c);
  if (kind === 3) return (value) => (value >= d ? power(value) : c * value);
  return (value) => (value >= d ? power(value) + e : c * value + f);
}
