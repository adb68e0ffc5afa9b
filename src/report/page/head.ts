import type { ClassificationMetrics, Metrics } from '../../metrics/metrics.js';
import { figure } from '../charts/frame.js';
import { counted } from '../format.js';
import { type Content, type Html, html } from '../html.js';
import type { HeadReport, OnData } from '../model.js';
import { confusionBody, labelSlider, ratesOf } from './confusion.js';
import { regressionFigures, scoreFigures } from './curves.js';
import { gallery } from './gallery.js';
import { togetherTable } from './labels.js';
import { mapFigure } from './map.js';
import { classTable, keyFigures, mainMetrics, metricsTable } from './metrics.js';
import { chosenNote, origin } from './origin.js';
import { section } from './parts.js';
import type { Pictures } from './pictures.js';
import { learningFigures } from './training.js';

/** A part of a head's chapter, to be linked to. */
export interface Part {
  readonly id: string;
  readonly title: string;
  readonly body: Html;
}

const charts = (list: readonly Html[]): Html => html`<div class="charts">${list}</div>`;
const hasConfusion = (metrics: Metrics | null): metrics is ClassificationMetrics =>
  metrics !== null && 'confusion' in metrics;

/**
 * @param level of the headings
 * @returns the parts of the chapter of a head, those that it has anything to say in
 */
export function headParts(head: HeadReport, id: string, pictures: Pictures, level: 2 | 3): Part[] {
  const { info, onData } = head;
  const metrics = mainMetrics(info, onData);
  const parts: Part[] = [];
  const add = (name: string, title: string, body: Content | null, lede: Content = null): void => {
    if (body === null) return;
    parts.push({ id: `${id}-${name}`, title, body: section(`${id}-${name}`, title, body, lede, level) });
  };
  add('numbers', 'How good it is', numbers(head), onData?.which ?? null);
  if (onData !== null) mistakes(head, onData, pictures, add);
  if (hasConfusion(metrics)) {
    const which =
      onData === null
        ? `On ${info.testMetrics === null ? 'validation' : 'test'} images, as training measured it.`
        : null;
    add('confusion', 'What is taken for what', confusionBody(id, head, metrics.confusion), which);
  }
  if (info.task === 'multilabel' && onData !== null) {
    const rates = ratesOf(head, onData);
    if (rates.length > 0) add('labels', 'One label at a time', labelSlider(id, head, rates));
    add('together', 'Labels that go together', togetherTable(info.classes, onData.answers.y));
  }
  if (metrics !== null) {
    const what = info.task === 'multilabel' ? 'Each label' : 'Each class';
    add('classes', what, classTable(head.name, info, metrics));
  }
  if (onData !== null) {
    const drawn = info.task === 'regression' ? regressionFigures(head, onData) : scoreFigures(head, onData);
    if (drawn.length > 0)
      add('curves', info.task === 'regression' ? 'Answers and errors' : 'Scores', charts(drawn.map(figure)));
    if (onData.map !== null) add('map', 'Where the images lie', charts([figure(mapFigure(head, onData, onData.map))]));
  }
  const learning = learningFigures(info);
  if (learning.length > 0) add('training', 'How it learned', charts(learning.map(figure)));
  add('origin', 'What was trained on what', origin(head));
  return parts;
}

function numbers(head: HeadReport): Content {
  const { name, info, onData } = head;
  const table = metricsTable(name, info, onData);
  if (table === null) return html`<p>Nothing was measured: there were no validation images.</p>`;
  const chosen = chosenNote(info);
  return html`${keyFigures(info, onData)}${table}${chosen !== null && html`<p class="note">${chosen}</p>`}`;
}

type Add = (name: string, title: string, body: Content | null, lede?: Content) => void;

function mistakes(head: HeadReport, onData: OnData, pictures: Pictures, add: Add): void {
  const isRegression = head.info.task === 'regression';
  const shown = onData.mistakes.length;
  if (shown > 0) {
    const all = isRegression ? null : wrongCount(onData);
    const of = all === null ? '' : all > shown ? `, ${shown} of ${all}` : `, all ${counted(all, 'mistake')}`;
    const lede = isRegression
      ? 'The images of which it is farthest off.'
      : `Of the images that it has wrong those of which it is surest${of}: look here for wrong labels first.`;
    add(
      'mistakes',
      isRegression ? 'Farthest off' : 'Most confident mistakes',
      gallery(head, onData, onData.mistakes, pictures),
      lede,
    );
  } else if (!isRegression) {
    add('mistakes', 'Most confident mistakes', html`<p>None: every image is right.</p>`);
  }
  if (onData.uncertain.length > 0) {
    const lede = 'Images whose answer hangs by least: labelling more like these teaches it most.';
    add('uncertain', 'Least certain', gallery(head, onData, onData.uncertain, pictures), lede);
  }
}

function wrongCount({ answers, metrics }: OnData): number {
  const n = answers.task === 'multilabel' ? answers.scores.length / answers.classes : answers.y.length;
  return 'accuracy' in metrics ? Math.round(n * (1 - metrics.accuracy)) : 0;
}
