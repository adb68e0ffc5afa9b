import { Random } from '../random.js';
import type { HeadNet } from './head-net.js';
import { NetEvaluator } from './onnx/evaluator.js';
import { makePacks, netOf, type Pack } from './packs.js';
import { note, type Outcome, outcomeOf, type PlacedHead, type Progress, type TrainingRun } from './run.js';
import type { TrainerMaker } from './trainer.js';

const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
const multipleOf = (sizes: readonly number[]): number =>
  sizes.reduce((all, size) => (all / common(all, size)) * size, 1);

/** Trains heads by minibatches, all of them epoch by epoch; heads of one seed share the passes over the vectors. */
export async function trainBySteps(
  run: TrainingRun,
  heads: readonly PlacedHead[],
  maker: TrainerMaker,
): Promise<Outcome[]> {
  for (const { options } of heads) maker.check(options);
  const { data, val, standardization, hooks } = run;
  const progress = new Map<number, Progress>(heads.map(({ place, options }) => [place, { options, history: [] }]));
  const packs = await makePacks(data, data.rows, heads, standardization, maker, hooks.threads);
  const evaluators = await Promise.all(packs.map(({ spec }) => NetEvaluator.create(spec, hooks.threads)));
  const orders = new Map(
    [...new Set(packs.map(({ seed }) => seed))].map((seed) => [seed, new Random(`order ${seed}`)]),
  );
  try {
    for (let epoch = 1; packs.some(({ places }) => places.length > 0); epoch++) {
      const open = packs.filter(({ places }) => places.length > 0);
      const losses = await oneEpoch(open, orders, run);
      const nets = await Promise.all(
        open.map((pack) => Promise.all(pack.places.map((_, index) => netOf(pack, index)))),
      );
      const measured = val === null ? null : await evaluate(val, open, nets, (pack) => evaluators[packs.indexOf(pack)]);
      const chosen = Array.from({ length: Math.max(...progress.keys()) + 1 }, () => Number.NaN);
      for (const [p, pack] of open.entries()) {
        for (const [i, place] of pack.places.entries()) {
          const one = progress.get(place) as Progress;
          const sums = measured?.[p]?.[i];
          const valLoss = sums && val ? sums.loss / val.rows.length : null;
          const valAccuracy = sums && val && !Number.isNaN(sums.hits) ? sums.hits / val.rows.length : null;
          const loss = (losses[p]?.[i] as number) / data.rows.length;
          chosen[place] = valLoss ?? loss;
          const record = { epoch, loss, valLoss, valAccuracy };
          if (note(one, record, nets[p]?.[i] as HeadNet)) hooks.onEpoch?.(place, record);
        }
      }
      for (const place of hooks.drop?.(epoch, chosen) ?? []) {
        const one = progress.get(place);
        if (one) one.end ??= 'dropped';
      }
      for (const pack of open) {
        const kept = [...pack.places.keys()].filter((i) => progress.get(pack.places[i] as number)?.end === undefined);
        if (kept.length < pack.places.length) {
          pack.places = kept.map((i) => pack.places[i] as number);
          pack.trainer.keep(kept);
        }
      }
    }
  } finally {
    await Promise.all([...packs.map(({ trainer }) => trainer.release()), ...evaluators.map((one) => one.release())]);
  }
  return [...progress].map(([place, one]) => outcomeOf(place, one));
}

/** @returns for each pack and head the loss summed over the rows */
async function oneEpoch(
  open: readonly Pack[],
  orders: ReadonlyMap<number, Random>,
  { data, hooks }: TrainingRun,
): Promise<Float64Array[]> {
  const sums = open.map(({ places }) => new Float64Array(places.length));
  for (const [seed, random] of orders) {
    const group = open.filter((pack) => pack.seed === seed);
    if (group.length === 0) continue;
    const multiple = multipleOf(group.map(({ batchSize }) => batchSize));
    for await (const block of data.vectors.blocks(data.rows, random, multiple)) {
      const order = random.permutation(block.at.length);
      const shuffled = {
        x: block.x,
        at: order.map((i) => block.at[i] as number),
        rows: order.map((i) => block.rows[i] as number),
      };
      for (const pack of group) {
        const losses = await pack.trainer.run(shuffled, data.y, pack.batchSize, pack.noise, () =>
          hooks.signal?.throwIfAborted(),
        );
        const total = sums[open.indexOf(pack)] as Float64Array;
        losses.forEach((loss, i) => {
          total[i] = (total[i] as number) + loss;
        });
      }
    }
  }
  return sums;
}

/** @returns for each pack and head the sums over the validation rows */
async function evaluate(
  val: NonNullable<TrainingRun['val']>,
  open: readonly Pack[],
  nets: readonly (readonly HeadNet[])[],
  evaluatorOf: (pack: Pack) => NetEvaluator | undefined,
): Promise<{ loss: number; hits: number }[][]> {
  const sums = open.map(({ places }) => places.map(() => ({ loss: 0, hits: 0 })));
  for await (const block of val.vectors.blocks(val.rows)) {
    for (const [p, pack] of open.entries()) {
      const found = await evaluatorOf(pack)?.evaluate(nets[p] ?? [], block, val.y);
      sums[p] = (sums[p] ?? []).map(({ loss, hits }, i) => ({
        loss: loss + (found?.[i]?.loss ?? Number.NaN),
        hits: hits + (found?.[i]?.hits ?? Number.NaN),
      }));
    }
  }
  return sums;
}
