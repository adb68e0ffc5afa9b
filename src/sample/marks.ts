import type { Random } from '../random.js';
import { direction, Noise, pick, smoothstep } from './noise.js';
import { color, eachInSpot, eachOnLine, SIDE, type Surface, wander } from './surface.js';

const INKS = ['#1b1c20', '#f2f1ec', '#22377a', '#8e2323'].map(color);
// Digits, three dots wide and five high, row by row.
const DIGITS = [0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9, 0x79cf, 0x79ef, 0x7292, 0x7bef, 0x7bcf];

/** Water marks, grease, faded patches: soft changes of tone. */
function stain(surface: Surface, random: Random): void {
  const tone = random.uniform() < 0.5 ? random.uniform(0.68, 0.88) : random.uniform(1.12, 1.4);
  const edge = random.uniform(0.5, 0.9);
  const tide = random.uniform() < 0.3 ? 0.1 : 0;
  const spot = {
    x: random.uniform(0, SIDE),
    y: random.uniform(0, SIDE),
    radius: random.uniform(18, 55),
    wobble: 0.4,
    stretch: random.uniform(1, 1.8),
  };
  eachInSpot(random, spot, 1, (i, d) => {
    const inside = 1 - smoothstep(edge, 1, d);
    const ring = tide * smoothstep(edge - 0.15, edge, d) * (1 - smoothstep(edge, edge + 0.15, d));
    surface.tone(i, 1 + (tone - 1) * inside - ring);
  });
}

/** A printed number, a bar code or a drawn circle: flat ink, somewhat worn. */
function print(surface: Surface, random: Random): void {
  const ink = pick(random, INKS);
  const alpha = random.uniform(0.5, 0.85);
  const wear = new Noise(random);
  const x = random.uniform(25, SIDE - 25);
  const y = random.uniform(25, SIDE - 25);
  const cover = (i: number, amount = 1): void => {
    const worn = 0.75 + 0.35 * wear.fractal((i % SIDE) / 9, i / SIDE / 9, 3);
    surface.cover(i, ink, Math.min(1, amount * alpha * worn));
  };
  const kind = random.below(3);
  if (kind === 0) {
    const radius = random.uniform(12, 30);
    const spot = { x, y, radius, wobble: 0.08, stretch: random.uniform(1, 1.3) };
    const half = 1.4 / radius;
    eachInSpot(random, spot, 1 + half, (i, d) => {
      if (d > 1 - half) cover(i);
    });
    return;
  }
  const [cosine, sine] = direction(random);
  const dot = random.uniform(1.7, 2.8);
  const cells = Array.from({ length: 3 + random.below(5) }, () => DIGITS[random.below(10)] as number);
  const bars = random.uint32();
  const width = cells.length * 4;
  for (let i = 0; i < SIDE * SIDE; i++) {
    const dx = (i % SIDE) - x;
    const dy = Math.floor(i / SIDE) - y;
    const column = Math.floor((cosine * dx + sine * dy) / dot + width / 2);
    const row = Math.floor((cosine * dy - sine * dx) / dot + 2.5);
    if (column < 0 || column >= width || row < 0 || row >= 5) continue;
    const place = column & 3;
    const glyph = cells[column >> 2] as number;
    if (kind === 1 ? place < 3 && (glyph >> (14 - 3 * row - place)) & 1 : (bars >> column) & 1) cover(i);
  }
}

function speck(surface: Surface, random: Random): void {
  const spot = {
    x: random.uniform(0, SIDE),
    y: random.uniform(0, SIDE),
    radius: random.uniform(0.6, 1.7),
    wobble: 0.3,
    stretch: random.uniform(1, 1.6),
  };
  const dust = color(random.uniform() < 0.6 ? '#e9e6df' : '#2c2925');
  const alpha = random.uniform(0.3, 0.8);
  eachInSpot(random, spot, 1.3, (i, d) => surface.cover(i, dust, alpha * (1 - smoothstep(0.5, 1.3, d))));
}

function lint(surface: Surface, random: Random): void {
  const at = { x: random.uniform(20, SIDE - 20), y: random.uniform(20, SIDE - 20) };
  const line = { length: random.uniform(14, 36), width: 0.6, curl: 0.3, step: 3 };
  const fibre = color(pick(random, ['#e9e6df', '#2c2925', '#7a3030', '#32507c']));
  const alpha = random.uniform(0.35, 0.7);
  eachOnLine(wander(random, at, direction(random), line), 2, (i, d) =>
    surface.cover(i, fibre, alpha * (1 - smoothstep(0.6, 2, d))),
  );
}

/** Puts on what every photo of a workshop shows, sound part or not: stains and print. */
export function addMarks(surface: Surface, random: Random): void {
  for (let n = random.below(4); n > 0; n--) stain(surface, random);
  if (random.uniform() < 0.3) print(surface, random);
}

/** Dust and lint, which lie on top of all else. */
export function addDust(surface: Surface, random: Random): void {
  for (let n = random.below(22); n > 0; n--) speck(surface, random);
  if (random.uniform() < 0.3) lint(surface, random);
}
