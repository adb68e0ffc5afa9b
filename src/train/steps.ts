import { availableParallelism } from 'node:os';
import type { Targets } from '../labels/targets.js';
import { Random } from '../random.js';
import type { HeadNet } from './head-net.js';
import { NetEvaluator } from './onnx/evaluator.js';
import { type Entrants, makePacks, netOf, type Pack, targetsOf } from './packs.js';
import { note, type Outcome, outcomeOf, type Progress, type TrainingRun } from './run.js';
import { shuffledRows } from './shuffle.js';
import type { TrainerMaker } from './trainer.js';

/** One problem on its way. */
interface Race extends Entrants {
  /** By place. */
  readonly progress: ReadonlyMap<number, Progress>;
  isOver: boolean;
}

/**
 * Trains heads by minibatches, all of them epoch by epoch; heads that see the same rows in the same order share the passes over
 * the vectors, and those of one shape the products too.
 * @param onEnd gets the outcomes of a problem once all of its heads have ended
 */
export async function trainBySteps(
  entrants: readonly Entrants[],
  maker: TrainerMaker,
  onEnd: (problem: number, outcomes: readonly Outcome[]) => void,
): Promise<void> {
  const races = entrants.map(({ run, heads }): Race => {
    const progress = heads.map(({ place, options }): [number, Progress] => [place, { options, history: [] }]);
    return { run, heads, progress: new Map(progress), isOver: false };
  });
  const of = new Map(races.map((race) => [race.run, race]));
  const threads = entrants[0]?.run.hooks.threads;
  const packs = await makePacks(entrants, maker, threads);
  const evaluators = new Map<Pack, Promise<NetEvaluator>>();
  const evaluatorOf = (pack: Pack): Promise<NetEvaluator> => {
    const made = evaluators.get(pack) ?? NetEvaluator.create(pack.spec, threads ?? threadsFor(pack.spec, pack.members));
    evaluators.set(pack, made);
    return made;
  };
  const orders = new Map(packs.map(({ order, seed }) => [order, new Random(`order ${seed}`)]));
  try {
    for (let epoch = 1; packs.some(({ members }) => members.length > 0); epoch++) {
      const open = packs.filter(({ members }) => members.length > 0);
      const losses = await oneEpoch(open, orders);
      const nets = await Promise.all(
        open.map((pack) => Promise.all(pack.members.map((_, index) => netOf(pack, index)))),
      );
      const measured = await evaluate(open, nets, evaluatorOf);
      const chosen = new Map<TrainingRun, number[]>();
      for (const [p, pack] of open.entries()) {
        for (const [i, { place, run }] of pack.members.entries()) {
          const { progress } = of.get(run) as Race;
          const count = run.val?.rows.length ?? 0;
          const sums = measured[p]?.[i];
          const valLoss = sums ? sums.loss / count : null;
          const valAccuracy = sums && !Number.isNaN(sums.hits) ? sums.hits / count : null;
          const loss = (losses[p]?.[i] as number) / run.data.rows.length;
          const all = chosen.get(run) ?? Array.from({ length: Math.max(...progress.keys()) + 1 }, () => Number.NaN);
          all[place] = valLoss ?? loss;
          chosen.set(run, all);
          const record = { epoch, loss, valLoss, valAccuracy };
          const net = nets[p]?.[i] as HeadNet;
          if (!note(progress.get(place) as Progress, record, net)) continue;
          run.hooks.onNet?.(place, net);
          run.hooks.onEpoch?.(place, record);
        }
      }
      for (const [run, all] of chosen) {
        for (const place of run.hooks.drop?.(epoch, all) ?? []) {
          const one = of.get(run)?.progress.get(place);
          if (one) one.end ??= 'dropped';
        }
      }
      for (const pack of open) {
        const { members } = pack;
        const kept = [...members.keys()].filter((i) => {
          const { run, place } = members[i] as (typeof members)[number];
          return of.get(run)?.progress.get(place)?.end === undefined;
        });
        if (kept.length === members.length) continue;
        pack.members = kept.map((i) => members[i] as (typeof members)[number]);
        pack.trainer.keep(kept);
      }
      for (const [problem, race] of races.entries()) {
        if (race.isOver || [...race.progress.values()].some(({ end }) => end === undefined)) continue;
        race.isOver = true;
        onEnd(
          problem,
          [...race.progress].map(([place, one]) => outcomeOf(place, one)),
        );
      }
    }
  } finally {
    await Promise.all([
      ...packs.map(({ trainer }) => trainer.release()),
      ...[...evaluators.values()].map(async (one) => (await one).release()),
    ]);
  }
}

/** Numbers of the validation vectors that are worth two threads. */
const MANY_NUMBERS = 2 ** 20;

const threadsFor = ({ d }: Pack['spec'], members: Pack['members']): number =>
  members.some(({ run }) => d * (run.val?.rows.length ?? 0) >= MANY_NUMBERS) ? Math.min(2, availableParallelism()) : 1;

/** @returns for each pack and head the loss summed over the rows */
async function oneEpoch(open: readonly Pack[], orders: ReadonlyMap<number, Random>): Promise<Float64Array[]> {
  const sums = open.map(({ members }) => new Float64Array(members.length));
  for (const [number, random] of orders) {
    const group = open.filter(({ order }) => order === number);
    const [first] = group;
    const data = first?.members[0]?.run.data;
    if (first === undefined || data === undefined) continue;
    for await (const block of data.vectors.blocks(first.rows, random, first.batchSize)) {
      const order = shuffledRows(block.rows, data.marks, random);
      const shuffled = {
        x: block.x,
        at: order.map((i) => block.at[i] as number),
        rows: order.map((i) => block.rows[i] as number),
      };
      for (const { trainer, members, batchSize, noise } of group) {
        const targets = targetsOf(members.map(({ y }) => y));
        const abort = (): void => {
          for (const { run } of members) run.hooks.signal?.throwIfAborted();
        };
        const seen = members.map((member) => member.seen);
        const losses = await trainer.run(shuffled, targets, batchSize, noise, abort, seen);
        const total = sums[open.findIndex((one) => one.trainer === trainer)] as Float64Array;
        losses.forEach((loss, i) => {
          total[i] = (total[i] as number) + loss;
        });
      }
    }
  }
  return sums;
}

/** @returns for each pack and head the sums over its validation rows; undefined where there are none */
async function evaluate(
  open: readonly Pack[],
  nets: readonly (readonly HeadNet[])[],
  evaluatorOf: (pack: Pack) => Promise<NetEvaluator>,
): Promise<({ loss: number; hits: number } | undefined)[][]> {
  const sums = open.map(({ members }) => members.map(({ side }) => (side === null ? undefined : { loss: 0, hits: 0 })));
  const add = (pack: number, head: number, found: { loss: number; hits: number } | undefined): void => {
    const sum = sums[pack]?.[head];
    if (sum === undefined) return;
    sum.loss += found?.loss ?? Number.NaN;
    sum.hits += found?.hits ?? Number.NaN;
  };
  const elsewhere: Promise<void>[] = [];
  for (const side of new Set(open.flatMap(({ members }) => members.map((member) => member.side)))) {
    const groups = open.map((pack, p) => ({
      ...{ pack, p },
      chosen: [...pack.members.keys()].filter((i) => pack.members[i]?.side === side),
    }));
    const asked = groups.filter(({ chosen }) => chosen.length > 0);
    const val = asked[0]?.pack.members[asked[0].chosen[0] as number]?.run.val;
    for await (const block of val?.vectors.blocks(val.rows) ?? []) {
      for (const { pack, p, chosen } of asked) {
        const all = chosen.map((i) => pack.members[i]?.valY as Targets);
        const inPlace = chosen.map((i, k) => pack.trainer.measure?.(i, block, all[k] as Targets) ?? null);
        if (inPlace.every((one) => one !== null)) {
          // What another thread measures is waited for when all has been asked.
          elsewhere.push(...inPlace.map(async (one, k) => add(p, chosen[k] as number, (await one) ?? undefined)));
          for (const one of elsewhere) one.catch(() => {}); // thrown where it is waited for
          continue;
        }
        const targets = targetsOf(all);
        const own = chosen.map((i) => nets[p]?.[i] as HeadNet);
        const found = await (await evaluatorOf(pack)).evaluate(own, block, targets);
        for (const [k, i] of chosen.entries()) add(p, i, found[k]);
      }
    }
  }
  await Promise.all(elsewhere);
  return sums;
}
