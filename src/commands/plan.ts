import { PermafrostError } from '../errors.js';
import { examplesFile } from '../heads/examples.js';
import { type FittedHead, fitHead } from '../heads/fit.js';
import { resolveFit } from '../heads/fit-options.js';
import { makeHead, saveHead } from '../heads/head.js';
import { JointTraining } from '../heads/joint.js';
import { choosePlace } from '../heads/place.js';
import { type Plan, type PlannedHead, readPlan } from '../heads/plan-file.js';
import { divideExamples, noteGivenSplits, type Problem } from '../heads/problem.js';
import { checkOptions } from '../options/check.js';
import { layingOut } from '../train/laying-out.js';
import { checkEffect, resolveOptions } from '../train/options.js';
import type { EpochRecord } from '../train/run.js';
import { Corpus, type CorpusOptions } from './corpus.js';
import { headIdentity, mistakesOf, originOf, placeOf, resultOf, type TrainResult, tryHeadPlaces } from './train.js';

export interface TrainPlanOptions extends CorpusOptions {
  /** A YAML file, or the heads themselves. */
  readonly plan: string | Plan;
  /** @param place of the head among `heads`, from 0 */
  readonly onEpoch?: (head: string, record: EpochRecord, place: number, heads: number) => void;
  /** Each head when it is done, reused or has failed. */
  readonly onHead?: (result: PlanResult) => void;
}

/** What became of one head of a plan. */
export type PlanResult =
  | (TrainResult & {
      /** `reused`: it was there already, trained by the same options on the same labels and vectors. */
      readonly status: 'trained' | 'reused';
    })
  | {
      readonly status: 'failed';
      readonly head: string;
      /** Why, in a sentence. */
      readonly message: string;
    };

/**
 * Trains all heads of a plan from one read of the cache, side by side, and saves each in `cache/heads` as soon as it is done: heads of
 * one shape on the same images train in the same passes. A head that is there already with the same identity (options, labels, sides,
 * feature sets) is not trained again, so that the same call goes on where one was stopped; any other head of a planned name is
 * replaced, which the result says. A head that cannot be trained does not stop the others.
 * @returns one result a head, in the order of the plan
 * @throws UsageError, DataError or CacheError for a plan, a folder or a set that cannot be used
 */
export async function trainPlan(options: TrainPlanOptions): Promise<PlanResult[]> {
  checkOptions('train plan', options);
  const { heads } = typeof options.plan === 'string' ? await readPlan(options.plan) : options.plan;
  for (const { options: head, fit } of heads) {
    resolveOptions(head);
    checkEffect(head);
    resolveFit(fit);
  }
  for (const { name } of heads)
    await tryHeadPlaces({ name, ...(options.cache === undefined ? {} : { cache: options.cache }) });
  const corpus = await Corpus.open(options);
  const labelled = await labelAll(corpus, heads, options);
  const coming = heads.flatMap((planned) => {
    const found = labelled.get(labelsKey(planned));
    if (found === undefined || found instanceof Error) return [];
    return [{ ...found, options: planned.options, folds: planned.fit.folds }];
  });
  const table = await corpus.read(
    [...new Set(labelled.values())].filter((one) => !(one instanceof Error)) as never,
    layingOut(coming),
  );
  const results: PlanResult[] = [];
  const end = (at: number, result: PlanResult): void => {
    results[at] = result;
    options.onHead?.(result);
  };
  /** Does a head's part. @returns what it gives, nothing when it has failed, which is noted */
  const tried = async <T>(at: number, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof PermafrostError)) throw error;
      end(at, { status: 'failed', head: (heads[at] as PlannedHead).name, message: error.message });
      return undefined;
    }
  };
  const problems = new Map<string, Problem>();
  const waiting: { at: number; planned: PlannedHead; problem: Problem; save: (fitted: FittedHead) => Promise<void> }[] =
    [];
  for (const [at, planned] of heads.entries()) {
    options.signal?.throwIfAborted();
    await tried(at, async () => {
      const found = labelled.get(labelsKey(planned));
      if (found === undefined || found instanceof Error) throw found;
      const { seed } = resolveOptions(planned.options);
      const { val, shots } = resolveFit(planned.fit);
      noteGivenSplits(found, planned.fit.val, (message) => options.onWarning?.(`${planned.name}: ${message}`));
      const key = JSON.stringify([labelsKey(planned), seed, val, shots]);
      const problem =
        problems.get(key) ??
        (await divideExamples(found, (sha256) => table.rows.has(sha256), { seed, val, shots }, options.signal));
      problems.set(key, problem);
      const origin = originOf(
        corpus,
        await headIdentity(corpus, problem, planned.options, planned.fit, options.signal),
      );
      const cache = options.cache === undefined ? {} : { cache: options.cache };
      const place = placeOf({ ...cache, name: planned.name }, '');
      const { same, replaced } = await choosePlace(place, origin, { isGiven: true, replace: true });
      if (same !== null) {
        end(at, { status: 'reused', ...resultOf(same, same, { ...place, reused: true, replaced: null }, 0) });
        return;
      }
      const started = performance.now();
      const save = async (fitted: FittedHead): Promise<void> => {
        const examples = await examplesFile(problem, options.signal);
        await corpus.markUsed();
        await saveHead(place.dir, makeHead(fitted, origin, examples));
        const seconds = (performance.now() - started) / 1000;
        const what = { ...place, reused: false, replaced };
        const mistakes = mistakesOf(problem, table, fitted);
        end(at, { status: 'trained', ...resultOf(fitted.trained, fitted.learned, what, seconds, mistakes) });
      };
      waiting.push({ at, planned, problem, save });
    });
  }
  const joint = new JointTraining(waiting.length);
  const fits = waiting.map(({ at, planned, problem, save }) =>
    tried(at, async () =>
      save(
        await fitHead(problem, table, planned.options, planned.fit, {
          joint,
          onEpoch: (record) => options.onEpoch?.(planned.name, record, at, heads.length),
          onWarning: (message) => options.onWarning?.(`${planned.name}: ${message}`),
          ...(options.signal ? { signal: options.signal } : {}),
        }),
      ),
    ).finally(() => joint.leave()),
  );
  await Promise.allSettled(fits);
  await Promise.all(fits);
  return results;
}

const labelsKey = ({ labels, task }: PlannedHead): string => JSON.stringify([labels ?? null, task ?? null]);

type Labelled = Awaited<ReturnType<Corpus['label']>>;

/** Each label file is read once, whatever number of heads want it; one that cannot be used fails its heads only. */
async function labelAll(corpus: Corpus, heads: readonly PlannedHead[], { onWarning }: TrainPlanOptions) {
  const all = new Map<string, Labelled | PermafrostError>();
  for (const planned of heads) {
    const key = labelsKey(planned);
    if (all.has(key)) continue;
    try {
      all.set(key, await corpus.label(planned));
    } catch (error) {
      if (!(error instanceof PermafrostError)) throw error;
      onWarning?.(`${planned.labels ?? 'the folders'}: ${error.message}`);
      all.set(key, error);
    }
  }
  return all;
}
