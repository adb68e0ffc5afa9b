/**
 * What a million labelled images cost when their vectors are stored: every step is a process of the real command line, with its
 * time and its peak of resident memory; and how long a training goes on after SIGTERM, sent at several moments.
 *
 *     npm run build && node dist/bench/million.js [IMAGES [FOLDER]]
 *
 * Draws bitmaps of 118 bytes in ten classes and writes made vectors (512 values, 2 GB) under their hashes. A FOLDER is made where
 * it is not there, kept, and used again.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { measure, permafrost, tell } from './command.js';
import { drawImages, fillSet } from './made_images.js';

const images = Number(process.argv[2] ?? 1_000_000);
const kept = process.argv[3];
const work = kept ?? mkdtempSync(path.join(tmpdir(), 'permafrost-million-'));
const data = path.join(work, 'data');
const cache = path.join(work, 'cache');
const CLASSES = 10;
const PER_FOLDER = 1000;

/** Thousands of a class lie in a folder of their own. */
const folderOf = (i: number): string =>
  `class-${Math.floor((i * CLASSES) / images)}/${String(Math.floor(i / PER_FOLDER)).padStart(4, '0')}`;

const given = ['--data', data, '--cache', cache, '--json', '--quiet'];

async function step(name: string, args: readonly string[], expected: Record<string, unknown> = {}): Promise<void> {
  const measured = await permafrost(...args, ...given);
  const told = JSON.parse(measured.stdout) as Record<string, unknown>;
  for (const [key, value] of Object.entries(expected)) {
    if (told[key] !== value) throw new Error(`${name}: ${key} is ${told[key]}, expected ${value}`);
  }
  tell(name, measured);
}

try {
  if (!existsSync(cache)) {
    drawImages(data, 0, 10, folderOf);
    const { dir } = JSON.parse((await permafrost('features', ...given)).stdout) as { dir: string };
    await fillSet(dir, drawImages(data, 10, images, folderOf));
    await step('features: hashed for the first time', ['features'], { images, extracted: 0 });
  }
  const train = ['train', '--epochs', '2', '--memory', '1024', '--replace', '--name', 'million'];
  for (let i = 0; i < 2; i++) await step('features: a rerun with nothing new', ['features'], { images, extracted: 0 });
  rmSync(path.join(cache, 'heads'), { recursive: true, force: true });
  const whole = await permafrost(...train, ...given);
  tell('train --epochs 2 --memory 1024', whole);
  for (const share of [0.02, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8]) {
    let sent = 0;
    const at = whole.seconds * share;
    const { code, stderr, megabytes } = await measure([...train, '--seed', '1', ...given.slice(0, -1)], {
      onStart: (child) => {
        setTimeout(() => {
          sent = performance.now();
          child.kill('SIGTERM');
        }, at * 1000);
      },
    });
    tell(`train: SIGTERM after ${at.toFixed(1)} s, ended with ${code}, took`, {
      seconds: (performance.now() - sent) / 1000,
      megabytes,
    });
    console.log(`  ${stderr.trim().split('\n').at(-1)}`);
  }
} finally {
  if (kept === undefined) rmSync(work, { recursive: true });
}
