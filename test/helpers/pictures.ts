import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import sharp from 'sharp';
import { Random } from '../../src/random.js';
import { folder } from './store.js';

/** Pictures in two folders, each a colour with noise of its own; one that is none. */
export async function pictures(t: TestContext, count: number): Promise<string> {
  const data = await folder(t);
  const random = new Random('pictures');
  for (let i = 0; i < count; i++) {
    const name = i % 2 ? 'dark' : 'light';
    await mkdir(join(data, name), { recursive: true });
    const raw = Buffer.from(Array.from({ length: 16 * 16 * 3 }, () => random.below(100) + (i % 2 ? 0 : 150)));
    await sharp(raw, { raw: { width: 16, height: 16, channels: 3 } })
      .png()
      .toFile(join(data, name, `${i}.png`));
  }
  await writeFile(join(data, 'dark', 'broken.png'), 'no picture');
  return data;
}
