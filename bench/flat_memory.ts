/**
 * Time and peak of resident memory of `features` over few images and over many, all new.
 *
 *     npm run build && node dist/bench/flat_memory.js [images=1000 20000 100000 …]
 *
 * Draws bitmaps of 118 bytes, no two alike, and runs MobileNet 0.25 at 32 pixels over them, with a fresh cache each time.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { permafrost, tell } from './command.js';
import { drawImages } from './made_images.js';

const PER_FOLDER = 1000;
const BASE = ['--base', 'mobilenet', '--alpha', '0.25', '--weights', 'random:1', '--input-size', '32'];

const asked = process.argv.slice(2).map(Number);
for (const images of asked.length > 0 ? asked : [1000, 20_000, 100_000]) {
  const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
  try {
    const data = path.join(work, 'data');
    drawImages(data, 0, images, (i) => String(Math.floor(i / PER_FOLDER)).padStart(4, '0'));
    const given = ['--data', data, '--cache', path.join(work, 'cache'), '--json', '--quiet'];
    const measured = await permafrost('features', ...BASE, ...given);
    const { extracted } = JSON.parse(measured.stdout) as { extracted: number };
    if (extracted !== images) throw new Error(`expected ${images} vectors, found ${extracted}`);
    tell(`features of ${images} images`, measured);
  } finally {
    rmSync(work, { recursive: true });
  }
}
