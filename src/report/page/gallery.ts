import { decimals, figures, listed, percent, short } from '../format.js';
import { type Content, type Html, html } from '../html.js';
import type { HeadReport, Neighbour, OnData } from '../model.js';
import { type Said, saidBy } from '../rows.js';
import type { Pictures } from './pictures.js';

/** What a head says of a row, and what it should say, for people. */
function answer({ info }: HeadReport, onData: OnData, said: Said, row: number): Content {
  const { task, classes, scores, y } = onData.answers;
  if (task === 'regression') {
    const [value, is] = [scores[row] as number, y[row] as number];
    return html`<b>${figures(value)}</b> for ${figures(is)} (${value > is ? '+' : ''}${figures(value - is)})`;
  }
  if (task === 'multilabel') {
    const [missed, extra]: [string[], string[]] = [[], []];
    for (const [k, name] of info.classes.entries()) {
      const at = row * classes + k;
      if (said.labels[at] !== y[at]) (y[at] === 1 ? missed : extra).push(`${name} ${decimals(scores[at])}`);
    }
    if (missed.length + extra.length === 0)
      return html`right: ${onData.labels[row]?.split('|').join(', ') || 'no label'}`;
    return html`${missed.length > 0 && html`missed <b>${listed(missed, 3)}</b>`}${missed.length > 0 && extra.length > 0 && '; '}${extra.length > 0 && html`said <b>${listed(extra, 3)}</b>`}`;
  }
  const [answered, is] = [said.classes[row] as number, y[row] as number];
  const sure = html`<b>${info.classes[answered] ?? ''}</b> ${percent(scores[row * classes + answered])}`;
  return answered === is ? html`${sure}, right` : html`${sure}, is <b>${info.classes[is] ?? ''}</b>`;
}

/** `nearest in training: 4 bees, 1 ants`; what the labels of the nearest say together. */
function nearest(neighbours: readonly Neighbour[], isNumber: boolean): string {
  if (isNumber) return `nearest in training: ${neighbours.map(({ label }) => figures(Number(label))).join(', ')}`;
  const counts = new Map<string, number>();
  for (const { label } of neighbours) counts.set(label, (counts.get(label) ?? 0) + 1);
  const all = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const texts = all.map(
    ([label, count]) => `${count} ${label === '' ? 'without label' : label.replaceAll('|', ' + ')}`,
  );
  return `nearest in training: ${texts.join(', ')}`;
}

/** Pictures with what was said of them, and where the head finds that. */
export function gallery(head: HeadReport, onData: OnData, rows: readonly number[], pictures: Pictures): Html {
  const { heat } = onData;
  const said = saidBy(onData.answers, head.info.threshold);
  const items = rows.map((row) => {
    const place = onData.places[row] as number;
    const neighbours = onData.neighbours.get(row) ?? [];
    const over = typeof heat === 'string' ? undefined : heat.get(row);
    return html`<li>${pictures.figure(place, over)}<p class="said">${answer(head, onData, said, row)}</p>${
      neighbours.length > 0 && html`<p class="near">${nearest(neighbours, onData.answers.task === 'regression')}</p>`
    }<p class="file" title="${pictures.path(place)}">${short(pictures.path(place), 36)}</p></li>`;
  });
  const hasHeat = typeof heat !== 'string' && rows.some((row) => heat.has(row));
  return html`<div class="looks">${
    hasHeat &&
    html`<label class="look"><input type="checkbox" checked> show where it finds what it says: the brighter, the more its weights and the base’s last feature maps speak for it</label>`
  }<ul class="gallery">${items}</ul>${typeof heat === 'string' && html`<p class="note">Where it looks is not shown: ${heat}.</p>`}</div>`;
}
