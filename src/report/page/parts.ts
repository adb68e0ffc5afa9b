import { type Content, type Html, html } from '../html.js';

/** A cell of a table. */
export interface Cell {
  readonly shown: Content;
  /** What it is sorted by, and what a program reads; null of what is not there. Text by default what is shown. */
  readonly value?: number | string | null;
  /** Name of the metric, as `head.json` has it. */
  readonly metric?: string;
  readonly look?: string;
}

export interface Column {
  readonly text: string;
  readonly isNumber?: boolean;
  /** What the column means, where its name does not say it. */
  readonly hint?: string;
}

export interface Table {
  readonly caption: string;
  readonly columns: readonly Column[];
  /** The first cell of each names the row. */
  readonly rows: readonly (readonly Cell[])[];
  readonly isSortable?: boolean;
  /** Whether it may be so long that it is moved by itself. */
  readonly isTall?: boolean;
}

/** A table that may be wider than the page, and is then moved by itself. */
export function table({ caption, columns, rows, isSortable = false, isTall = false }: Table): Html {
  const head = columns.map(({ text, isNumber = false, hint }) => {
    const name = hint === undefined ? html`${text}` : html`<abbr title="${hint}">${text}</abbr>`;
    const inner = isSortable ? html`<button type="button" class="sort">${name}</button>` : name;
    return html`<th scope="col"${isNumber && html` class="num"`}>${inner}</th>`;
  });
  const cellOf = (cell: Cell, k: number): Html => {
    const { shown, value, metric, look: own } = cell;
    const isNumber = columns[k]?.isNumber === true;
    const classes = [isNumber ? 'num' : '', own ?? ''].filter((one) => one !== '').join(' ');
    const attributes = html`${classes !== '' && html` class="${classes}"`}${
      metric !== undefined && html` data-metric="${metric}"`
    }${value !== undefined && html` data-value="${value ?? ''}"`}`;
    return k === 0 ? html`<th scope="row"${attributes}>${shown}</th>` : html`<td${attributes}>${shown}</td>`;
  };
  return html`<div class="${isTall ? 'scroll tall' : 'scroll'}" tabindex="0" role="group" aria-label="${caption}"><table class="data"${
    isSortable && html` data-sortable`
  }><caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>${rows.map(
    (row) => html`<tr>${row.map(cellOf)}</tr>`,
  )}</tbody></table></div>`;
}

/** What is told in pairs of a name and a value. */
export const facts = (list: readonly (readonly [name: string, value: Content])[]): Html =>
  html`<dl class="facts">${list.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A part of a page under a heading, of the second level or, within a chapter, the third. */
export const section = (id: string, title: string, body: Content, lede: Content = null, level: 2 | 3 = 2): Html =>
  html`<section id="${id}"><h${level}>${title}</h${level}>${lede !== null && html`<p class="lede">${lede}</p>`}${body}</section>`;
