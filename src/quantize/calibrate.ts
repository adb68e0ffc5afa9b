import type { OnnxProgram } from '../engine/engine.js';
import { EngineError } from '../errors.js';
import { corrected } from './correct.js';
import { cosines, int8Share, vectorsOf } from './fidelity.js';
import { quantized, type Recipe, scaleOf } from './graph.js';
import { type Batch, type Observed, observe, type Range } from './observe.js';
import { type Steps, stepsOf } from './steps.js';

/** A layer that gives no more channels stays in float, where the runtime is about as fast, and which costs no fidelity. */
const FEW_CHANNELS = 16;
/** Of a base's multiply-adds, those that must be in int8. */
export const LEAST_SHARE = 0.8;
/** Groups of layers that are tried alone. */
const GROUPS = 24;
/** Images on which they are. */
const TRIED = 16;
/** Bytes of 8-bit values that are held at once while biases are corrected. */
const HELD_BYTES = 2 ** 29;

export interface CalibrateOptions {
  /** The least mean cosine with the float vectors. */
  readonly fidelity: number;
  readonly weightBits: 7 | 8;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** What is being done, how much of it is, and of how much. */
  readonly onProgress?: (what: string, done: number, total: number) => void;
  /** Something that should be known. */
  readonly onWarning?: (message: string) => void;
  /** Looks at the int8 program before the long work. @throws where it cannot be used here */
  readonly check?: (program: OnnxProgram) => Promise<void>;
}

/** How near int8 vectors come to those of float32. */
export interface Fidelity {
  /** Mean cosine. */
  readonly mean: number;
  /** The cosine that 1 % of the images lie below. */
  readonly low: number;
  /** Images, none of which the calibration saw. */
  readonly images: number;
}

export interface Calibrated {
  readonly recipe: Recipe;
  readonly fidelity: Fidelity;
  /** Share of the multiply-adds that are in int8. */
  readonly share: number;
}

/**
 * Makes the int8 recipe of a float program: ranges by the least and largest value on some images, biases corrected layer by layer (where
 * that is not near enough, narrower ranges and biases as they are, if they come nearer), and layers that cost the most left in float until the
 * vectors of other images are near enough.
 * @param images for ranges and biases @param held others, for the fidelity
 * @throws EngineError where that cannot be reached with four fifths of the multiply-adds in int8; ModelError for a model that is too old
 */
export async function calibrate(
  program: OnnxProgram,
  images: readonly Batch[],
  held: readonly Batch[],
  options: CalibrateOptions,
): Promise<Calibrated> {
  const { fidelity: wanted, weightBits, onProgress, signal } = options;
  const steps = stepsOf(program);
  const observed = await observe(
    steps,
    counted(images, (done) => onProgress?.('batches measured for int8', done, images.length), signal),
    options,
  );
  const small = steps.layers.flatMap(({ weight, axis }, i) =>
    (weight.dims[axis] ?? 0) <= FEW_CHANNELS || (observed.positions[i] ?? 0) <= 1 ? [i] : [],
  );
  const plainOf = (ranges: readonly Range[]): Recipe => ({
    weightBits,
    scales: ranges.map(({ min, max }) => scaleOf(min, max)),
    biases: steps.layers.map(() => null),
    float: small,
  });
  let plain = plainOf(observed.ranges);
  checkShare(steps, observed, small, wanted);
  await options.check?.(quantized(steps, plain).program);
  const some = fitting(images, observed, steps);
  const truth = await vectorsOf(program, held, options);
  const onLayer = (done: number, total: number): void => onProgress?.('layers corrected for int8', done, total);
  let corrects = true;
  const attempt = async (given: Recipe) => {
    signal?.throwIfAborted();
    const recipe = corrects ? await corrected(steps, given, observed, some, { ...options, onLayer }) : given;
    const fidelity = summary(cosines(truth, await vectorsOf(quantized(steps, recipe).program, held, options)));
    return { recipe, fidelity };
  };
  let search: Search | undefined;
  for (let float: readonly number[] = small; ; ) {
    let found = await attempt({ ...plain, float });
    if (found.fidelity.mean < wanted && search === undefined) {
      // Where few images have values far out, all others have finer levels without those; where small differences grow from layer to
      // layer, means that are put right move what follows away.
      corrects = false;
      const narrow = await narrowed(steps, plainOf, observed, images, options);
      const other = await attempt(narrow);
      if (other.fidelity.mean > found.fidelity.mean) [plain, found] = [narrow, other];
      else corrects = true;
    }
    const { fidelity } = found;
    const share = int8Share(observed.work, float);
    if (fidelity.mean >= wanted) return { ...found, share };
    options.onWarning?.(
      `int8 vectors have a mean cosine of ${shown(fidelity.mean)} with float32, where ${wanted} is asked for: layers that cost the most are left in float32`,
    );
    search ??= new Search(steps, plain, observed, images, options);
    const more = await search.more(float, (1 - wanted) / (1 - fidelity.mean));
    if (more === null) throw refused(fidelity, share, wanted);
    float = more;
  }
}

/** Ways from the ranges of all images to the means of their own. */
const NARROWED = [0, 0.25, 0.5, 0.75, 1];
/** Images on which they are tried. */
const CHOSEN = 64;

/** @returns of recipes with ranges ever narrower, biases not corrected, that which comes nearest on images of the calibration */
async function narrowed(
  steps: Steps,
  plainOf: (ranges: readonly Range[]) => Recipe,
  { ranges, typical }: Observed,
  images: readonly Batch[],
  options: CalibrateOptions,
): Promise<Recipe> {
  const few = images.slice(0, Math.ceil(CHOSEN / (images[0]?.n ?? 1)));
  const truth = await vectorsOf(steps.program, few, options);
  let best: { readonly recipe: Recipe; readonly mean: number } | undefined;
  for (const [i, way] of NARROWED.entries()) {
    options.signal?.throwIfAborted();
    options.onProgress?.('ranges tried for int8', i, NARROWED.length);
    const between = (a: number, b: number): number => a + way * (b - a);
    const tried = ranges.map((range, at) => {
      const mean = typical[at] as Range;
      return { min: between(range.min, mean.min), max: between(range.max, mean.max) };
    });
    const recipe = plainOf(tried);
    const { mean } = summary(cosines(truth, await vectorsOf(quantized(steps, recipe).program, few, options)));
    if (best === undefined || mean > best.mean) best = { recipe, mean };
  }
  return (best as { readonly recipe: Recipe }).recipe;
}

const shown = (cosine: number): string => cosine.toFixed(4);

const refused = ({ mean, low, images }: Fidelity, share: number, wanted: number): EngineError =>
  new EngineError(
    `int8 is refused for this base: the mean cosine with float32 is ${shown(mean)} (1 % below ${shown(low)}, on ${images} images), ` +
      `where ${wanted} is asked for, with ${(100 * share).toFixed(0)} % of the multiply-adds in int8, and no more than a fifth may stay in float32: ` +
      'use --precision float32, or a lower --fidelity',
  );

function checkShare(steps: Steps, { work }: Observed, float: readonly number[], wanted: number): void {
  const share = steps.layers.length === 0 ? 0 : int8Share(work, float);
  if (share >= LEAST_SHARE) return;
  throw new EngineError(
    `int8 is refused for this base: ${(100 * share).toFixed(0)} % of its multiply-adds lie in convolutions and dense layers of more than ${FEW_CHANNELS} channels, ` +
      `where ${100 * LEAST_SHARE} % are needed for a fidelity of ${wanted}: use --precision float32`,
  );
}

async function* counted(
  batches: readonly Batch[],
  onDone: (done: number) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Batch> {
  for (const [i, batch] of batches.entries()) {
    signal?.throwIfAborted();
    yield batch;
    onDone(i + 1);
  }
}

function summary(found: readonly number[]): Fidelity {
  const sorted = [...found].sort((a, b) => a - b);
  const mean = sorted.reduce((a, b) => a + b, 0) / sorted.length;
  return { mean, low: sorted[Math.floor(sorted.length / 100)] ?? 0, images: sorted.length };
}

/** As many batches as fit while their largest values are held, before and after a layer. */
function fitting(batches: readonly Batch[], { positions }: Observed, { layers }: Steps): readonly Batch[] {
  const sizes = layers.map(({ weight, axis }, i) => (positions[i] ?? 1) * (weight.dims[axis] ?? 1));
  const images = HELD_BYTES / (3 * Math.max(...sizes));
  let taken = 0;
  return batches.filter(({ n }, i) => {
    taken += n;
    return i === 0 || taken <= images;
  });
}

/** Finds the layers that cost fidelity, once, when first asked. */
class Search {
  private groups: { readonly layers: readonly number[]; readonly error: number }[] | undefined;

  constructor(
    private readonly steps: Steps,
    private readonly plain: Recipe,
    private readonly observed: Observed,
    private readonly images: readonly Batch[],
    private readonly options: CalibrateOptions,
  ) {}

  /**
   * @param share of the error that may stay
   * @returns the layers left in float and the worst groups beside them, as many as should do; null where no more can be left
   */
  async more(float: readonly number[], share: number): Promise<readonly number[] | null> {
    this.groups ??= await this.rank();
    let left = [...float];
    const rest = this.groups.filter(({ layers }) => layers.some((i) => !left.includes(i)));
    const total = rest.reduce((sum, { error }) => sum + error, 0);
    let staying = total;
    for (const { layers, error } of rest) {
      const next = [...new Set([...left, ...layers])].sort((a, b) => a - b);
      if (int8Share(this.observed.work, next) < LEAST_SHARE) continue;
      left = next;
      staying -= error;
      if (staying <= share * total) break;
    }
    return left.length === float.length ? null : left;
  }

  private async rank() {
    const { program, layers } = this.steps;
    const { float: small } = this.plain;
    const open = layers.map((_, i) => i).filter((i) => !small.includes(i));
    const size = Math.ceil(open.length / GROUPS);
    const few = this.images.slice(0, Math.ceil(TRIED / (this.images[0]?.n ?? 1)));
    const truth = await vectorsOf(program, few, this.options);
    const groups: { layers: readonly number[]; error: number }[] = [];
    for (let at = 0; at < open.length; at += size) {
      this.options.signal?.throwIfAborted();
      this.options.onProgress?.('layers tried alone for int8', at, open.length);
      const group = open.slice(at, at + size);
      const float = layers.map((_, i) => i).filter((i) => !group.includes(i));
      const alone = quantized(this.steps, { ...this.plain, float }).program;
      const found = cosines(truth, await vectorsOf(alone, few, this.options));
      groups.push({ layers: group, error: found.reduce((sum, one) => sum + 1 - one, 0) });
    }
    return groups.sort((a, b) => b.error - a.error);
  }
}
