import { column } from '../../metrics/classification.js';
import { saidAt } from '../../metrics/curves.js';
import { px } from '../charts/scale.js';
import { decimals, percent, whole } from '../format.js';
import { type Html, html } from '../html.js';
import type { HeadReport, OnData } from '../model.js';
import { thresholdsOf } from '../rows.js';
import { countCell, matrixTable, shade } from './matrix.js';
import { type Cell, type Column, table } from './parts.js';

/** Classes of which every cell is a number that can be read. */
const MOST_IN_TABLE = 20;
/** Pairs of classes that are listed of more. */
const MOST_PAIRS = 40;
/** Thresholds that a slider stops at, of a binary head and of each label. */
const STEPS = { binary: 1000, multilabel: 100 } as const;
/** Labels that a slider moves one at a time. */
const MOST_SLIDERS = 60;

/** What a slider needs: of each threshold the positives and negatives that are said. */
export interface Rates {
  readonly steps: number;
  readonly own: number;
  readonly positives: number;
  readonly negatives: number;
  readonly hits: readonly number[];
  readonly wrong: readonly number[];
  /** At the head's own threshold. */
  readonly ownHits: number;
  readonly ownWrong: number;
}

/** @returns a class's rates at every step of its slider, one for a binary head, one a label; none of many labels and of other tasks */
export function ratesOf({ info }: HeadReport, { answers }: OnData): Rates[] {
  const { task, classes, scores, y } = answers;
  if (task !== 'binary' && (task !== 'multilabel' || classes > MOST_SLIDERS)) return [];
  const steps = STEPS[task];
  const limits = thresholdsOf(info.threshold, task === 'binary' ? 1 : classes);
  const numbers = task === 'binary' ? [1] : Array.from({ length: classes }, (_, k) => k);
  return numbers.map((k, at) => {
    const own = limits[at] as number;
    const isPositive = (i: number): boolean => (task === 'binary' ? y[i] === 1 : y[i * classes + k] === 1);
    const thresholds = Array.from({ length: steps + 1 }, (_, step) => step / steps);
    const all = saidAt(column(scores, classes, k), isPositive, [...thresholds, own]);
    const n = scores.length / classes;
    const positives = Array.from({ length: n }, (_, i) => i).filter(isPositive).length;
    const last = all.pop() as (typeof all)[number];
    return {
      steps,
      own,
      positives,
      negatives: n - positives,
      hits: all.map(({ hits }) => hits),
      wrong: all.map(({ wrong }) => wrong),
      ownHits: last.hits,
      ownWrong: last.wrong,
    };
  });
}

/** The matrix as a table; its cells are buttons where there are images behind them. */
function matrix(classes: readonly string[], confusion: readonly (readonly number[])[], hasImages: boolean): Html {
  const rows = confusion.map((row, is) => {
    const all = row.reduce((sum, count) => sum + count, 0);
    return row.map((count, said) => {
      const share = all === 0 ? '' : percent(count / all);
      const inner = countCell(count, share);
      // It begins with what is seen, so that who speaks to the page can say it.
      const label = `${[whole(count), share].join(' ').trim()}: ${classes[is]} taken for ${classes[said]}`;
      return {
        look: shade(count, all, is === said),
        inner: hasImages
          ? html`<button type="button" data-cell="${is}-${said}" aria-pressed="false" aria-label="${label}">${inner}</button>`
          : inner,
      };
    });
  });
  const caption = 'Rows: what the images are. Columns: what the head says.';
  return matrixTable({ says: 'Confusion matrix', caption, corner: 'is \\ said', names: classes, rows });
}

/** Of many classes: the matrix as a picture. One path a shade. */
function heatMap(classes: readonly string[], counts: readonly (readonly number[])[]): Html {
  const k = classes.length;
  const size = 600 / k;
  const paths = new Map<string, string[]>();
  for (const [is, row] of counts.entries()) {
    const all = row.reduce((sum, count) => sum + count, 0);
    for (const [said, count] of row.entries()) {
      if (count === 0) continue;
      const look = shade(count, all, is === said);
      const path = paths.get(look) ?? [];
      if (path.length === 0) paths.set(look, path);
      path.push(`M${px(said * size)} ${px(is * size)}h${px(size)}v${px(size)}h${px(-size)}z`);
    }
  }
  const drawn = [...paths].sort().map(([look, path]) => html`<path class="${look}" d="${path.join('')}"/>`);
  const says = `Confusion of ${k} classes: rows are what the images are, columns what the head says; right answers lie on the diagonal. The table of confused pairs has the same numbers.`;
  return html`<figure class="heat"><svg viewBox="0 0 600 600" role="img" aria-label="${says}" data-heat="${k}"><rect class="ground" width="600" height="600"/>${drawn}</svg><figcaption class="note" data-heat-says>Rows: what the images are. Columns: what the head says. Classes in the order of the table below.</figcaption></figure>`;
}

function pairs(classes: readonly string[], counts: readonly (readonly number[])[], hasImages: boolean): Html {
  const all = counts
    .flatMap((row, is) => {
      const sum = row.reduce((total, count) => total + count, 0);
      return row.flatMap((count, said) => (is !== said && count > 0 ? [{ is, said, count, share: count / sum }] : []));
    })
    .sort((a, b) => b.count - a.count || b.share - a.share || a.is - b.is || a.said - b.said);
  if (all.length === 0) return html`<p>No image is taken for another class.</p>`;
  const columns: Column[] = [
    { text: 'Is' },
    { text: 'Said' },
    { text: 'Images', isNumber: true },
    { text: 'Of the class', isNumber: true },
  ];
  const rows = all.slice(0, MOST_PAIRS).map(({ is, said, count, share }): Cell[] => [
    { shown: classes[is] ?? '' },
    { shown: classes[said] ?? '' },
    {
      shown: hasImages
        ? html`<button type="button" class="link" data-cell="${is}-${said}" aria-pressed="false" aria-label="${whole(count)}: ${classes[is] ?? ''} taken for ${classes[said] ?? ''}">${whole(count)}</button>`
        : whole(count),
      value: count,
    },
    { shown: percent(share), value: share },
  ]);
  const more = all.length > MOST_PAIRS ? ` (${MOST_PAIRS} of ${whole(all.length)})` : '';
  return table({ caption: `Most confused pairs${more}`, columns, rows, isSortable: true, isTall: true });
}

const choice = (id: string, which: string, text: string, classes: readonly string[]): Html =>
  html`<label for="${id}">${text} <select id="${id}" data-choose="${which}">${classes.map((name, k) => html`<option value="${k}">${name}</option>`)}</select></label>`;

/** Moves the threshold, and with it the matrix and the rates. */
function slider(id: string, classes: readonly string[], rates: readonly Rates[], isBinary: boolean): Html {
  const [first] = rates as readonly [Rates];
  const names = ['accuracy', 'precision', 'recall', 'specificity', 'F1', 'said'];
  const what = isBinary
    ? html`<label for="${id}-t">The head says <b>${classes[1] ?? ''}</b> above</label>`
    : html`${choice(`${id}-l`, 'label', 'Label', classes)} <label for="${id}-t">is said above</label>`;
  return html`<div class="slider" data-slider><p>${what} <output for="${id}-t" data-threshold>${decimals(first.own)}</output></p><input type="range" id="${id}-t" min="0" max="${first.steps}" step="1" value="${Math.round(first.own * first.steps)}"><p class="ends"><span>0</span><button type="button" class="link" data-own>back to the head’s own, ${decimals(first.own)}</button><span>1</span></p><dl class="rates" aria-live="polite">${names.map(
    (name) => html`<div><dt>${name}</dt><dd data-rate="${name}">–</dd></div>`,
  )}</dl></div>`;
}

/** Where the images of a cell are shown. */
const CELL = html`<div class="cell" data-cell-images aria-live="polite"><p class="note">Choose a cell to see its images.</p></div>`;

/** Right and wrong answers by class, with the images behind them. */
export function confusionBody(id: string, head: HeadReport, counts: readonly (readonly number[])[]): Html {
  const { classes } = head.info;
  const hasImages = head.onData !== null;
  const rates = head.onData === null ? [] : ratesOf(head, head.onData);
  const drawn =
    classes.length <= MOST_IN_TABLE
      ? matrix(classes, counts, hasImages)
      : html`<div class="many">${heatMap(classes, counts)}<div>${pairs(classes, counts, hasImages)}</div></div>${
          hasImages &&
          html`<p class="choose">${choice(`${id}-is`, 'is', 'Images of', classes)} ${choice(`${id}-said`, 'said', 'taken for', classes)} <button type="button" data-show>show</button></p>`
        }`;
  return html`<div class="confusion" data-confusion="${id}"><div class="side">${drawn}${
    rates.length > 0 && slider(id, classes, rates, true)
  }</div>${hasImages && CELL}</div>`;
}

/** Of several labels: one label at a time. */
export function labelSlider(id: string, head: HeadReport, rates: readonly Rates[]): Html {
  const [first] = rates as readonly [Rates];
  const counts = [
    [first.negatives - first.ownWrong, first.ownWrong],
    [first.positives - first.ownHits, first.ownHits],
  ];
  return html`<div class="confusion" data-confusion="${id}"><div class="side">${matrix(['absent', 'present'], counts, true)}${slider(id, head.info.classes, rates, false)}</div>${CELL}</div>`;
}
