import path from 'node:path';
import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import { type Agreement, agreement, inWords, type Tolerance, within } from '../engine/agreement.js';
import type { Engine, EngineOptions, LoadOptions, Runner } from '../engine/engine.js';
import { processor } from '../engine/processor.js';
import { EngineError } from '../errors.js';
import {
  openScratch,
  readWhole,
  realSystem,
  type StoreOptions,
  type StoreSystem,
  writeAtomically,
} from '../files/index.js';
import { Random } from '../random.js';
import type { Base } from './base.js';
import { isKept } from './kept.js';
import { keptDir } from './place.js';
import { loadBase } from './program.js';
import { seal, unseal } from './sealed.js';

/** Bumped when bases are compiled otherwise, or other pictures are shown, so that all are proved anew. */
const REVISION = 3;
/** What reordered sums of float32 may differ by. */
const EXACT: Tolerance = { kind: 'largest', limit: 1e-4 };
/** Where values are rounded to 8 or 16 bits on the way, an optimizer may round them once less. */
const ROUNDED = { kind: 'cosine', least: 0.999 } as const;
const LARGEST = 2 ** 16;

export interface ProofOptions extends EngineOptions, StoreOptions {
  /** The cache that keeps the base, and then its proof. Default: none, so that it is proved in each process. */
  readonly cache?: string;
  /**
   * Some of the user's own pictures, as the base takes them: an int8 base is compared on eight of them too, as made ones may not show
   * what a processor does to large sums. Default: none.
   */
  readonly pictures?: () => Promise<readonly (Float32Array | Uint8Array)[]>;
}

/** Pictures of the user's own that an int8 base is compared on. */
export const OWN_PICTURES = 8;

type Input = 'float32' | 'uint8';

/** Proofs of this process, with their place: those of a cache that cannot be written cost once in each. */
const proved = new Set<string>();

/**
 * Loads a base in an engine, and compares it with itself computed without the engine's optimizer, once for each engine, version,
 * device and processor: at one image and at the batch size, two made pictures.
 * @throws EngineError where they differ, and as `loadBase`
 */
export async function loadProven(
  base: Base,
  engine: Engine,
  given: ProofOptions & Pick<LoadOptions, 'lanes'> & { readonly input: Input },
  batchSize: number,
): Promise<Runner> {
  const options = { ...given, ...scratchBeside(base, given) };
  const { cache, system = realSystem } = options;
  if (engine.optimizes !== true) return loadBase(base, engine, options);
  const facts = factsOf(base, engine, options);
  const key = sha256Hex(canonicalJson(facts));
  const dir = cache === undefined ? undefined : keptDir(cache, base.spec);
  const name = `_proof-${key.slice(0, 16)}.json`;
  const held = `${dir ?? ''} ${key}`;
  if (proved.has(held) || (dir !== undefined && (await isProved(path.join(dir, name), facts, system)))) {
    proved.add(held);
    return loadBase(base, engine, options);
  }
  const made = [picture(base, options.input, noise), picture(base, options.input, smooth)];
  const own = base.calibration === undefined ? [] : await options.pictures?.();
  const pictures = [...made, ...(own ?? []).slice(0, OWN_PICTURES)];
  const reference = await withRunner(
    await loadBase(base, engine, { ...options, device: 'cpu', optimize: false, lanes: 1 }),
    (runner) => vectors(runner, pictures, 1),
  );
  const runner = await loadBase(base, engine, options);
  try {
    const tolerance = toleranceOf(base);
    let worst: Agreement = { difference: 0, cosine: 1 };
    for (const size of new Set([1, batchSize])) {
      const got = await vectors(runner, pictures, size);
      for (const [i, vector] of got.entries()) {
        const expected = reference[i % pictures.length] as Float32Array;
        const found = agreement(expected, vector, base.spec.features);
        if (!within(found, tolerance)) throw unproved(base, engine, options, inWords(found, tolerance));
        worst = {
          difference: Math.max(worst.difference, found.difference),
          cosine: Math.min(worst.cosine, found.cosine),
        };
      }
    }
    proved.add(held);
    if (cache !== undefined && dir !== undefined && (await isKept(cache, base.spec, { system }))) {
      const bytes = Buffer.from(seal({ ...facts, ...worst }));
      await writeAtomically(system, dir, name, [bytes]).catch(() => {}); // it is held in memory
    }
    return runner;
  } catch (error) {
    await runner.release();
    throw error;
  }
}

/** The weights of a large model lie beside the base that a cache keeps while an engine reads them. */
function scratchBeside({ spec }: Base, { cache, system = realSystem }: ProofOptions): Pick<LoadOptions, 'scratch'> {
  return cache === undefined ? {} : { scratch: () => openScratch(system, keptDir(cache, spec)) };
}

/** All that a proof is for. */
function factsOf({ spec }: Base, engine: Engine, { device = 'cpu' }: EngineOptions): Record<string, Json> {
  const { graph, weights, input, preprocess, pooling, precision, calibration } = spec;
  const { model, flags } = processor();
  return {
    revision: REVISION,
    base: { graph, weights, input, preprocess, pooling, floats: spec.image.mode === 'keras-bilinear' },
    engine: engine.name,
    version: engine.version,
    device,
    precision,
    ...(calibration === undefined ? {} : { calibration }),
    processor: { model, flags },
  };
}

async function isProved(file: string, facts: Record<string, Json>, system: StoreSystem): Promise<boolean> {
  try {
    const fields = unseal(Buffer.from(await readWhole(system, file, LARGEST)).toString('utf8'));
    const { difference: _, cosine: __, ...found } = fields ?? {};
    return canonicalJson(found) === canonicalJson(facts);
  } catch {
    return false;
  }
}

function unproved(
  { name, spec: { precision } }: Base,
  engine: Engine,
  { device = 'cpu' }: EngineOptions,
  found: string,
): EngineError {
  if (precision === 'int8') return saturates(name, found);
  const other = device === 'cpu' ? '--engine tensorflow' : '--device cpu';
  return new EngineError(
    `${name} gives other vectors with ${engine.name} ${engine.version} on ${device} (${processor().model}) than without its optimizer, ${found}: ` +
      `use ${other}, or another version of the engine, and report it`,
  );
}

/** Instruction sets whose sums of 8-bit products are whole: of x86 and ARM, as Linux names them. */
const WHOLE_SUMS = /^(avx512_vnni|avx_vnni|amx_int8|asimddp|i8mm)$/;

/** @returns whether a processor adds products of 8 bits without overflow, so that weights may take all 8 */
export const hasWholeSums = ({ flags } = processor()): boolean => flags.some((flag) => WHOLE_SUMS.test(flag));

/** Why an int8 base cannot be used on this processor, and what can. */
export function saturates(name: string, found: string, its = processor()): EngineError {
  const what = `${name} in int8 gives other vectors on this processor (${its.model}) than without the engine's optimizer, ${found}: `;
  return new EngineError(
    hasWholeSums(its)
      ? `${what}its sums of 8-bit products are whole, so it is the engine's rounding, of which this base makes much; use --precision float32, or a lower --fidelity`
      : `${what}its sums of 8-bit products overflow where it lacks VNNI or AMX; use --weight-bits 7, which is another calibration, or --precision float32`,
  );
}

/** The fidelity from which on vectors change so little that the engine's own rounding must not be seen in them. */
const STEADY = 0.998;

/**
 * What the engine's rounding may cost an int8 base: a cosine of 0.999; of one for which a lower fidelity was accepted, as it makes much of
 * small differences, twice what that is away from 1.
 */
export const int8Tolerance = (fidelity: number): Tolerance & { readonly kind: 'cosine' } =>
  fidelity >= STEADY ? ROUNDED : { kind: 'cosine', least: 1 - 2 * (1 - fidelity) };

function toleranceOf(base: Base): Tolerance {
  const { calibration } = base;
  if (calibration !== undefined) return int8Tolerance(calibration.fidelity.asked);
  return rounds(base) ? ROUNDED : EXACT;
}

/** Whether a model rounds values on the way. */
function rounds({ model }: Base): boolean {
  if (model.kind === 'layers') return false;
  const { nodes, initializers, inputs } = model.onnx.graph;
  return (
    nodes.some(({ op }) => /Quantize|Integer/.test(op)) ||
    [...initializers, ...inputs].some(({ type }) => type === 'float16' || type === 'bfloat16')
  );
}

type Draw = (row: number, column: number, channel: number, size: number) => number;

const noise: () => Draw = () => {
  const random = new Random('a base is proved');
  return () => random.below(256);
};

/** Slopes and waves: large areas of one sign. */
const smooth: () => Draw = () => (row, column, channel, size) =>
  Math.round(127.5 + 127.5 * Math.sin((row * (channel + 1) + 2 * column) / (size / 5)));

/** `[height, width, channels]`, 0 to 255 */
function picture({ spec }: Base, input: Input, draw: () => Draw): Float32Array | Uint8Array {
  const { height, width, channels } = spec.input;
  const value = draw();
  const pixels = Float32Array.from({ length: height * width * channels }, (_, i) =>
    value(Math.floor(i / channels / width), Math.floor(i / channels) % width, i % channels, Math.max(height, width)),
  );
  return input === 'uint8' ? Uint8Array.from(pixels) : pixels;
}

/** @returns a vector for each picture, again and again until a batch is full */
async function vectors(
  runner: Runner,
  pictures: readonly (Float32Array | Uint8Array)[],
  batchSize: number,
): Promise<Float32Array[]> {
  const found: Float32Array[] = [];
  const length = pictures[0]?.length ?? 0;
  for (let start = 0; start < pictures.length; start += batchSize) {
    const shown = Array.from({ length: batchSize }, (_, i) => pictures[(start + i) % pictures.length] as Float32Array);
    const batch =
      pictures[0] instanceof Uint8Array ? new Uint8Array(length * batchSize) : new Float32Array(length * batchSize);
    for (const [i, pixels] of shown.entries()) batch.set(pixels, i * length);
    const [computed = new Float32Array()] = await runner.run(batch, batchSize);
    const d = computed.length / batchSize;
    for (let i = 0; i < batchSize; i++) found.push(computed.slice(i * d, (i + 1) * d));
  }
  return found;
}

async function withRunner<T>(runner: Runner, use: (runner: Runner) => Promise<T>): Promise<T> {
  try {
    return await use(runner);
  } finally {
    await runner.release();
  }
}
