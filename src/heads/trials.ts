import type { Metrics } from '../metrics/metrics.js';
import { type HeadOptions, resolveOptions } from '../train/options.js';
import type { Trained, TrainedHead, TrainingJob } from '../train/train.js';
import { measureFolds } from './fit.js';
import type { ResolvedFit } from './fit-options.js';
import { halving } from './halving.js';
import { JointTraining } from './joint.js';
import { metricsOf, thresholdOf } from './judge.js';
import { rowJob, scoresOf } from './row-trainer.js';
import type { FoldRows, Sides } from './sides.js';
import type { Tried } from './sweep-ranking.js';

export interface SweepProgress {
  readonly epoch: number;
  /** The most that a head takes. */
  readonly epochs: number;
  readonly training: number;
  readonly heads: number;
  readonly loss: number | null;
}

/** How heads are tried. */
export interface TrialHooks {
  /** Drops the worse half of the heads after 4, 8, 16, … epochs. */
  readonly halving?: boolean;
  /** Before training starts. */
  readonly onStart?: (heads: number) => void;
  /** After each epoch of heads that train together. */
  readonly onProgress?: (progress: SweepProgress) => void;
  readonly signal?: AbortSignal;
}

/** Trains heads on each part, all side by side, and says how far they are. */
async function trainAll(
  sides: Sides,
  parts: readonly FoldRows[],
  heads: readonly HeadOptions[],
  hooks: TrialHooks,
): Promise<Trained[]> {
  let lowest: number | null = null;
  const epochs = Math.max(...heads.map((head) => resolveOptions(head).epochs));
  const jobs: TrainingJob[] = [];
  for (const { train, val } of parts) {
    const drop = hooks.halving ? halving() : () => [];
    const job = await rowJob(sides, train, val, heads, {
      ...(hooks.signal ? { signal: hooks.signal } : {}),
      drop: (epoch, losses) => {
        const training = losses.filter((loss) => !Number.isNaN(loss));
        if (training.length > 0) lowest = Math.min(lowest ?? Number.POSITIVE_INFINITY, ...training);
        hooks.onProgress?.({ epoch, epochs, training: training.length, heads: heads.length, loss: lowest });
        return drop(epoch, losses);
      },
    });
    jobs.push(job);
  }
  return new JointTraining().train(jobs);
}

/** @returns heads that were trained together on one side, and what validation says of each */
export async function tryHeads(
  sides: Sides,
  heads: readonly HeadOptions[],
  fit: ResolvedFit,
  hooks: TrialHooks,
): Promise<Tried[]> {
  hooks.onStart?.(heads.length);
  const [outcomes = []] = await trainAll(sides, [sides], heads, hooks);
  const tried: Tried[] = [];
  for (const [i, outcome] of outcomes.entries()) {
    const metrics = outcome instanceof Error ? null : await pointMetrics(sides, outcome, fit);
    tried.push({ options: heads[i] as HeadOptions, outcome, metrics });
  }
  return tried;
}

/** @returns heads that were trained on each part, all parts side by side, and what all parts say of each */
export async function tryFolds(
  sides: Sides,
  parts: readonly FoldRows[],
  heads: readonly HeadOptions[],
  fit: ResolvedFit,
  hooks: TrialHooks,
): Promise<Tried[]> {
  hooks.onStart?.(heads.length);
  const outcomes = await trainAll(sides, parts, heads, hooks);
  const tried: Tried[] = [];
  for (const [i, head] of heads.entries()) {
    const all = outcomes.map((part) => part[i] as Trained[number]);
    const failed = all.find((one) => one instanceof Error);
    if (failed !== undefined) {
      tried.push({ options: head, outcome: failed, metrics: null });
      continue;
    }
    const trained = (all as TrainedHead[]).map((one, fold) => ({ ...(parts[fold] as FoldRows), trained: one }));
    const metrics = await measureFolds(sides, trained, head, fit);
    tried.push({ options: head, outcome: all[0] as TrainedHead, metrics, parts: trained });
  }
  return tried;
}

/** At the threshold that the head would be saved with, so that a row says of it what its report says. */
async function pointMetrics(sides: Sides, trained: TrainedHead, fit: ResolvedFit): Promise<Metrics | null> {
  const { task, classes, val } = sides;
  const scores = await scoresOf(sides, trained, val.rows);
  const answers = { task, classes: classes.length, scores, y: val.y };
  return metricsOf(answers, thresholdOf(answers, fit), { resamples: 0 });
}
