/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
// The script of a report. It is written into the page as it is compiled, so it imports nothing but types.
import type { ScriptData, ScriptHead } from '../page/data.js';

/** Pictures of a cell; the names of more are listed. */
const MOST_PICTURES = 24;
const MOST_NAMES = 1000;

const find = <T extends Element>(selector: string, within: ParentNode = document): T | null =>
  within.querySelector<T>(selector);
const all = <T extends Element>(selector: string, within: ParentNode = document): T[] => [
  ...within.querySelectorAll<T>(selector),
];
const data = JSON.parse(find('#data')?.textContent ?? '{}') as ScriptData;
const whole = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',');
const decimals = (value: number): string => value.toFixed(3);
const percent = (share: number): string => (Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '–');

/** Where the picture of an image is, in the markup or in the data; null without. */
function pictureOf(place: number): string | null {
  const there = find<HTMLImageElement>(`img[data-place="${place}"]`);
  if (there !== null) return there.src;
  const bytes = data.pictures[place];
  return bytes === undefined ? null : `data:image/webp;base64,${bytes}`;
}

function element(name: string, className: string, text = ''): HTMLElement {
  const made = document.createElement(name);
  if (className !== '') made.className = className;
  made.textContent = text;
  return made;
}

function thumbnail(place: number): HTMLElement {
  const source = pictureOf(place);
  if (source === null) return element('span', 'thumb none', 'no picture');
  const image = document.createElement('img');
  image.className = 'thumb';
  image.alt = data.paths[place] ?? '';
  image.src = source;
  return image;
}

// Pictures that stand in the page a second time.
for (const image of all<HTMLImageElement>('img[data-again]')) {
  image.src = pictureOf(Number(image.dataset.again)) ?? '';
}

/** A confusion matrix: the cell that is chosen, and the threshold. */
class Confusion {
  private readonly head: ScriptHead;
  private chosen: readonly [is: number, said: number] | null = null;
  private label = 0;
  /** Null for the head's own threshold. */
  private step: number | null = null;

  constructor(private readonly root: HTMLElement) {
    this.head = data.heads[root.dataset.confusion ?? ''] as ScriptHead;
    for (const button of all<HTMLButtonElement>('[data-cell]', root)) {
      button.addEventListener('click', () => {
        const [is = 0, said = 0] = (button.dataset.cell ?? '').split('-').map(Number);
        this.choose(is, said);
      });
    }
    find('[data-show]', root)?.addEventListener('click', () => this.choose(this.selected('is'), this.selected('said')));
    const range = find<HTMLInputElement>('input[type=range]', root);
    range?.addEventListener('input', () => this.move(Number(range.value)));
    find('[data-own]', root)?.addEventListener('click', () => this.move(null));
    find<HTMLSelectElement>('[data-choose=label]', root)?.addEventListener('change', () => {
      this.label = this.selected('label');
      this.move(null);
    });
    this.heat();
    if (range !== null) this.move(null);
  }

  private selected(which: string): number {
    return Number(find<HTMLSelectElement>(`[data-choose=${which}]`, this.root)?.value ?? 0);
  }

  /** The picture of a large matrix names what lies under the pointer, and shows it when it is clicked. */
  private heat(): void {
    const picture = find<SVGElement>('[data-heat]', this.root);
    const says = find('[data-heat-says]', this.root);
    if (picture === null || says === null) return;
    const k = Number(picture.dataset.heat);
    const before = says.textContent;
    const cellAt = (event: MouseEvent): [number, number] => {
      const box = picture.getBoundingClientRect();
      const at = (from: number, size: number): number => Math.min(k - 1, Math.max(0, Math.floor((from / size) * k)));
      return [at(event.clientY - box.top, box.height), at(event.clientX - box.left, box.width)];
    };
    picture.addEventListener('mousemove', (event) => {
      const [is, said] = cellAt(event);
      says.textContent = `${this.head?.classes[is] ?? ''} taken for ${this.head?.classes[said] ?? ''}`;
    });
    picture.addEventListener('mouseleave', () => {
      says.textContent = before;
    });
    if (this.head !== undefined) picture.addEventListener('click', (event) => this.choose(...cellAt(event)));
  }

  private get threshold(): number {
    const rates = this.head.rates[this.label];
    if (rates === undefined) return 0.5;
    return this.step === null ? rates.own : this.step / rates.steps;
  }

  /** Whether a cell says yes or no to one class: of the second of two, or of a label. */
  private get isYesOrNo(): boolean {
    return this.head.task !== 'multiclass';
  }

  /** Where a row's class and probability stand: of several labels an image those of the one that is looked at. */
  private at(row: number): number {
    return this.head.task === 'multilabel' ? row * this.head.classes.length + this.label : row;
  }

  private scoreOf(row: number): number {
    return this.head.score[this.at(row)] as number;
  }

  /** What rows and columns are called. */
  private get names(): readonly string[] {
    return this.head.task === 'multilabel' ? ['absent', 'present'] : this.head.classes;
  }

  /** Rows of a cell at the present threshold, the surest first. */
  private rowsOf(is: number, said: number): number[] {
    const limit = this.threshold;
    const answer = (row: number): number =>
      this.isYesOrNo ? Number(Math.fround(this.scoreOf(row)) > limit) : (this.head.said[row] as number);
    const sure = (row: number): number => (this.isYesOrNo && said === 0 ? -this.scoreOf(row) : this.scoreOf(row));
    const rows = [...this.head.place.keys()].filter((row) => this.head.is[this.at(row)] === is && answer(row) === said);
    return rows.sort((a, b) => sure(b) - sure(a) || a - b);
  }

  private choose(is: number, said: number): void {
    this.chosen = [is, said];
    for (const button of all<HTMLButtonElement>('[data-cell]', this.root)) {
      button.setAttribute('aria-pressed', String(button.dataset.cell === `${is}-${said}`));
    }
    this.show();
  }

  private show(): void {
    const place = find('[data-cell-images]', this.root);
    if (place === null || this.chosen === null) return;
    const [is, said] = this.chosen;
    const { classes, task, isCut } = this.head;
    const { names } = this;
    const rows = this.rowsOf(is, said);
    const label = task === 'multilabel' ? `${classes[this.label]}: ` : '';
    const title = element(
      'p',
      'title',
      `${label}${is === said ? `${names[is]}, right` : `${names[is]} taken for ${names[said]}`}`,
    );
    const most = isCut ? ' of which this page has the names' : '';
    const count = element('p', 'note', `${whole(rows.length)} ${rows.length === 1 ? 'image' : 'images'}${most}`);
    const hasPicture = (row: number): boolean => pictureOf(this.head.place[row] as number) !== null;
    const pictured = rows.filter(hasPicture).slice(0, MOST_PICTURES);
    const list = element('ul', 'gallery');
    for (const row of pictured) {
      const at = this.head.place[row] as number;
      const item = document.createElement('li');
      item.dataset.path = data.paths[at] ?? '';
      const score = this.scoreOf(row);
      const probability = this.isYesOrNo && said === 0 ? 1 - score : score;
      item.append(
        thumbnail(at),
        element('p', 'said', `${names[said]} ${percent(probability)}`),
        element('p', 'file', data.paths[at]),
      );
      list.append(item);
    }
    const rest = rows.filter((row) => !pictured.includes(row));
    const unseen = element('ul', 'names');
    for (const row of rest.slice(0, MOST_NAMES)) {
      const item = element('li', '', data.paths[this.head.place[row] as number]);
      item.dataset.path = item.textContent ?? '';
      unseen.append(item);
    }
    if (rest.length > MOST_NAMES) unseen.append(element('li', '', `and ${whole(rest.length - MOST_NAMES)} more`));
    place.replaceChildren(title, count, list, ...(rest.length > 0 ? [unseen] : []));
  }

  /** @param step of the slider, null for the head's own threshold */
  private move(step: number | null): void {
    this.step = step;
    const rates = this.head.rates[this.label];
    if (rates === undefined) return;
    const { positives, negatives, steps, own } = rates;
    const hits = step === null ? rates.ownHits : (rates.hits[step] as number);
    const wrong = step === null ? rates.ownWrong : (rates.wrong[step] as number);
    const range = find<HTMLInputElement>('input[type=range]', this.root);
    if (range !== null && step === null) range.value = String(Math.round(own * steps));
    range?.setAttribute('aria-valuetext', decimals(this.threshold));
    const put = (selector: string, text: string): void => {
      for (const one of all(selector, this.root)) one.textContent = text;
    };
    put('[data-threshold]', decimals(this.threshold));
    put('[data-own]', `back to the head’s own, ${decimals(own)}`);
    const n = positives + negatives;
    const [precision, recall] = [hits / (hits + wrong || 1), hits / (positives || 1)];
    const shown: Record<string, string> = {
      accuracy: percent((hits + negatives - wrong) / n),
      precision: decimals(precision),
      recall: decimals(recall),
      specificity: negatives === 0 ? '–' : decimals((negatives - wrong) / negatives),
      F1: decimals((2 * hits) / (hits + wrong + positives || 1)),
      said: `${whole(hits + wrong)} of ${whole(n)}`,
    };
    for (const [name, text] of Object.entries(shown)) put(`[data-rate="${name}"]`, text);
    this.fill([
      [negatives - wrong, wrong],
      [positives - hits, hits],
    ]);
    this.show();
  }

  private fill(counts: readonly (readonly number[])[]): void {
    for (const [is, line] of all<HTMLTableRowElement>('.matrix tbody tr', this.root).entries()) {
      const row = counts[is] ?? [];
      const total = row.reduce((sum, count) => sum + count, 0);
      for (const [said, cell] of all<HTMLTableCellElement>('td', line).entries()) {
        const count = row[said] ?? 0;
        const shade = Math.max(1, Math.ceil((count / Math.max(1, total)) * 9));
        cell.className = count === 0 ? 'empty' : `${is === said ? 'right' : 'wrong'}${shade}`;
        const [number, share] = [find('.count', cell), find('.share', cell)];
        if (number !== null) number.textContent = whole(count);
        if (share !== null) share.textContent = total === 0 ? '' : percent(count / total);
        const { names } = this;
        find('button', cell)?.setAttribute(
          'aria-label',
          `${whole(count)}${total === 0 ? '' : ` ${percent(count / total)}`}: ${names[is]} taken for ${names[said]}`,
        );
      }
    }
  }
}
for (const root of all<HTMLElement>('[data-confusion]')) new Confusion(root);

/** Rows by a column: numbers by size, names by letter; what is not there comes last. */
function sortable(table: HTMLTableElement): void {
  const heads = all<HTMLTableCellElement>('thead th', table);
  for (const [k, head] of heads.entries()) {
    find('button', head)?.addEventListener('click', () => {
      const isFalling = head.getAttribute('aria-sort') !== 'descending' && head.classList.contains('num');
      const isTurned = head.getAttribute('aria-sort') === 'ascending';
      const sign = isFalling || isTurned ? -1 : 1;
      for (const one of heads) one.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', sign < 0 ? 'descending' : 'ascending');
      const body = table.tBodies[0] as HTMLTableSectionElement;
      const keyOf = (row: HTMLTableRowElement): string =>
        row.cells[k]?.dataset.value ?? row.cells[k]?.textContent ?? '';
      const rows = [...body.rows].map((row) => ({ row, key: keyOf(row) }));
      rows.sort((a, b) => {
        if (a.key === '' || b.key === '') return Number(a.key === '') - Number(b.key === '');
        const [x, y] = [Number(a.key), Number(b.key)];
        const order = Number.isNaN(x) || Number.isNaN(y) ? a.key.localeCompare(b.key, 'en', { numeric: true }) : x - y;
        return sign * order;
      });
      body.append(...rows.map(({ row }) => row));
    });
  }
}
for (const table of all<HTMLTableElement>('table[data-sortable]')) sortable(table);

/** Names and shows the image that lies nearest to the pointer. */
function map(root: HTMLElement): void {
  const points = JSON.parse(find('[data-points]', root)?.textContent ?? '[]') as [
    place: number,
    x: number,
    y: number,
  ][];
  const drawing = find<SVGSVGElement>('svg', root);
  const tip = find<HTMLElement>('.tip', root);
  if (drawing === null || tip === null) return;
  const ring = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
  ring.setAttribute('class', 'ring');
  ring.setAttribute('r', '7');
  const hide = (): void => {
    tip.hidden = true;
    ring.remove();
  };
  drawing.addEventListener('pointermove', (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = drawing.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let best: [number, number, number] | null = null;
    let least = 25 ** 2;
    for (const point of points) {
      const distance = (point[1] - x) ** 2 + (point[2] - y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    if (best === null) return hide();
    const [place, left, top] = best;
    ring.setAttribute('cx', String(left));
    ring.setAttribute('cy', String(top));
    drawing.append(ring);
    tip.replaceChildren(...(pictureOf(place) === null ? [] : [thumbnail(place)]), data.paths[place] ?? '');
    tip.hidden = false;
    const isRight = left / scale > box.width / 2;
    tip.style.left = isRight ? 'auto' : `${left / scale + 12}px`;
    tip.style.right = isRight ? `${box.width - left / scale + 12}px` : 'auto';
    tip.style.top = `${Math.max(0, top / scale - 60)}px`;
  });
  drawing.addEventListener('pointerleave', hide);
}
for (const root of all<HTMLElement>('.map')) map(root);
