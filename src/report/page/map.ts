import type { Figure } from '../charts/frame.js';
import { type Cloud, placesIn, planeChart } from '../charts/scatter.js';
import { counted, percent } from '../format.js';
import { html, json } from '../html.js';
import type { HeadReport, OnData, VectorMap } from '../model.js';
import { saidBy } from '../rows.js';
import { COLOURS } from './curves.js';

/** @returns the classes that have a colour: all where they are few, else those with most mistakes, the rest being grey */
function coloured(classes: readonly string[], wrongs: ReadonlyMap<number, number>): number[] {
  const all = classes.map((_, k) => k);
  if (all.length <= COLOURS) return all;
  const most = all.sort((a, b) => (wrongs.get(b) ?? 0) - (wrongs.get(a) ?? 0) || a - b).slice(0, COLOURS - 1);
  return most.sort((a, b) => a - b);
}

/** The vectors in a plane: a colour a class, a cross for a mistake. */
export function mapFigure(head: HeadReport, onData: OnData, map: VectorMap): Figure {
  const { task, y, classes } = onData.answers;
  const said = saidBy(onData.answers, head.info.threshold);
  const points = placesIn(map.rows.map((_, i) => [map.points[2 * i] as number, map.points[2 * i + 1] as number]));
  const isWrong = (row: number): boolean =>
    task === 'multilabel'
      ? head.info.classes.some((_, k) => said.labels[row * classes + k] !== y[row * classes + k])
      : task !== 'regression' && said.classes[row] !== y[row];
  const clouds = task === 'binary' || task === 'multiclass' ? byClass() : task === 'regression' ? byValue() : byRight();
  const [first, second] = map.shares;
  const few =
    map.rows.length < onData.places.length ? ` ${counted(map.rows.length, 'image')} of ${onData.places.length}.` : '';
  const crosses = task === 'regression' ? '' : ' Crosses are wrong answers.';
  const data = map.rows.map((row, i) => [onData.places[row] as number, ...(points[i] as [number, number])]);
  return planeChart(
    {
      title: 'Vectors',
      says: `The vectors of ${counted(map.rows.length, 'image')} in the plane of their first two principal components.${crosses}`,
      note: `The images as the base sees them, before the head: across the first principal component of their vectors (${percent(first)} of the variance), upwards the second (${percent(second)}).${crosses}${few} Point at one to see it.`,
    },
    clouds,
    html`<script type="application/json" data-points>${json(data)}</script><div class="tip" hidden></div>`,
  );

  function byClass(): Cloud[] {
    const wrongs = new Map<number, number>();
    for (const row of map.rows) if (isWrong(row)) wrongs.set(y[row] as number, (wrongs.get(y[row] as number) ?? 0) + 1);
    const own = coloured(head.info.classes, wrongs);
    const groups = [...(own.length < head.info.classes.length ? [null] : []), ...own];
    return groups.flatMap((k): Cloud[] => {
      const look = k === null ? 'quiet' : `s${own.indexOf(k)}`;
      const text = k === null ? `${head.info.classes.length - own.length} other classes` : (head.info.classes[k] ?? '');
      const isOf = (row: number): boolean => (k === null ? !own.includes(y[row] as number) : y[row] === k);
      const some = (isCross: boolean) =>
        points.filter((_, i) => isOf(map.rows[i] as number) && isWrong(map.rows[i] as number) === isCross);
      return [
        { look, text, points: some(false) },
        { look, text: null, points: some(true), mark: 'x' },
      ];
    });
  }

  function byRight(): Cloud[] {
    const some = (isCross: boolean) => points.filter((_, i) => isWrong(map.rows[i] as number) === isCross);
    return [
      { look: 's0', text: 'all labels right', points: some(false) },
      { look: 's1', text: 'some label wrong', points: some(true), mark: 'x' },
    ];
  }

  /** Fifths of the labels, from low to high. */
  function byValue(): Cloud[] {
    const values = map.rows.map((row) => y[row] as number);
    const sorted = [...values].sort((a, b) => a - b);
    const limits = [0.2, 0.4, 0.6, 0.8].map((share) => sorted[Math.floor(share * sorted.length)] as number);
    const fifth = (value: number): number => limits.filter((limit) => value >= limit).length;
    const texts = ['lowest fifth', null, null, null, 'highest fifth'];
    return texts.map((text, k) => ({
      look: `v${k}`,
      text,
      points: points.filter((_, i) => fifth(values[i] as number) === k),
    }));
  }
}
