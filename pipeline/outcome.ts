import type { SeenBefore } from '../src/commands/evaluate.js';
import type { TrainResult } from '../src/commands/train.js';
import type { CoverageRule } from '../src/metrics/conformal.js';
import type { Intervals } from '../src/metrics/intervals.js';
import type { ClassificationMetrics, ClassMetrics, Metrics, MultilabelMetrics } from '../src/metrics/metrics.js';
import { flagOf, typedOptions } from '../src/options/check.js';
import type { EpochRecord } from '../src/train/run.js';
import type { Arguments } from './arguments.js';
import { counted } from './io.js';
import { confusionPicture, curveLines } from './pictures.js';
import { table } from './table.js';

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const decimals = (value: number): string => value.toFixed(3);
/** Of numbers in any unit: four figures. */
const figures = (value: number): string => String(Number(value.toPrecision(4)));

/** A value with its interval, where both are there: `AUC 0.982 [0.961, 0.997]`. */
function measured(
  what: string,
  value: number | null | undefined,
  interval: readonly [number, number] | null | undefined,
  show: (value: number) => string = decimals,
): string {
  if (value === null || value === undefined) return '';
  const ends = interval ? ` [${interval.map((end) => show(end).replace(' %', '')).join(', ')}]` : '';
  return `${what} ${show(value)}${ends}`;
}

/** What answering without looking at an image gets right. */
type Baselines = Partial<Pick<TrainResult, 'majority' | 'commonest' | 'meanAnswer'>>;

/** @returns what a head is told by in one line, by the kind of its metrics; intervals in brackets */
export function metricsLine(
  metrics: Metrics,
  { majority = null, commonest = null, meanAnswer = null }: Baselines = {},
): string {
  const of = (name: string) => (metrics.intervals as Intervals | null)?.of[name];
  const always = commonest === null ? 'the commonest class' : `${commonest}, the commonest in training`;
  const beside = majority === null ? '' : ` (always ${always}: ${percent(majority)})`;
  const mean = meanAnswer === null ? '' : ` (always ${figures(meanAnswer.mean)}, the mean: ${figures(meanAnswer.mae)})`;
  const parts =
    'r2' in metrics
      ? [
          measured('R²', metrics.r2, of('r2')),
          `${measured('mean error', metrics.mae, of('mae'), figures)}${mean}`,
          measured('root mean square', metrics.rmse, of('rmse'), figures),
        ]
      : 'hammingLoss' in metrics
        ? [
            measured('all labels right', metrics.accuracy, of('accuracy'), percent),
            measured('single labels wrong', metrics.hammingLoss, of('hammingLoss'), percent),
            measured('mean F1', metrics.f1, of('f1')),
            measured('mean AUC', metrics.auc, of('auc')),
            measured('mean average precision', metrics.averagePrecision, of('averagePrecision')),
            measured('log loss', metrics.loss, of('loss')),
          ]
        : [
            `${measured('accuracy', metrics.accuracy, of('accuracy'), percent)}${beside}`,
            measured('AUC', metrics.auc, of('auc')),
            measured('log loss', metrics.loss, of('loss')),
          ];
  return parts.filter((part) => part !== '').join(', ');
}

/** @returns what became of a head that lay there; last, in one line for a report, what the head is and where it lies */
export function placeLines(result: TrainResult): string[] {
  const { head, dir, reused, replaced, metrics, testMetrics, train, val, test, folds, seconds } = result;
  const [kind, n] = testMetrics ? ['test', test] : [folds === null ? 'validation' : 'cross-validated', val];
  const sides = counted(n, `${kind} image`);
  const used = testMetrics ?? metrics;
  const said = used === null ? 'nothing measured' : `${metricsLine({ ...used, intervals: null })} on ${sides}`;
  const became = reused
    ? ['this head was there already, by the same options, labels and vectors: reused']
    : replaced === null
      ? []
      : [`it replaced ${replaced}`];
  return [...became, `${head}: ${said}, ${train} to train on, ${seconds.toFixed(1)} s -> ${dir}`];
}

/** Classes whose confusion is shown as a whole. */
const SHOWN = 12;
/** Of more, how many of the worst. */
const WORST = 5;

/**
 * What people read at the end of a training.
 * @param history the epochs of the head that is kept, where it is one
 */
export function trainReport(result: TrainResult, history: readonly EpochRecord[] = []): string[] {
  const {
    task,
    classes,
    metrics,
    testMetrics,
    threshold,
    temperature,
    folds,
    epochs,
    bestEpoch,
    closedForm,
    coverage,
  } = result;
  const what = task === 'regression' ? 'regression head' : `${task} head ${shortList(classes)}`;
  const sides = folds === null ? `${result.val} to validate` : `${folds.length} parts, each predicted by the others`;
  const best = closedForm !== null ? 'solved, ' : folds === null ? `best of ${epochs} epochs is ${bestEpoch}, ` : '';
  const lines = [`${what}: ${result.train} images to train on, ${sides}, ${best}${result.seconds.toFixed(1)} s`];
  lines.push(...curveLines(history), ...howItEnded(result, history), ...solution(result));
  if (metrics) {
    lines.push(`${folds === null ? 'validation' : 'cross-validation'}: ${metricsLine(metrics, result)}`);
    lines.push(...chosenOnThese(result));
    if (task === 'binary' && threshold && threshold.criterion !== 'fixed') {
      lines.push(
        `${classes[1]} is said above ${decimals(threshold.values[0] ?? 0.5)} (${threshold.criterion} on validation)`,
      );
    }
    if (coverage !== null) {
      lines.push(coverageLine(coverage, folds === null ? 'validation' : 'cross-validated'));
      if ('classes' in metrics) lines.push(...unknownCoverage(classes, metrics));
    }
    if (temperature !== null) lines.push(`temperature ${decimals(temperature)}, folded in`);
    if ('classes' in metrics) {
      lines.push(...(classes.length > SHOWN ? lowestRecall(classes, metrics) : eachClass(classes, metrics)));
      lines.push(...confused(classes, metrics), ...unseen(classes, metrics));
      if (classes.length <= SHOWN) lines.push(...surestMistakes(result));
    }
    if ('r2' in metrics && metrics.r2 !== null && metrics.r2 < 0) {
      const how = closedForm === null ? '--l2, fewer --epochs, or more images' : 'more images, or another --base';
      lines.push(`R² below 0 is worse than always the mean: give ${how}`);
    }
  } else {
    lines.push(`no validation images: ${closedForm === null ? 'every epoch was run and ' : ''}nothing is measured`);
  }
  if (result.refit) lines.push('trained anew on training and validation images');
  if (testMetrics) lines.push(`test (${result.test} images): ${metricsLine(testMetrics)}`);
  return lines;
}

/** What makes sets, and where that is all classes. */
function coverageLine({ level, threshold, images }: CoverageRule, side: string): string {
  const least = Math.ceil(level / (1 - level) - 1e-9);
  if (images < least) {
    return `sets at ${percent(level)} hold every class: that takes ${least} ${side} images or more, there are ${images}`;
  }
  return `sets at ${percent(level)} hold the classes of a probability from ${decimals(1 - threshold)} on, by ${images} ${side} images`;
}

/** Classes of which no image helped to make the sets. */
function unknownCoverage(classes: readonly string[], metrics: Pick<ClassificationMetrics, 'classes'>): string[] {
  const none = classes.filter((_, k) => metrics.classes[k]?.support === 0);
  if (none.length === 0) return [];
  const more = none.length > WORST ? ` and ${none.length - WORST} more` : '';
  return [`none of these is of ${none.slice(0, WORST).join(', ')}${more}: how often sets hold that is not known`];
}

/** What a closed form chose by images that it left out. */
function solution({ closedForm }: TrainResult): string[] {
  if (closedForm === null) return [];
  const { alpha, shrinkage } = closedForm;
  if (alpha !== null) return [`ridge with alpha ${alpha}, chosen on training images left out with their group`];
  return shrinkage === null ? [] : [`lda with ${decimals(shrinkage)} of the mean variance in the covariance`];
}

/** Share by which a loss must differ to have risen. */
const RISE = 0.01;

/** A training that ran out of epochs: still falling, overfitting, or too fast. Nothing where the validation loss stood still. */
function howItEnded({ end, val, epochs, bestEpoch, folds, chosen }: TrainResult, history: readonly EpochRecord[]) {
  if (end !== 'epochs' || val === 0) return [];
  if (!chosen?.includes('epoch'))
    return ['not converged: lbfgs was still descending: give more --epochs, or a larger --l2'];
  const falling = (where: string): string =>
    `not converged: the loss was still falling at ${where}: give more --epochs, or a higher --learning-rate`;
  if (folds !== null) {
    const parts = folds.filter((fold) => fold.bestEpoch === fold.epochs).length;
    return parts === 0 ? [] : [falling(`the last epoch of ${parts} of ${folds.length} parts`)];
  }
  if (bestEpoch === epochs) return [falling(`epoch ${epochs}, the last`)];
  const [best, last] = [bestEpoch, epochs].map((epoch) => history.find((record) => record.epoch === epoch));
  if (!best || !last || best.valLoss === null || last.valLoss === null) return [];
  if (last.valLoss <= best.valLoss * (1 + RISE)) return [];
  const change = (from: number, to: number): string => `from ${from.toPrecision(3)} to ${to.toPrecision(3)}`;
  const rose = `the validation loss rose ${change(best.valLoss, last.valLoss)}`;
  return last.loss < best.loss
    ? [
        `overfitting: after epoch ${bestEpoch}, which counts, ${rose} while the training loss fell ${change(best.loss, last.loss)}: give a larger --l2, or more images`,
      ]
    : [
        `diverging: after epoch ${bestEpoch}, which counts, ${rose}, and the training loss did not fall: give a lower --learning-rate`,
      ];
}

/** @returns what the metrics are too good by, where no test images measure it */
function chosenOnThese({ chosen, testMetrics }: TrainResult): string[] {
  if (testMetrics || chosen === null || chosen.length === 0) return [];
  const names = chosen.map((one) => `the ${one}`);
  const last = names.pop() as string;
  const list = names.length === 0 ? last : `${names.join(', ')} and ${last}`;
  return [`these images also chose ${list}, so expect a little less on new ones`];
}

/** Images to look at first. */
function surestMistakes({ mistakes }: TrainResult): string[] {
  if (mistakes === null || mistakes.length === 0) return [];
  const rows = mistakes.map(({ path, is, label, score }) => ({
    cells: [path, is, `${label} ${decimals(score)}`],
  }));
  return ['surest mistakes:', ...table(['file', 'is', 'said'], rows).map((line) => `  ${line}`)];
}

/** Classes of which nothing was recognised. */
function unseen(classes: readonly string[], { classes: each }: Pick<ClassificationMetrics, 'classes'>): string[] {
  const missed = classes.flatMap((name, k) => {
    const { support = 0, recall = 0 } = each[k] ?? {};
    return support > 0 && recall === 0 ? [`${name} (0 of ${support})`] : [];
  });
  if (missed.length === 0) return [];
  const shown = missed.slice(0, WORST).join(', ');
  const more = missed.length > WORST ? ` and ${missed.length - WORST} more` : '';
  return [`never recognised: ${shown}${more}: give --class-weight balanced, or more images of them`];
}

/** @returns which classes are taken for which: all of a few, the worst of many; nothing where an image may have several */
export function confused(classes: readonly string[], metrics: ClassificationMetrics | MultilabelMetrics): string[] {
  if (!('confusion' in metrics)) return [];
  const whole = classes.length <= SHOWN ? confusionPicture(classes, metrics.confusion) : null;
  return whole ?? mostConfused(classes, metrics);
}

/** @returns a table of the classes with what is measured of each; of many classes the worst, by F1 */
export function eachClass(classes: readonly string[], metrics: ClassificationMetrics | MultilabelMetrics): string[] {
  const of = (name: string) => (metrics.intervals as Intervals | null)?.of[name];
  const all = classes.map((name, k) => ({ name, k, of: metrics.classes[k] as ClassMetrics }));
  const shown =
    all.length <= SHOWN
      ? all
      : all
          .filter(({ of: { support } }) => support > 0)
          .sort((a, b) => a.of.f1 - b.of.f1 || b.of.support - a.of.support)
          .slice(0, SHOWN);
  const rows = shown.map(({ name, k, of: { support, recall, precision, f1 } }) => ({
    cells: [
      name.slice(0, 40),
      String(support),
      support === 0 ? '–' : measured('', recall, of(`${k}.recall`), percent).trim(),
      measured('', precision, of(`${k}.precision`), percent).trim(),
      support === 0 ? '–' : decimals(f1),
    ],
  }));
  const more = all.length - shown.length;
  return [
    ...table(['class', 'images', 'recall', 'precision', 'F1'], rows).map((line) => `  ${line}`),
    ...(more > 0 ? [`  and ${more} classes more`] : []),
  ];
}

/** Of many classes those of the lowest recall. */
function lowestRecall(classes: readonly string[], { classes: each }: Pick<ClassificationMetrics, 'classes'>): string[] {
  const byRecall = each
    .map(({ recall, support }, k) => ({ name: classes[k], recall, support }))
    .filter(({ support, recall }) => support > 0 && recall < 1)
    .sort((a, b) => a.recall - b.recall || b.support - a.support)
    .slice(0, WORST)
    .map(({ name, recall, support }) => `${name} ${percent(recall)} of ${support}`);
  return byRecall.length === 0 ? [] : [`  lowest recall: ${byRecall.join(', ')}`];
}

/** Of many classes which are taken for which most often. */
function mostConfused(classes: readonly string[], { confusion: matrix }: ClassificationMetrics): string[] {
  const pairs = matrix
    .flatMap((cells, is) => cells.map((count, said) => ({ is, said, count })))
    .filter(({ is, said, count }) => is !== said && count > 0)
    .sort((a, b) => b.count - a.count)
    .slice(0, WORST)
    .map(
      ({ is, said, count }) => `${classes[is]} taken for ${classes[said]} ${count} ${count === 1 ? 'time' : 'times'}`,
    );
  return pairs.length === 0 ? [] : [`  most confused: ${pairs.join(', ')}`];
}

/** @returns the names of a few classes, of many their number */
export const shortList = (classes: readonly string[]): string =>
  classes.length <= SHOWN ? classes.join(' / ') : `of ${classes.length} classes`;

/** @returns what a head has seen of some images before */
export function seenLine(
  head: string,
  { images, trainedOn, chosenOn }: SeenBefore & { readonly images: number },
): string {
  if (trainedOn === null || chosenOn === null) {
    return `note: ${head} was saved without its images, so it may have been trained on these`;
  }
  const seen = [
    ...(trainedOn > 0 ? [`trained on ${trainedOn}`] : []),
    ...(chosenOn > 0 ? [`chosen on ${chosenOn}`] : []),
  ].join(' and ');
  return seen === ''
    ? `${head} has seen none of them before`
    : `note: ${head} was ${seen} of these ${counted(images, 'image')}, so expect less on new ones`;
}

/** A word as a shell takes it. */
const quoted = (word: string): string => (/^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** @returns the command that shows a head or a sweep on images, their labels read as by the command that was typed */
export function reportLine(subject: string, data: string, { typed, values }: Arguments): string {
  const more = typedOptions('report')
    .filter(({ name, group }) => typed.has(name) && (group === 'Labels' || ['missing', 'cache'].includes(name)))
    .flatMap((row) => [flagOf(row), quoted(String(values[row.name]))]);
  return ['permafrost report', quoted(subject), '--data', quoted(data), ...more].join(' ');
}
