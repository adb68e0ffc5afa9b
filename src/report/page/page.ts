import { createHash } from 'node:crypto';
import { counted, listed, whole } from '../format.js';
import { type Content, type Html, html, json } from '../html.js';
import type { HeadReport, Report } from '../model.js';
import { headsTable, pairsTable } from './compare.js';
import { scriptData } from './data.js';
import { headParts, type Part } from './head.js';
import { section } from './parts.js';
import { Pictures } from './pictures.js';
import { STYLE } from './style.js';
import { sweepBody } from './sweep.js';

/** Heads that have a chapter of their own; more are a row of the table. */
export const MOST_CHAPTERS = 12;

/** What was trained on what, in a sentence. */
function lede({ info, sets }: HeadReport): string {
  const { task, classes, train } = info;
  const what =
    task === 'regression'
      ? 'A regression head'
      : `A ${task} head of ${counted(classes.length, task === 'multilabel' ? 'label' : 'class', task === 'multilabel' ? 'labels' : 'classes')} (${listed(classes)})`;
  return `${what} on ${whole(info.dim)} features of ${sets.join(' and ')}, trained on ${counted(train, 'image')}.`;
}

const links = (parts: readonly Pick<Part, 'id' | 'title'>[]): Html =>
  html`<ul>${parts.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul>`;

/** @returns `'sha256-…'`, by which a policy lets an inline script or style in */
const allowed = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/**
 * A page that needs nothing but itself: its policy lets in one style sheet, one script and pictures that are written into it.
 * @param script of the page, in JavaScript
 * @returns the whole document; the same report gives the same text
 */
export function page(report: Report, script: string): string {
  const { title, heads, sweep, compared, notes, version, data } = report;
  const chapters = heads.slice(0, MOST_CHAPTERS);
  const isMany = heads.length > 1;
  const hasChapters = isMany || sweep !== null;
  const pictures = new Pictures(report);
  const all = chapters.map((head, k) => ({
    head,
    id: `h${k}`,
    parts: headParts(head, `h${k}`, pictures, hasChapters ? 3 : 2),
  }));
  const front: Part[] = [];
  if (sweep !== null) front.push({ id: 'sweep', title: 'What was tried', body: sweepBody(sweep) });
  if (isMany) {
    const anchors = heads.map((_, k) => all[k]?.id ?? null);
    front.push({ id: 'heads', title: 'All heads', body: section('heads', 'All heads', headsTable(heads, anchors)) });
  }
  if (compared !== null && compared.pairs.length > 0) {
    const title = 'Which is better';
    const told =
      'Each with each, on the same images. Differences whose interval leaves 0 out are hardly chance, and stand out; of many pairs some do so by chance.';
    front.push({ id: 'pairs', title, body: section('pairs', title, pairsTable(compared), told) });
  }
  const chaptersDrawn = all.map(({ head, id, parts }) =>
    hasChapters
      ? html`<div class="chapter" id="${id}"><h2>${head.name}</h2><p class="lede">${lede(head)}</p>${parts.map(({ body }) => body)}</div>`
      : html`${parts.map(({ body }) => body)}`,
  );
  const contents: Content = hasChapters
    ? html`${links([...front, ...all.map(({ head, id }) => ({ id, title: head.name }))])}`
    : links(all[0]?.parts ?? []);
  const [only] = heads;
  const kind = sweep !== null ? 'sweep' : isMany ? counted(heads.length, 'head') : `${only?.info.task} head`;
  const sentence = hasChapters ? null : only === undefined ? null : lede(only);
  const policy = `default-src 'none'; img-src data:; style-src ${allowed(STYLE)}; script-src ${allowed(script)}; base-uri 'none'; form-action 'none'`;
  const body = html`<div class="page"><header><p class="kind">Permafrost report · ${kind}${data !== null && html` · ${data}`}</p><h1>${title}</h1>${
    sentence !== null && html`<p class="lede">${sentence}</p>`
  }${notes.length > 0 && html`<div class="notes">${notes.map((note) => html`<p>${note}</p>`)}</div>`}</header><nav aria-label="Contents"><p class="title">Contents</p>${contents}</nav><main>${front.map(
    (part) => part.body,
  )}${chaptersDrawn}</main><footer><p>Made by permafrost ${version}. This page is one file and asks nothing of the network.</p></footer></div>`;
  const knows = json(scriptData(report, chapters, pictures));
  return `<!doctype html>\n${
    html`<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="generator" content="permafrost ${version}"><title>${title}: Permafrost report</title>`
      .text
  }<style>${STYLE}</style></head><body>${body.text}<script type="application/json" id="data">${knows.text}</script><script type="module">${script}</script></body></html>\n`;
}
