import { canonicalJson, type Json, sha256Hex } from '../canonical.js';
import type { OnnxProgram } from '../engine/engine.js';
import { CacheError, DataError } from '../errors.js';
import type { Fidelity } from './calibrate.js';
import { quantized, type Recipe } from './graph.js';
import { type Steps, stepsOf } from './steps.js';
import { widened } from './widen.js';

/** What makes the int8 program of one base at one input size, and how near its vectors come to float32. */
export interface Calibration {
  /** What it is for: all of a base's description that shapes what the program computes. */
  readonly base: { readonly [key: string]: Json };
  /** Digest of the layers and values that the numbers belong to, in order. */
  readonly steps: string;
  readonly recipe: Recipe;
  /** With the mean cosine that was asked for. */
  readonly fidelity: Fidelity & { readonly asked: number };
  /** Share of the multiply-adds that are in int8. */
  readonly share: number;
  /** Images that the ranges were measured on. */
  readonly images: number;
}

const FORMAT = 1;

/** @returns what the numbers of a calibration belong to: the layers and 8-bit values of a program, in order, without names */
export function digestSteps({ steps, points }: Steps): string {
  const kinds = steps.flatMap((step): Json[] => {
    if (step.type === 'float' || step.type === 'move') return [];
    return [[step.node.op, step.activation?.op ?? null, step.type === 'layer' ? step.weight.dims : null]];
  });
  return sha256Hex(canonicalJson([kinds, points.length]));
}

/**
 * The int8 program of a float one.
 * @param optimize whether it is widened for the runtime (`widened`), which changes no bit
 * @throws CacheError where the calibration belongs to another program
 */
export function int8Program(
  program: OnnxProgram,
  { steps: digest, recipe }: Calibration,
  optimize: boolean,
): OnnxProgram {
  const steps = stepsOf(program);
  if (digestSteps(steps) !== digest) {
    throw new CacheError(
      'the int8 calibration of this base was made by a version of Permafrost that runs its layers otherwise: ' +
        'use that version, or features --precision int8 --recalibrate for a new set',
    );
  }
  const int8 = quantized(steps, recipe).program;
  return optimize ? { ...int8, graph: widened(int8.graph) } : int8;
}

/** @returns the fields of its file */
export function calibrationFields({ recipe, ...rest }: Calibration): Record<string, Json> {
  const { scales, biases, weightBits, float } = recipe;
  return {
    format: FORMAT,
    base: rest.base,
    steps: rest.steps,
    weightBits,
    scales: scales.map(({ scale }) => scale),
    zeros: scales.map(({ zero }) => zero),
    biases: biases.map((bias) => (bias === null ? null : Array.from(bias))),
    float,
    fidelity: { ...rest.fidelity },
    share: rest.share,
    images: rest.images,
  };
}

const isCount = (value: unknown, max: number): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
const isLevel = (value: unknown): value is number =>
  Number.isInteger(value) && Math.abs(value as number) <= 2 ** 31 - 1;
const isScale = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && Number.isFinite(value) && Math.fround(value) === value;
const isShare = (value: unknown): value is number => typeof value === 'number' && value >= -1 && value <= 1.0001;

/**
 * Reads the fields of a calibration's file.
 * @throws DataError that says what does not fit; `where` names the file
 */
export function parseCalibration(fields: Readonly<Record<string, Json>>, where: string): Calibration {
  const fail = (what: string): DataError => new DataError(`${where} is no int8 calibration of this version: ${what}`);
  const { format, base, steps, weightBits, scales, zeros, biases, float, fidelity, share, images } = fields;
  if (format !== FORMAT) throw fail(`its format is ${JSON.stringify(format) ?? 'not given'}, expected ${FORMAT}`);
  if (typeof base !== 'object' || base === null || Array.isArray(base)) throw fail('it names no base');
  if (typeof steps !== 'string') throw fail('it names no program');
  if (weightBits !== 7 && weightBits !== 8) throw fail('its weights must have 7 or 8 bits');
  if (!Array.isArray(scales) || !scales.every(isScale)) throw fail('its scales must be positive numbers');
  if (!Array.isArray(zeros) || zeros.length !== scales.length || !zeros.every((zero) => isCount(zero, 255)))
    throw fail('its zero points must be whole numbers from 0 to 255, one for each scale');
  const isBias = (one: Json): boolean => one === null || (Array.isArray(one) && one.every(isLevel));
  if (!Array.isArray(biases) || !biases.every(isBias)) throw fail('its biases must be whole numbers of 32 bits');
  if (!Array.isArray(float) || !float.every((one) => isCount(one, biases.length - 1)))
    throw fail('the layers that it leaves in float must be numbers of layers');
  const { asked, mean, low, images: judged } = Object(fidelity) as Record<string, Json>;
  if (![asked, mean, low, share].every(isShare) || !isCount(judged, 2 ** 31) || !isCount(images, 2 ** 31))
    throw fail('it does not say how near its vectors come');
  return {
    base: base as { readonly [key: string]: Json },
    steps,
    recipe: {
      weightBits,
      scales: scales.map((scale, i) => ({ scale: scale as number, zero: zeros[i] as number })),
      biases: biases as (number[] | null)[],
      float: float as number[],
    },
    fidelity: { asked: asked as number, mean: mean as number, low: low as number, images: judged },
    share: share as number,
    images,
  };
}
