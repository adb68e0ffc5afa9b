/**
 * Pixels a processor-second: the first JPEGs by name of a folder, the same at 32 pixels as JPEG and PNG, and a small base end to end,
 * of this checkout and of another that is built, in turns.
 *
 *     npm run build && AGAINST=/path/to/checkout WEIGHTS=mobilenet_2_5_224_tf_no_top.h5 node dist/bench/decode.js FOLDER [images=120] [rounds=3]
 *
 * Without AGAINST only this checkout is timed. WEIGHTS are those of MobileNet 0.25; without them made ones are taken.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';

const root = fileURLToPath(new URL('../..', import.meta.url));
const script = fileURLToPath(import.meta.url);

type Images = typeof import('../src/images/index.js');

/** Decodes every file of a folder for `seconds`, 32 at a time, as `features` does. @returns images a second of processor time */
async function decodeAll(checkout: string, folder: string, seconds: number): Promise<number> {
  const module = pathToFileURL(path.join(checkout, 'dist/src/images/index.js')).href;
  const { decodeImage, sniff } = (await import(module)) as Images;
  const files = readdirSync(folder)
    .sort()
    .map((name) => readFileSync(path.join(folder, name)));
  const decode = async (bytes: Buffer): Promise<void> => {
    const format = sniff(bytes.subarray(0, 1024));
    if (typeof format !== 'string') throw new Error('a file that is no image');
    await decodeImage(bytes, format, { mode: 'photo', height: 224, width: 224, channels: 3 });
  };
  for (const bytes of files.slice(0, 32)) await decode(bytes);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let next = 0;
  const worker = async (): Promise<void> => {
    while (performance.now() - start < seconds * 1000 || next % files.length !== 0) {
      await decode(files[next++ % files.length] as Buffer);
    }
  };
  await Promise.all(Array.from({ length: 32 }, worker));
  const { user, system } = process.cpuUsage(cpu);
  return next / ((user + system) / 1e6);
}

/** The same in a process of its own. */
const decoded = (checkout: string, folder: string): number =>
  Number(execFileSync(process.execPath, [script, '--worker', checkout, folder], { encoding: 'utf8' }));

/** Images a second of `features` with MobileNet 0.25. */
function endToEnd(checkout: string, data: string): number {
  const cache = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
  try {
    const weights = process.env.WEIGHTS ?? 'random:0';
    const flags = ['--data', data, '--cache', cache, '--base', 'mobilenet', '--alpha', '0.25', '--weights', weights];
    const args = [path.join(checkout, 'dist/pipeline/cli.js'), 'features', ...flags, '--json', '--quiet'];
    const out = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    return (JSON.parse(out) as { imagesPerSecond: number }).imagesPerSecond;
  } finally {
    rmSync(cache, { recursive: true });
  }
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

async function draw(folder: string, images: number, work: string): Promise<Record<string, string>> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.jpe?g$/i.test(name))
    .sort()
    .slice(0, images);
  const kinds = { 'JPEGs as they are': 'whole', 'JPEGs of 32 pixels': 'jpeg32', 'PNGs of 32 pixels': 'png32' };
  for (const kind of Object.values(kinds)) mkdirSync(path.join(work, kind));
  for (const [i, name] of names.entries()) {
    const bytes = readFileSync(path.join(folder, name));
    const small = sharp(bytes).resize(32, 32, { fit: 'fill' });
    const number = String(i).padStart(5, '0');
    writeFileSync(path.join(work, 'whole', `${number}.jpg`), bytes);
    writeFileSync(path.join(work, 'jpeg32', `${number}.jpg`), await small.clone().jpeg({ quality: 90 }).toBuffer());
    writeFileSync(path.join(work, 'png32', `${number}.png`), await small.clone().png().toBuffer());
  }
  return Object.fromEntries(Object.entries(kinds).map(([kind, name]) => [kind, path.join(work, name)]));
}

async function main(folder: string, images: number, rounds: number): Promise<void> {
  const against = process.env.AGAINST;
  const checkouts = against === undefined ? [root] : [against, root];
  const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
  try {
    const kinds = await draw(folder, images, work);
    const measures: Record<string, (checkout: string) => number> = {};
    for (const [kind, data] of Object.entries(kinds)) {
      measures[`${kind}, images a processor-second`] = (checkout) => decoded(checkout, data);
    }
    measures['MobileNet 0.25 end to end, images a second'] = (checkout) =>
      endToEnd(checkout, kinds['JPEGs as they are'] as string);
    for (const [name, measure] of Object.entries(measures)) {
      const found = checkouts.map((): number[] => []);
      for (let round = 0; round < rounds; round++) {
        for (const [i, checkout] of checkouts.entries()) found[i]?.push(measure(checkout));
      }
      const ratios = (found[1] ?? []).map((value, i) => value / (found[0]?.[i] ?? 0));
      const values = found.map((one) => median(one).toFixed(0)).join(' before, ');
      console.log(`${name}: ${values}${ratios.length > 0 ? ` now, ratio ${median(ratios).toFixed(2)}` : ''}`);
    }
  } finally {
    rmSync(work, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
if (first === '--worker') console.log(await decodeAll(rest[0] as string, rest[1] as string, 3));
else if (first === undefined) console.error('usage: decode.js FOLDER [images=120] [rounds=3]');
else await main(first, Number(rest[0] ?? 120), Number(rest[1] ?? 3));
