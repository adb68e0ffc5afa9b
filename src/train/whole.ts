import { UsageError } from '../errors.js';
import { classWeights } from './class-weights.js';
import { fitFullBatch } from './full-batch.js';
import { measureNets } from './measure.js';
import { endingOf, foldedNet, unitsOf } from './net.js';
import type { ResolvedOptions } from './options.js';
import type { EpochRecord, Outcome, PlacedHead, TrainingData, TrainingRun } from './run.js';

/** Trains linear heads with L-BFGS, all of them in the same passes over the vectors, which are in memory. */
export async function trainWhole(run: TrainingRun, heads: readonly PlacedHead[]): Promise<Outcome[]> {
  const groups = new Map<boolean, (typeof heads)[number][]>();
  for (const head of heads) {
    const normalize = head.options.scale === 'l2';
    groups.set(normalize, [...(groups.get(normalize) ?? []), head]);
  }
  const outcomes: Outcome[] = [];
  for (const [normalize, group] of groups) outcomes.push(...(await fitGroup(run, group, normalize)));
  return outcomes;
}

async function fitGroup(
  { data, val, standardization, hooks }: TrainingRun,
  heads: readonly PlacedHead[],
  normalize: boolean,
): Promise<Outcome[]> {
  const { task, classes, y, rows } = data;
  const { d } = data.vectors;
  const units = unitsOf(task, classes.length);
  const ending = endingOf(task);
  const spec = { d, units, ending, hidden: [], activation: 'relu' as const, normalize, batchNorm: false };
  const width = task === 'multilabel' ? units : 1;
  const targets = new (task === 'multiclass' ? Int32Array : Float32Array)(rows.length * width);
  rows.forEach((row, i) => {
    for (let k = 0; k < width; k++) targets[i * width + k] = y[row * width + k] as number;
  });
  const fits = await fitFullBatch(
    { d, units, ending },
    await matrix(data, normalize),
    targets,
    heads.map(({ options }) => ({
      l2: options.l2,
      smoothing: options.labelSmoothing,
      weights: rowWeights(options, data),
      tolerance: options.tolerance,
      maxIterations: options.epochs,
      standardization: options.scale === 'standard' ? standardization : null,
    })),
    { ...(hooks.signal ? { signal: hooks.signal } : {}), ...(hooks.threads ? { threads: hooks.threads } : {}) },
  );
  const nets = fits.map(({ kernel, bias }, i) => {
    const scaled = heads[i]?.options.scale === 'standard' ? standardization : null;
    const variables = new Map([
      ['kernel0', kernel],
      ['bias0', bias],
    ]);
    return foldedNet(spec, variables, scaled);
  });
  const [measured = []] = await measureNets(spec, nets, [val], hooks.threads);
  return fits.map(({ value, kernel, iterations, converged }, i): Outcome => {
    const { place, options } = heads[i] as (typeof heads)[number];
    if (!Number.isFinite(value)) return { place, outcome: null };
    const record: EpochRecord = {
      epoch: Math.max(iterations, 1),
      loss: value - options.l2 * kernel.reduce((sum, weight) => sum + weight * weight, 0),
      valLoss: measured[i]?.loss ?? null,
      valAccuracy: measured[i]?.accuracy ?? null,
    };
    hooks.onEpoch?.(place, record);
    return {
      place,
      outcome: {
        net: nets[i] as (typeof nets)[number],
        history: [record],
        bestEpoch: record.epoch,
        end: converged ? 'converged' : 'epochs',
      },
    };
  });
}

/** The training vectors as one matrix, as they lie where all of a matrix is meant. */
async function matrix({ vectors, rows }: TrainingData & { rows: Uint32Array }, normalize: boolean) {
  const { d, n } = vectors;
  let x: Float32Array | undefined;
  let taken = 0;
  for await (const block of vectors.blocks(rows)) {
    if (block.at.length < rows.length) {
      throw new UsageError('lbfgs needs all vectors in memory at once: raise --memory, or take another optimizer');
    }
    if (!normalize && rows.length === n && block.x.length === n * d) return block.x;
    x ??= new Float32Array(rows.length * d);
    for (const at of block.at) {
      const row = block.x.subarray(at * d, (at + 1) * d);
      const length = normalize ? Math.max(Math.sqrt(row.reduce((sum, one) => sum + one * one, 0)), 1e-12) : 1;
      for (let j = 0; j < d; j++) x[taken++] = (row[j] as number) / length;
    }
  }
  return x ?? new Float32Array(0);
}

/** What each row counts. @throws UsageError for multilabel, where each label would count by itself */
function rowWeights({ classWeight }: ResolvedOptions, data: TrainingData & { rows: Uint32Array }): Float64Array | null {
  if (classWeight === null) return null;
  if (data.task === 'multilabel') {
    throw new UsageError('lbfgs takes no classWeight with several labels an image: leave it out, or take adam');
  }
  const weights = classWeights(classWeight, data, data.rows);
  return Float64Array.from(data.rows, (row) => weights?.[data.y[row] as number] ?? 1);
}
