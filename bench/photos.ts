import { mkdirSync } from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';
import { drawPicture } from '../src/sample/picture.js';

const SOURCES = 16;
const SIDE = 200;

/**
 * Draws JPEGs of about 500×375: pictures of the sample, enlarged, each with its own crop and brightness, so that no two files are alike.
 * @returns the files
 */
export async function drawPhotos(images: number, folder: string): Promise<string[]> {
  const out = path.join(folder, 'photos');
  mkdirSync(out, { recursive: true });
  const sources = Array.from({ length: SOURCES }, (_, i) =>
    Buffer.from(drawPicture(1, i % 2 === 0 ? 'ok' : 'defect', i)),
  );
  const draw = async (i: number): Promise<string> => {
    const file = path.join(out, `${String(i).padStart(5, '0')}.jpg`);
    await sharp(sources[i % SOURCES] as Buffer, { raw: { width: SIDE, height: SIDE, channels: 3 } })
      .extract({ left: i % 40, top: (i >> 2) % 40, width: 160, height: 120 })
      .resize(500 + (i % 7) - 3, 375 - (i % 5) + 2, { fit: 'fill' })
      .modulate({ brightness: 0.8 + (i % 500) / 1000 })
      .jpeg({ quality: 90 })
      .toFile(file);
    return file;
  };
  const files: string[] = [];
  for (let from = 0; from < images; from += SOURCES) {
    const some = Array.from({ length: Math.min(SOURCES, images - from) }, (_, i) => draw(from + i));
    files.push(...(await Promise.all(some)));
  }
  return files;
}
