import path from 'node:path';
import { HeadError, LabelError, UsageError } from '../errors.js';
import { examplesFile } from '../heads/examples.js';
import { placeFiles, tryPlace } from '../heads/files.js';
import { finishFolds, finishHead } from '../heads/fit.js';
import { checkCoverage, decisiveFit, type FitOptions, resolveFit } from '../heads/fit-options.js';
import { makeHead, saveHead } from '../heads/head.js';
import type { Learned } from '../heads/learned.js';
import { checkName, readSweepPlan } from '../heads/plan-file.js';
import { probe } from '../heads/probe.js';
import { divideExamples, identityOf, noteGivenSplits } from '../heads/problem.js';
import { foldsOf, sidesOf } from '../heads/sides.js';
import { checkSpace, parseAxis, type Space } from '../heads/space.js';
import { closedForms, headsOf } from '../heads/sweep-heads.js';
import { chooseSweepPlace } from '../heads/sweep-place.js';
import { differing, type Ranking, ranked, rankValue, type Tried } from '../heads/sweep-ranking.js';
import type { SweepRow } from '../heads/sweep-row.js';
import { sweepCsv, sweepFile, sweepTable } from '../heads/sweep-table.js';
import { type SweepProgress, tryFolds, tryHeads } from '../heads/trials.js';
import { checkOptions, usage } from '../options/check.js';
import { checkEffect, type HeadOptions, resolveOptions } from '../train/options.js';
import { Corpus, type CorpusOptions, type LabelOptions } from './corpus.js';
import {
  fitOptionsOf,
  headIdentity,
  headOptionsOf,
  mistakesOf,
  originOf,
  resultOf,
  type TrainResult,
  tryHeadPlaces,
} from './train.js';

/** The options of a head, where given, hold for all heads of the sweep. */
export interface SweepOptions extends CorpusOptions, LabelOptions, HeadOptions, FitOptions {
  /** What to try: `name=values` as the command line has it, or axes by the names of the options. */
  readonly grid?: readonly string[] | Space;
  /** Draws this many heads from the grid, in the place of every combination. */
  readonly random?: number;
  /** Searches l2 as linear probes do: lbfgs, a log grid of 97 strengths, found coarse to fine; lda and ridge go beside it. */
  readonly probe?: boolean;
  /** A YAML file with `grid`, `random` and options, which those given here go over. */
  readonly plan?: string;
  /** Drops the worse half of the heads after 4, 8, 16, … epochs. */
  readonly halving?: boolean;
  /** What the best head is chosen by, on validation. Default `loss`. */
  readonly by?: Ranking;
  /**
   * Of the sweep, in `cache/sweeps`, and of its best head, in `cache/heads`. Default: the set's name and `-sweep`; where another sweep
   * or head has it, with 8 digits of the identity behind.
   */
  readonly name?: string;
  /** Folder of the best head, in the place of a name. */
  readonly out?: string;
  /** Write over another sweep or head that is there. Default false: HeadError where it has the given name or folder. */
  readonly replace?: boolean;
  /** Before training starts, and before each further stage of a probe. */
  readonly onStart?: (heads: number) => void;
  /** After each epoch of heads that train together: how many of all are still training, and the lowest validation loss so far. */
  readonly onProgress?: (progress: SweepProgress) => void;
}

export interface SweepResult {
  readonly sweep: string;
  /** Arrow file of all results, absolute; `results.csv` beside it says the same. */
  readonly results: string;
  readonly by: Ranking;
  /** Options that differ between the heads. */
  readonly tried: readonly (keyof HeadOptions)[];
  /** Whether the sweep was there already, by the same options, labels and vectors: nothing was trained then. */
  readonly reused: boolean;
  /** By rank; then those that were dropped, the longest trained first, then those that diverged. */
  readonly heads: readonly SweepRow[];
  /** The saved head. */
  readonly best: TrainResult;
  readonly seconds: number;
}

/**
 * Trains many heads in one pass over the vectors, chooses the best on validation, trains it anew on all where asked for (`refit`),
 * measures it on the test images, and saves it. All results are kept in `cache/sweeps/<name>`, as `results.arrow` and `results.csv`.
 * A sweep that is there already with the same identity is not made again.
 * @throws UsageError for a grid that cannot be; LabelError without validation images; HeadError when all heads diverge; else as `train`
 */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const started = performance.now();
  checkSweepOptions(options);
  if (options.name !== undefined) checkName(options.name);
  const asked = await askedFor(options);
  const fit = resolveFit(asked.fit);
  const { seed } = resolveOptions(asked.common);
  await tryHeadPlaces(options);
  await tryPlace(path.resolve(options.cache ?? 'cache', 'sweeps', options.name ?? ''));
  const corpus = await Corpus.open(options);
  const labelled = await corpus.label(asked.labels);
  const by = checkRanking(options.by ?? 'loss', labelled.task);
  const table = await corpus.read([labelled]);
  const { val, shots } = fit;
  noteGivenSplits(labelled, asked.fit.val, options.onWarning);
  const { signal } = options;
  const problem = await divideExamples(labelled, (sha256) => table.rows.has(sha256), { seed, val, shots }, signal);
  checkCoverage(fit, problem);
  const sweepIdentity = await identityOf(
    problem,
    corpus.sets.facts.map(({ fingerprint }) => fingerprint),
    {
      ...asked,
      labels: null,
      fit: decisiveFit(fit),
      by,
      probe: options.probe === true,
      halving: options.halving === true,
    },
    signal,
  );
  const { name, dir, place, replaced, same } = await chooseSweepPlace(
    { cache: options.cache ?? 'cache', name: options.name ?? `${path.basename(corpus.sets.dirs[0] ?? 'head')}-sweep` },
    originOf(corpus, sweepIdentity),
    { out: options.out, isGiven: options.name !== undefined, replace: options.replace === true },
  );
  const results = path.join(dir, 'results.arrow');
  const seconds = (): number => (performance.now() - started) / 1000;
  if (same !== null) {
    const best = resultOf(same.best, same.best, { ...place, reused: true, replaced: null }, seconds());
    return { sweep: name, results, by, tried: same.tried, reused: true, heads: same.rows, best, seconds: seconds() };
  }
  for (const folder of [place.dir, dir]) await tryPlace(folder);
  const { sides, parts } =
    fit.folds === null
      ? { sides: await sidesOf(problem, table, options), parts: null }
      : await foldsOf(problem, table, { folds: fit.folds, seed }, options);
  if (parts === null && sides.val.rows.length === 0) {
    throw new LabelError(
      'a sweep needs validation images to choose the best head on: give more to validation, or cross-validate',
    );
  }
  const run = (heads: readonly HeadOptions[]): Promise<Tried[]> =>
    parts === null ? tryHeads(sides, heads, fit, options) : tryFolds(sides, parts, heads, fit, options);
  const tried: Tried[] = [];
  if (options.probe) {
    await probe(sides.train.rows.length, async (penalties) => {
      const stage = await run(penalties.map((l2) => ({ ...asked.common, optimizer: 'lbfgs', l2 })));
      tried.push(...stage);
      return stage.map((one) => rankValue(one, by));
    });
    tried.push(...(await run(closedForms(asked.common, labelled.task))));
  } else {
    tried.push(...(await run(headsOf(asked, labelled.task, seed, options.onWarning))));
  }

  const { rows, best: chosenHead } = ranked(tried, by);
  if (chosenHead === null) {
    const [first] = rows;
    throw new HeadError(
      `all ${rows.length} heads of the sweep diverged: ${first?.message ?? 'lower the learning rates'}`,
    );
  }
  const { learned, ...found } =
    chosenHead.parts === undefined
      ? await finishHead(sides, chosenHead.outcome, chosenHead.options, fit, options)
      : await finishFolds(sides, chosenHead.parts, chosenHead.options, fit, options);
  const chosen: Learned['chosen'] = [...(rows.length > 1 ? (['options'] as const) : []), ...(learned.chosen ?? [])];
  const fitted = { ...found, learned: { ...learned, chosen } };
  const identity = await headIdentity(corpus, problem, chosenHead.options, asked.fit, signal);
  const examples = await examplesFile(problem, signal);
  await corpus.markUsed();
  await saveHead(place.dir, makeHead(fitted, originOf(corpus, identity), examples));
  const names = differing(rows);
  const { task, classes } = problem;
  const facts = {
    name,
    by,
    task,
    classes,
    tried: names,
    sets: corpus.sets.facts.map(({ fingerprint }) => fingerprint),
    identity: sweepIdentity,
    head: identity,
  };
  const tableOfAll = sweepTable(rows, names);
  await placeFiles(dir, [
    ['results.csv', Buffer.from(sweepCsv(tableOfAll))],
    ['results.arrow', sweepFile(tableOfAll, facts)],
  ]);
  const what = { ...place, reused: false, replaced };
  const best = resultOf(fitted.trained, fitted.learned, what, seconds(), mistakesOf(problem, table, fitted));
  return { sweep: name, results, by, tried: names, reused: false, heads: rows, best, seconds: seconds() };
}

/**
 * @throws UsageError for options that are wrong or have no effect; those of the head may have one in some heads of the grid, which
 *   `headsOf` knows
 */
function checkSweepOptions(options: SweepOptions): void {
  if (options.halving && (options.folds ?? null) !== null) {
    throw usage(
      '{halving} drops heads by their loss on one validation side, {folds} have several: give one of the two',
    );
  }
  const isAlone = options.grid === undefined && options.plan === undefined && !options.probe;
  if (isAlone) throw usage('a sweep needs options to try: give {grid} lr=1e-4,1e-3, {plan} or {probe}');
  checkOptions('sweep', options, ['Head']);
}

interface Asked {
  /** Of every head. */
  readonly common: HeadOptions;
  readonly fit: FitOptions;
  readonly labels: LabelOptions;
  readonly space: Space;
  readonly random: number | undefined;
}

async function askedFor(options: SweepOptions): Promise<Asked> {
  const plan = options.plan === undefined ? undefined : await readSweepPlan(options.plan);
  const grid = options.grid ?? {};
  const isText = (given: readonly string[] | Space): given is readonly string[] => Array.isArray(given);
  const space = isText(grid) ? Object.fromEntries(grid.map(parseAxis)) : checkSpace(grid);
  const all = { ...plan?.space, ...space };
  if (options.probe && Object.keys(all).length > 0) {
    throw new UsageError('a probe searches l2 alone: leave the grid out, or list l2 in it without --probe');
  }
  const random = options.random ?? plan?.random;
  const labels = options.labels ?? plan?.labels;
  const task = options.task ?? plan?.task;
  const fit = { ...plan?.fit, ...fitOptionsOf(options) };
  const common = { ...plan?.options, ...headOptionsOf(options) };
  if (options.probe) {
    const idle = (['l2', 'optimizer'] as const).find((name) => common[name] !== undefined && common[name] !== 'lbfgs');
    if (idle !== undefined) throw usage(`a probe searches l2 with lbfgs: leave {${idle}} out`);
    checkEffect({ ...common, optimizer: 'lbfgs' });
  }
  return {
    common,
    fit,
    labels: { ...(labels === undefined ? {} : { labels }), ...(task === undefined ? {} : { task }) },
    space: all,
    random,
  };
}

function checkRanking(by: Ranking, task: string): Ranking {
  const [values, classes] = [
    ['loss', 'r2', 'mae', 'rmse'],
    ['loss', 'accuracy', 'f1', 'auc', 'averagePrecision', 'calibrationError'],
  ];
  const several = [...classes, 'microF1', 'hammingLoss'];
  const known = task === 'regression' ? values : task === 'multilabel' ? several : [...classes, 'balancedAccuracy'];
  if (known?.includes(by)) return by;
  throw new UsageError(`a ${task} sweep is ranked by one of ${known?.join(', ')}, not by ${by}`);
}
