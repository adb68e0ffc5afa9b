import type { HeadInfo } from '../../heads/head-info.js';
import { counted, decimals, figures, listed, percent, whole } from '../format.js';
import { type Content, type Html, html } from '../html.js';
import type { HeadReport } from '../model.js';
import { facts } from './parts.js';

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

const text = (value: unknown): string =>
  value === null || (Array.isArray(value) && value.length === 0)
    ? 'none'
    : Array.isArray(value)
      ? value.join(', ')
      : typeof value === 'number'
        ? String(value)
        : typeof value === 'object'
          ? Object.entries(value as object)
              .map(([name, one]) => `${name} ${one}`)
              .join(', ')
          : String(value);

/** What made the vectors, from what the set says of itself. */
function baseFacts(set: Fields, fingerprint: string): [string, Content][] {
  const input = fieldsOf(set.input);
  const image = fieldsOf(set.image);
  const size = typeof input.height === 'number' ? `${input.height} × ${input.width} pixels` : '';
  const told: [string, unknown][] = [
    ['Input', [size, image.mode, set.preprocess].filter((one) => typeof one === 'string' && one !== '').join(', ')],
    ['Pooling', set.pooling ?? 'none'],
    ['Features', set.features],
    ['Stored as', set.type],
    ['Precision', set.precision ?? 'float32'],
    ['Calibration', set.calibration],
  ];
  return [
    ...told.flatMap(([name, value]): [string, Content][] =>
      value === undefined || value === ''
        ? []
        : [[name, name === 'Calibration' ? html`<code>${text(value)}</code>` : text(value)]],
    ),
    ['Fingerprint', html`<code>${fingerprint}</code>`],
  ];
}

/** What was trained on what. */
export function origin({ name, info }: HeadReport): Html {
  const { task, classes, train, val, test, shots, folds, refit, threshold, temperature, versions, seed } = info;
  const data: [string, Content][] = [
    ['Head', name],
    ['Task', task],
    ...(classes.length === 0
      ? []
      : [
          [task === 'multilabel' ? 'Labels' : 'Classes', `${classes.length}: ${listed(classes, 12)}`] as [
            string,
            Content,
          ],
        ]),
    ['Trained on', `${counted(train, 'image')}${refit ? ', then anew on training and validation images' : ''}`],
    [
      folds === null ? 'Validated on' : 'Cross-validated on',
      `${counted(val, 'image')}${folds === null ? '' : ` in ${folds.length} parts`}`,
    ],
    ['Tested on', counted(test, 'image')],
    ...(shots === null ? [] : [['Images a class', whole(shots)] as [string, Content]]),
    ...(threshold === null
      ? []
      : [
          [
            'Threshold',
            `${threshold.values.length === 1 ? decimals(threshold.values[0]) : 'one a label'} (${threshold.criterion})`,
          ] as [string, Content],
        ]),
    ...(temperature === null ? [] : [['Temperature', decimals(temperature)] as [string, Content]]),
    ...(info.majority === null
      ? []
      : [['Always the commonest', `${percent(info.majority)} right on validation`] as [string, Content]]),
    ...(info.meanAnswer
      ? [
          [
            'Always the mean',
            `${figures(info.meanAnswer.mean)}, off by ${figures(info.meanAnswer.mae)} in the mean`,
          ] as [string, Content],
        ]
      : []),
    ['Seed', String(seed)],
    [
      'Made by',
      Object.entries(versions)
        .map(([what, version]) => `${what} ${version}`)
        .join(', '),
    ],
    ...(info.identity === null ? [] : [['Identity', html`<code>${info.identity}</code>`] as [string, Content]]),
  ];
  const options = Object.entries(info.options as unknown as Fields).map(
    ([option, value]) => html`<tr><th scope="row">${words(option)}</th><td>${text(value)}</td></tr>`,
  );
  const sets = [{ fingerprint: info.fingerprint, set: info.set as Fields }, ...info.joined];
  return html`<div class="columns"><div><p class="title">Head</p>${facts(data)}</div>${sets.map(
    ({ set, fingerprint }, k) =>
      html`<div><p class="title">Base${sets.length > 1 && ` ${k + 1}`}</p>${facts(baseFacts(set as Fields, fingerprint))}</div>`,
  )}<div><p class="title">Options</p><table class="options"><tbody>${options}</tbody></table></div></div>`;
}

/** @returns `learning rate` of `learningRate` */
export const words = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replaceAll('_', ' ');

/** What validation chose, and so measures too well. */
export function chosenNote({ chosen, testMetrics }: HeadInfo): string | null {
  if (testMetrics !== null || chosen === null || chosen.length === 0) return null;
  const names = chosen.map((one) => `the ${one}`);
  const last = names.pop() as string;
  return `The validation images also chose ${names.length === 0 ? last : `${names.join(', ')} and ${last}`}: expect a little less on new ones.`;
}
