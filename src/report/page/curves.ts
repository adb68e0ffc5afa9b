import { answersOf, column } from '../../metrics/classification.js';
import { type Point, precisionRecallCurve, reliability, rocCurve, type SaidAt, saidAt } from '../../metrics/curves.js';
import { rank } from '../../metrics/ranking.js';
import { type Series, shareCurves } from '../charts/curves.js';
import type { Figure } from '../charts/frame.js';
import { calibrationChart, histogram } from '../charts/histograms.js';
import { scatter } from '../charts/scatter.js';
import { counted, decimals, figures, measured } from '../format.js';
import type { HeadReport, OnData } from '../model.js';
import { saidBy, thresholdsOf } from '../rows.js';

/** Classes that have a colour of their own. */
export const COLOURS = 8;

/** One class against the rest. */
interface Sided {
  readonly name: string;
  readonly k: number;
  readonly auc: number | null;
  readonly averagePrecision: number | null;
}

/** Colours for the classes that are hardest, quiet lines for the rest of many. */
function lines(
  sided: readonly Sided[],
  by: 'auc' | 'averagePrecision',
  pointsOf: (k: number) => readonly Point[],
): Series[] {
  const drawn = sided.map((one) => ({ one, points: pointsOf(one.k) })).filter(({ points }) => points.length > 0);
  const isMany = drawn.length > COLOURS;
  const hardest = [...drawn].sort((a, b) => (a.one[by] ?? 2) - (b.one[by] ?? 2)).slice(0, isMany ? 4 : COLOURS);
  const coloured = isMany ? hardest : drawn;
  const quiet = isMany ? drawn.filter((one) => !hardest.includes(one)) : [];
  return [
    ...quiet.map(({ points }): Series => ({ points, look: 'quiet', text: null })),
    ...coloured.map(
      ({ one, points }, k): Series => ({ points, look: `s${k}`, text: `${one.name} ${decimals(one[by])}` }),
    ),
  ];
}

/** What can be drawn of the scores of a classification. */
export function scoreFigures({ info }: HeadReport, { answers, metrics }: OnData): Figure[] {
  const { task, classes, scores, y } = answers;
  if (!('classes' in metrics)) return [];
  const isBinary = task === 'binary';
  const limits = thresholdsOf(info.threshold, isBinary ? 1 : classes);
  const isPositive = (k: number) => (i: number) => (task === 'multilabel' ? y[i * classes + k] === 1 : y[i] === k);
  const numbers = isBinary ? [1] : Array.from({ length: classes }, (_, k) => k);
  const sided = numbers.map((k): Sided => ({ name: info.classes[k] ?? '', k, ...pick(metrics.classes[k]) }));
  const rankings = new Map(numbers.map((k) => [k, rank(column(scores, classes, k), isPositive(k))]));
  const roc = lines(sided, 'auc', (k) => rocCurve(rankings.get(k) as never));
  const pr = lines(sided, 'averagePrecision', (k) => precisionRecallCurve(rankings.get(k) as never));
  const dot = isBinary ? ownPoint(answers, limits[0] as number) : null;
  const each = isBinary
    ? ''
    : numbers.length > COLOURS
      ? ', each class against the rest; coloured the four lowest'
      : ', each class against the rest';
  const figuresOf: Figure[] = [];
  if (roc.length > 0) {
    figuresOf.push(
      shareCurves(
        {
          title: 'ROC',
          says: `ROC curve${each}. Area ${decimals(metrics.auc)}.`,
          xLabel: 'false positives, of all negatives',
          yLabel: 'true positives',
          note: isBinary ? 'The dot is the head’s own threshold.' : `Area under the curve${each}.`,
        },
        roc,
        { hasDiagonal: true, dot: dot && [dot.falsePositives, dot.recall] },
      ),
    );
    figuresOf.push(
      shareCurves(
        {
          title: 'Precision and recall',
          says: `Precision-recall curve${each}. Average precision ${decimals(metrics.averagePrecision)}.`,
          xLabel: 'recall',
          yLabel: 'precision',
          ...(isBinary ? {} : { note: `Average precision${each}.` }),
        },
        pr,
        { dot: dot && dot.precision !== null ? [dot.recall, dot.precision] : null },
      ),
    );
  }
  figuresOf.push(
    calibrationFigure(answers, info.classes, metrics.calibrationError),
    spread(info.classes, answers, limits[0] as number, saidBy(answers, info.threshold).classes),
  );
  return figuresOf;
}

const pick = (one: { auc: number | null; averagePrecision: number | null } | undefined) => ({
  auc: one?.auc ?? null,
  averagePrecision: one?.averagePrecision ?? null,
});

/** Where a binary head's own threshold lies on its curves. */
function ownPoint({ scores, y }: OnData['answers'], limit: number) {
  const isPositive = (i: number): boolean => y[i] === 1;
  const [{ hits, wrong }] = saidAt(column(scores, 2, 1), isPositive, [limit]) as [SaidAt];
  const positives = Array.from(y).filter((one) => one === 1).length;
  const negatives = y.length - positives;
  if (positives === 0 || negatives === 0) return null;
  return {
    falsePositives: wrong / negatives,
    recall: hits / positives,
    precision: hits + wrong === 0 ? null : hits / (hits + wrong),
  };
}

function calibrationFigure(
  { task, classes, scores, y }: OnData['answers'],
  names: readonly string[],
  error: number | null,
): Figure {
  const words = {
    title: 'Calibration',
    yLabel: 'share that was so',
    note: `Expected calibration error ${decimals(error)}. Bars: 95 % (Wilson). Beneath: how many answers each bin has.`,
  };
  const says = `Calibration: predicted probability against the share that was so, in 15 bins. Expected calibration error ${decimals(error)}.`;
  if (classes === 2 && task !== 'multilabel') {
    const second = column(scores, 2, 1);
    return calibrationChart(
      { ...words, says, xLabel: `probability of ${names[1]}` },
      reliability(second, (i) => y[i] === 1),
    );
  }
  if (task === 'multilabel') {
    return calibrationChart(
      { ...words, says, xLabel: 'probability of a label' },
      reliability(scores, (at) => y[at] === 1),
    );
  }
  const likeliest = answersOf(scores, classes);
  const confidence = Float32Array.from(likeliest, (k, i) => scores[i * classes + k] as number);
  return calibrationChart(
    { ...words, says, xLabel: 'probability of the likeliest class' },
    reliability(confidence, (i) => likeliest[i] === y[i]),
  );
}

function spread(
  names: readonly string[],
  { task, classes, scores, y }: OnData['answers'],
  limit: number,
  said: Int32Array,
): Figure {
  const words = { title: 'Scores', note: 'How many images have a score, in 30 bins.', yLabel: 'images' };
  if (task === 'multiclass') {
    const sure = (isRight: boolean): number[] =>
      Array.from(said).flatMap((k, i) => ((k === y[i]) === isRight ? [scores[i * classes + k] as number] : []));
    const [right, wrong] = [sure(true), sure(false)];
    const says = `How sure the head is: ${counted(right.length, 'right answer')} upwards, ${counted(wrong.length, 'wrong one')} downwards, by the probability of the answer.`;
    return histogram(
      { ...words, says, xLabel: 'probability of the answer' },
      [
        { values: right, look: 's0', text: 'right' },
        { values: wrong, look: 's1', text: 'wrong' },
      ],
      [0, 1],
    );
  }
  const isBinary = task === 'binary';
  const values = (is: number): number[] =>
    isBinary
      ? Array.from(column(scores, 2, 1)).filter((_, i) => y[i] === is)
      : Array.from(scores).filter((_, at) => y[at] === is);
  const [yes, no] = [values(1), values(0)];
  const texts = isBinary ? [names[1] ?? '', names[0] ?? ''] : ['present', 'absent'];
  const says = `Spread of scores: ${counted(yes.length, 'score')} of ${texts[0]} upwards, ${counted(no.length, 'score')} of ${texts[1]} downwards.`;
  return histogram(
    {
      ...words,
      ...(isBinary ? {} : { note: 'How many labels of all images have a score, in 30 bins.', yLabel: 'labels' }),
      says,
      xLabel: isBinary ? `probability of ${names[1]}` : 'probability of a label',
    },
    [
      { values: yes, look: 's0', text: texts[0] ?? '' },
      { values: no, look: 's1', text: texts[1] ?? '' },
    ],
    [0, 1],
    isBinary ? { mark: limit, markText: decimals(limit) } : {},
  );
}

/** Points of a chart; more say no more. */
const MOST_POINTS = 3000;

/** What can be drawn of a regression. */
export function regressionFigures({ info }: HeadReport, { answers, metrics }: OnData): Figure[] {
  const { scores, y } = answers;
  if (!('r2' in metrics)) return [];
  const every = Math.max(1, Math.ceil(y.length / MOST_POINTS));
  const rows = Array.from({ length: y.length }, (_, i) => i).filter((i) => i % every === 0);
  const [is, said] = [(i: number) => y[i] as number, (i: number) => scores[i] as number];
  const errors = Array.from({ length: y.length }, (_, i) => said(i) - is(i));
  const shown = every === 1 ? {} : { note: `${counted(rows.length, 'image')} of ${y.length}.` };
  const byError = Float64Array.from(errors).sort();
  const [least, most] = [byError[0] as number, byError.at(-1) as number];
  const far = Math.max(-least, most, 1e-12);
  const mean = info.meanAnswer;
  return [
    scatter(
      {
        title: 'Said against true',
        says: `What the head says against the label. R² ${decimals(metrics.r2)}, mean error ${measured(metrics.mae)}.`,
        xLabel: 'label',
        yLabel: 'said',
        ...shown,
      },
      [{ look: 's0', text: null, points: rows.map((i) => [is(i), said(i)]) }],
      { isSquare: true },
    ),
    scatter(
      {
        title: 'Errors against true',
        says: `Errors against the label: what is said less what is. Root mean square ${measured(metrics.rmse)}.`,
        xLabel: 'label',
        yLabel: 'said less true',
        ...shown,
      },
      [{ look: 's0', text: null, points: rows.map((i) => [is(i), errors[i] as number]) }],
      { hasZero: true },
    ),
    histogram(
      {
        title: 'Errors',
        yLabel: 'images',
        says: `Spread of the errors, from ${figures(least)} to ${figures(most)}.`,
        xLabel: 'said less true',
        ...(mean
          ? { note: `Always saying ${figures(mean.mean)}, the mean, would be off by ${figures(mean.mae)} in the mean.` }
          : {}),
      },
      [{ values: errors, look: 's0', text: 'errors' }],
      [-far, far],
      { mark: 0 },
    ),
  ];
}
