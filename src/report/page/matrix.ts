import { short, whole } from '../format.js';
import { type Html, html } from '../html.js';

const SHADES = 9;

/** @returns the look of a cell: the darker, the larger its share; of one that holds none another */
export const shade = (count: number, of: number, isRight: boolean): string =>
  count === 0 ? 'empty' : `${isRight ? 'right' : 'wrong'}${Math.max(1, Math.ceil((count / Math.max(1, of)) * SHADES))}`;

/** @returns what stands in a cell */
export const countCell = (count: number, share: string): Html =>
  html`<span class="count">${whole(count)}</span> <span class="share">${share}</span>`;

export interface Matrix {
  /** What it is, read aloud. */
  readonly says: string;
  readonly caption: string;
  /** Above the names of the rows: `is \ said`. */
  readonly corner: string;
  /** Of the rows, and of the columns. */
  readonly names: readonly string[];
  /** Each cell with its look. */
  readonly rows: readonly (readonly { readonly look: string; readonly inner: Html }[])[];
}

/** A square table that may be wider than the page, and is then moved by itself. */
export const matrixTable = ({ says, caption, corner, names, rows }: Matrix): Html =>
  html`<div class="scroll" tabindex="0" role="group" aria-label="${says}"><table class="matrix"><caption>${caption}</caption><thead><tr><th scope="col">${corner}</th>${names.map(
    (name) => html`<th scope="col">${short(name, 24)}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row, k) =>
      html`<tr><th scope="row">${short(names[k] ?? '', 24)}</th>${row.map(({ look, inner }) => html`<td class="${look}">${inner}</td>`)}</tr>`,
  )}</tbody></table></div>`;
