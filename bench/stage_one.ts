/**
 * Stage one from files, and without decoding: this checkout, another ($AGAINST) and peers in turns.
 *
 *     npm run build && PYTHON=python3 node dist/bench/stage_one.js [base …] [rounds=3]
 *
 * Draws JPEGs of about 500×375 first. A peer that $PYTHON has not is left out, and said. $WEIGHTS_MOBILENET and its kin name files of real
 * weights; with made ones the time is the same.
 */
import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readCalibration } from '../src/base/calibrations.js';
import { type Base, DEFAULT_BATCH_SIZE, fittingLanes, floatProgram, loadBase, openBase } from '../src/base/index.js';
import { onnxEngine } from '../src/engine/onnx/engine.js';
import { runtimeVersion } from '../src/engine/onnx/session.js';
import { writeModel } from '../src/formats/onnx/write.js';
import { type Peer, root, startPeer } from './peer.js';
import { drawPhotos } from './photos.js';
import { QUICK, type Row, tell } from './tables.js';

interface Tried {
  readonly title: string;
  readonly size: number;
  /** Images: some five seconds of them. */
  readonly images: number;
  readonly options: Readonly<Record<string, string>>;
}

const TRIED: Readonly<Record<string, Tried>> = {
  'xception-mini': { title: 'xception-mini', size: 96, images: 2400, options: {} },
  mobilenet: { title: 'MobileNet 0.25', size: 224, images: 1600, options: { alpha: '0.25' } },
  xception: { title: 'Xception', size: 200, images: 160, options: {} },
  'efficientnet-b0': { title: 'EfficientNetB0', size: 224, images: 160, options: {} },
};
const PEERS = {
  keras: 'Keras predict',
  'torch-eager': 'PyTorch, channels last',
  'torch-compiled': 'PyTorch, compiled',
  'torch-bfloat16': 'PyTorch, bfloat16',
  'openvino-float32': 'OpenVINO, float32',
  'openvino-bfloat16': 'OpenVINO, bfloat16',
  'openvino-int8': 'OpenVINO, NNCF int8',
};
const LEAST = 512;
const against = process.env.AGAINST;

/** A folder of the first of the drawn files. */
function someOf(photos: readonly string[], images: number, work: string): string {
  const folder = path.join(work, 'images');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const file of photos.slice(0, images)) linkSync(file, path.join(folder, path.basename(file)));
  return folder;
}

interface StageOne {
  readonly rate: number;
  /** Peak of resident memory, in MB. */
  readonly peak: number;
  readonly calibration?: string;
}

/** `features` of a checkout, as a process. */
function features(checkout: string, flags: readonly string[], work: string): StageOne {
  const cache = mkdtempSync(path.join(work, 'cache-'));
  const rss = path.join(work, 'rss');
  try {
    const cli = path.join(checkout, 'dist/pipeline/cli.js');
    const args = [
      '--import',
      path.join(root, 'dist/bench/rss.js'),
      cli,
      'features',
      ...flags,
      '--cache',
      cache,
      '--json',
      '--quiet',
    ];
    const env = { ...process.env, PERMAFROST_RSS: rss };
    const out = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env });
    const { imagesPerSecond, int8 } = JSON.parse(out) as { imagesPerSecond: number; int8?: { calibration: string } };
    const peak = Number(readFileSync(rss, 'utf8')) / 1e6;
    if (int8 === undefined) return { rate: imagesPerSecond, peak };
    const calibration = path.join(work, 'calibration.json');
    writeFileSync(calibration, readFileSync(int8.calibration));
    return { rate: imagesPerSecond, peak, calibration };
  } finally {
    rmSync(cache, { recursive: true });
  }
}

/** Images a second of a base on ready pixels, run as `features` runs it; in one run after the other where `isAlone`. */
async function onPixels(base: Base, seconds: number, isAlone = false): Promise<number> {
  const { height, width, channels } = base.spec.input;
  const { batchSize, ...lanes } = isAlone ? { batchSize: DEFAULT_BATCH_SIZE } : await fittingLanes(base, {});
  const runner = await loadBase(base, onnxEngine, { ...lanes, input: 'uint8' });
  try {
    const pixels = Uint8Array.from({ length: batchSize * height * width * channels }, (_, i) => (i * 31) % 251);
    const sideBySide = (work: () => Promise<void>) =>
      Promise.all(Array.from({ length: runner.lanes ?? 1 }, () => work()));
    await sideBySide(async () => void (await runner.run(pixels, batchSize)));
    const start = performance.now();
    let done = 0;
    await sideBySide(async () => {
      for (; performance.now() - start < seconds * 1000; done += batchSize) await runner.run(pixels, batchSize);
    });
    return done / ((performance.now() - start) / 1000);
  } finally {
    await runner.release();
  }
}

/** A calibration of a base on these images, and what it takes to ask for it; null, said on stderr, where the base cannot be int8. */
function calibrated(flags: readonly string[], work: string): string | null {
  try {
    const { calibration } = features(root, [...flags, '--precision', 'int8', '--fidelity', '0.99'], work);
    return calibration ?? null;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    console.error(
      `int8 is left out: ${String(stderr ?? error)
        .trim()
        .split('\n')
        .at(-1)}`,
    );
    return null;
  }
}

async function measure(name: string, rounds: number, photos: readonly string[], work: string): Promise<void> {
  const { title, size, images: whole, options } = TRIED[name] as Tried;
  const images = QUICK ? Math.min(whole, LEAST) : whole;
  const weights = process.env[`WEIGHTS_${name.toUpperCase().replaceAll('-', '_')}`] ?? 'random:0';
  const named = name === 'xception-mini' ? options : { ...options, weights };
  const flags = ['--base', name, '--input-size', String(size)];
  for (const [flag, value] of Object.entries(named)) flags.push(`--${flag}`, value);
  const base = await openBase({
    ...{ base: name, inputSize: [size, size] },
    ...('weights' in named ? { weights } : {}),
    ...(options.alpha === undefined ? {} : { alpha: Number(options.alpha) }),
  });
  const graph = path.join(work, 'graph.onnx');
  const { graph: program, imports } = floatProgram(base, 'uint8');
  writeFileSync(graph, writeModel(program, {}, imports));

  const calibration = calibrated([...flags, '--data', someOf(photos, Math.max(images, LEAST), work)], work);
  const data = someOf(photos, images, work);
  flags.push('--data', data);
  const int8 = calibration === null ? null : ['--precision', 'int8', '--calibration', calibration];
  const int8Base: Base | null =
    calibration === null ? null : { ...base, calibration: (await readCalibration(calibration)).calibration };

  const peers: [string, Peer][] = [];
  for (const [peer, said] of Object.entries(PEERS)) {
    const started = await startPeer('stage_one', peer, name, size, data, graph);
    if (started !== null) peers.push([said, started]);
  }
  const [files, ready, memory] = [
    new Map<string, number[]>(),
    new Map<string, number[]>(),
    new Map<string, number[]>(),
  ];
  const note = (into: Map<string, number[]>, row: string, value: number) =>
    into.set(row, [...(into.get(row) ?? []), value]);
  const seconds = QUICK ? 2 : 5;
  for (let round = 0; round < rounds; round++) {
    const float = features(root, flags, work);
    note(files, 'Permafrost', float.rate);
    note(memory, 'Permafrost', float.peak);
    if (int8 !== null) note(files, 'Permafrost, int8', features(root, [...flags, ...int8], work).rate);
    if (against !== undefined) note(files, 'the other checkout', features(against, flags, work).rate);
    note(ready, 'Permafrost', await onPixels(base, seconds));
    if (int8Base !== null) note(ready, 'Permafrost, int8', await onPixels(int8Base, seconds));
    note(ready, 'onnxruntime alone', await onPixels(base, seconds, true));
    for (const [said, peer] of peers) {
      note(files, said, await peer.ask('files'));
      if (said === PEERS.keras) note(ready, said, await peer.ask('arrays'));
    }
  }
  for (const [, peer] of peers) await peer.end();

  const rowsOf = (from: Map<string, number[]>): Row[] => [...from].map(([row, values]) => ({ name: row, values }));
  const versions = {
    onnxruntime: runtimeVersion,
    ...Object.fromEntries(
      peers.flatMap(([, { version }]) => version.split(', ').map((one) => one.split(' ') as [string, string])),
    ),
  };
  const command = `node dist/bench/stage_one.js ${name}`;
  tell({
    ...{ title: `${title} ${size}×${size}, from files`, command, unit: 'images/s', rows: rowsOf(files), versions },
    text: `${images} JPEGs of about 500×375, read, decoded and resized; start and compilation excluded.`,
    over: ['Permafrost', PEERS.keras],
  });
  tell({
    ...{ title: `${title} ${size}×${size}, pixels ready`, command, unit: 'images/s', rows: rowsOf(ready), versions },
    text: 'The base alone, on pixels in memory: side by side as `features` runs it; alone, in one session, a batch after the other.',
    over: ['Permafrost', PEERS.keras],
  });
  tell({
    ...{ title: `${title} ${size}×${size}, memory`, command, unit: 'MB', rows: rowsOf(memory), versions: {} },
    ...{ text: 'Peak of resident memory of that `features`, the weights included.', over: [] },
  });
}

const args = process.argv.slice(2);
const rounds = Number(args.find((arg) => /^\d+$/.test(arg)) ?? process.env.ROUNDS ?? (QUICK ? 1 : 3));
const asked = args.filter((arg) => !/^\d+$/.test(arg));
for (const name of asked) {
  if (!(name in TRIED)) throw new Error(`stage_one knows ${Object.keys(TRIED).join(', ')}; found ${name}`);
}
const names = asked.length > 0 ? asked : QUICK ? ['xception-mini'] : Object.keys(TRIED);
const work = mkdtempSync(path.join(tmpdir(), 'permafrost-bench-'));
try {
  const most = Math.max(LEAST, ...names.map((name) => (QUICK ? LEAST : (TRIED[name] as Tried).images)));
  const photos = await drawPhotos(most, work);
  for (const name of names) await measure(name, rounds, photos, work);
} finally {
  rmSync(work, { recursive: true });
}
