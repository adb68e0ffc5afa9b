import { byCodePoint } from '../canonical.js';
import { realSystem } from '../files/index.js';
import { readSeen, type Seen } from '../heads/examples.js';
import type { Answers } from '../heads/judge.js';
import { metricsOf } from '../heads/judge.js';
import type { Example } from '../labels/labels.js';
import type { Split } from '../labels/splits.js';
import type { Metrics } from '../metrics/metrics.js';
import { counted, whole } from '../report/format.js';
import type { Neighbour, OnData, ReportImage, VectorMap } from '../report/model.js';
import { principalPlane } from '../report/pca.js';
import { mistakesOf, uncertainOf } from '../report/rows.js';
import { imageAddress, isObjectAddress } from '../sources/index.js';
import { answersOn, type Measured, type MeasuredOn, measure } from './evaluate.js';
import type { OpenedHead, Outputs } from './predict.js';

/** Points of the map of vectors. */
const MOST_POINTS = 1500;
/** Bytes of training vectors among which the nearest are looked for. */
const MOST_TRAINING = 2 ** 26;
/** Training images that are named as the nearest. */
const NEAREST = 5;

/** What a head says of the images it is measured on. */
export interface Looked {
  readonly measured: Measured;
  readonly onData: OnData;
}

/** The images of a report, each with a place. */
export class Images {
  private readonly places = new Map<string, number>();
  readonly all: ReportImage[] = [];

  placeOf({ path: file, sha256 }: Pick<Example, 'path' | 'sha256'>): number {
    const key = `${sha256} ${file}`;
    const known = this.places.get(key);
    if (known !== undefined) return known;
    this.places.set(key, this.all.length);
    return this.all.push({ path: file, sha256 }) - 1;
  }
}

/** Where an image was when a head was trained: `new` nowhere; undefined where that is not known. */
export type Side = Split | 'new' | undefined;

/** @returns the side of an example: as the head keeps it, of a head that keeps none as its folder or label file has it */
export const sideBy =
  (seen: Seen | null) =>
  ({ sha256, split }: Example): Side => {
    if (seen === null) return split;
    return seen.trained.has(sha256) ? 'train' : (seen.sides.get(sha256) ?? 'new');
  };

/**
 * Measures on what the head was not trained on: test images and new ones, where there is no test image the validation images too.
 * @returns which of the examples those are, and what is said of it
 */
export function chooseSide(sides: readonly Side[], data: string): { keep: readonly boolean[]; which: string } {
  const count = (side: Side): number => sides.filter((one) => one === side).length;
  const [train, val, test, fresh, open] = [count('train'), count('val'), count('test'), count('new'), count(undefined)];
  const images = counted(sides.length, 'labelled image');
  const every = sides.map(() => true);
  if (train + val + test + fresh === 0) {
    return {
      keep: every,
      which: `Measured on the ${images} of ${data}. Which of them it was trained on is not known.`,
    };
  }
  if (train === sides.length) {
    return {
      keep: every,
      which: `Measured on the ${images} of ${data}, all of which trained it: expect less on new ones.`,
    };
  }
  const parts = [
    ...(test > 0 ? [counted(test, 'test image')] : val > 0 ? [counted(val, 'validation image')] : []),
    ...(fresh > 0 ? [`${counted(fresh, 'image')} that it had not seen`] : []),
    ...(open > 0 ? [`${counted(open, 'image')} of no split`] : []),
  ];
  const keep = sides.map((side) => side !== 'train' && (side !== 'val' || test === 0));
  const left = keep.filter((one) => !one).length;
  const chose = left - train;
  const out = [
    ...(train > 0 ? [`${whole(train)} that trained it`] : []),
    ...(chose > 0 ? [`${whole(chose)} that validated it`] : []),
  ];
  const others = out.length > 0 ? `; ${out.join(' and ')} left out` : '';
  return { keep, which: `Measured on ${parts.join(' and ')} of ${data}${others}.` };
}

const subset = (head: OpenedHead, { examples, answers }: Measured, keep: readonly boolean[]): Measured => {
  const columns = answers.scores.length / examples.length;
  const rows = keep.flatMap((is, row) => (is ? [row] : []));
  const scores = new Float32Array(rows.length * columns);
  for (const [at, row] of rows.entries())
    scores.set(answers.scores.subarray(row * columns, (row + 1) * columns), at * columns);
  const kept = rows.map((row) => examples[row] as Example);
  return { examples: kept, answers: answersOn(head.info, kept, scores) };
};

/** Vectors by hash, of the lowest hashes: a seeded draw that more images do not turn over. */
class Drawn {
  private vectors = new Map<string, Float32Array>();

  constructor(private readonly most: number) {}

  add(sha256: string, vector: Float32Array): void {
    if (this.vectors.has(sha256)) return;
    this.vectors.set(sha256, vector.slice());
    // Now and then, not each time.
    if (this.vectors.size > 2 * this.most) this.cut();
  }

  private cut(): void {
    const keys = [...this.vectors.keys()].sort(byCodePoint).slice(0, this.most);
    this.vectors = new Map(keys.map((key) => [key, this.vectors.get(key) as Float32Array]));
  }

  get(): ReadonlyMap<string, Float32Array> {
    this.cut();
    return this.vectors;
  }
}

/**
 * Asks a head about the labelled images of a folder.
 * @throws as `evaluate`
 */
export async function lookAt(head: OpenedHead, data: string, options: MeasuredOn, images: Images): Promise<Looked> {
  const { info } = head;
  const drawn = new Drawn(Math.max(MOST_POINTS, Math.floor(MOST_TRAINING / (4 * info.dim))));
  const all = await measure(head, data, options, ({ sha256, vector }: Outputs) => drawn.add(sha256, vector));
  const sides = all.examples.map(sideBy(await readSeen(head.dir, info)));
  const { keep, which } = chooseSide(sides, data);
  const measured = subset(head, all, keep);
  const { examples, answers } = measured;
  const metrics = metricsOf(answers, info.threshold, {
    resamples: options.bootstrap ?? 1000,
    seed: info.seed,
  }) as Metrics;
  const vectors = drawn.get();
  const mistakes = mistakesOf(answers, info.threshold);
  const uncertain = uncertainOf(answers, info.threshold);
  const training = all.examples.filter((_, i) => sides[i] === 'train');
  const shown = [...mistakes, ...uncertain];
  const neighbours = await neighboursOf(head, data, examples, shown, training, vectors);
  return {
    measured,
    onData: {
      which,
      metrics,
      answers,
      labels: examples.map(({ label }) => label),
      places: examples.map((example) => images.placeOf(example)),
      mistakes,
      uncertain,
      neighbours,
      map: mapOf(examples, vectors, info.dim),
      heat: new Map(),
    },
  };
}

/** The rows of the lowest hashes, of which the vectors were drawn. */
function mapOf(examples: readonly Example[], vectors: ReadonlyMap<string, Float32Array>, d: number): VectorMap | null {
  const rows = examples.flatMap(({ sha256 }, row) => (vectors.has(sha256) ? [row] : [])).slice(0, MOST_POINTS);
  const x = new Float32Array(rows.length * d);
  for (const [at, row] of rows.entries()) x.set(vectors.get((examples[row] as Example).sha256) as Float32Array, at * d);
  const found = principalPlane(x, d);
  return found && { ...found, rows };
}

/** Names that are no UTF-8 are shown otherwise than they are, and lead nowhere. */
const isFile = (file: string): Promise<boolean> =>
  realSystem.kind(file).then(
    (kind) => kind === 'file',
    () => false,
  );

const unit = (vector: Float32Array): Float32Array => {
  let square = 0;
  for (const value of vector) square += value * value;
  const length = Math.sqrt(square) || 1;
  return vector.map((value) => value / length);
};

/** @returns of each row the training images whose vectors point most nearly the same way */
async function neighboursOf(
  head: OpenedHead,
  data: string,
  examples: readonly Example[],
  rows: readonly number[],
  training: readonly Example[],
  vectors: ReadonlyMap<string, Float32Array>,
): Promise<Map<number, Neighbour[]>> {
  const known = [...new Map(training.map((one) => [one.sha256, one])).values()].flatMap((example) => {
    const vector = vectors.get(example.sha256);
    return vector === undefined ? [] : [{ example, vector: unit(vector) }];
  });
  const found = new Map<number, Neighbour[]>();
  if (known.length === 0 || rows.length === 0) return found;
  const own = new Map<string, Float32Array>();
  const missing: string[] = [];
  for (const row of rows) {
    const { sha256, path: file } = examples[row] as Example;
    const vector = vectors.get(sha256);
    if (vector !== undefined) own.set(sha256, vector);
    else if (file !== '' && (isObjectAddress(data) || (await isFile(imageAddress(data, file)))))
      missing.push(imageAddress(data, file));
  }
  if (missing.length > 0)
    for await (const one of head.outputs(missing)) if (one.error === undefined) own.set(one.sha256, one.vector.slice());
  for (const row of rows) {
    const vector = own.get((examples[row] as Example).sha256);
    if (vector === undefined) continue;
    const from = unit(vector);
    const all = known.map(({ example, vector: to }): Neighbour & { sha256: string } => {
      let similarity = 0;
      for (let j = 0; j < to.length; j++) similarity += (to[j] as number) * (from[j] as number);
      return { path: example.path, label: example.label, similarity, sha256: example.sha256 };
    });
    all.sort((a, b) => b.similarity - a.similarity || byCodePoint(a.sha256, b.sha256));
    found.set(
      row,
      all.slice(0, NEAREST).map(({ path: file, label, similarity }) => ({ path: file, label, similarity })),
    );
  }
  return found;
}

/** Answers of one kind can be compared. */
export const kindOf = ({ task, classes }: { task: Answers['task']; classes: readonly string[] }): string =>
  `${task} ${[...classes].sort(byCodePoint).join('\n')}`;
