import { type LayerSummary, type ModelSummary, type SummaryOptions, summary } from '../src/commands/summary.js';
import { type Arguments, optionsOf } from './arguments.js';
import { printJson } from './io.js';
import { drawable } from './locale.js';
import { Console } from './progress.js';

interface Column {
  readonly head: string;
  /** Where it ends, as a share of the line. */
  readonly end: number;
  /** Columns that its share of the borders and padding takes. */
  readonly frame: number;
  readonly right?: boolean;
  readonly cell: (layer: LayerSummary) => string;
}

const title = ({ name, type }: LayerSummary): string => `${name} (${type})`;
const shape = (layer: LayerSummary): string =>
  layer.shape ? `(${['None', ...layer.shape.map((size) => size ?? 'None')].join(', ')})` : '?';
const params = (layer: LayerSummary): string => grouped(layer.params);
const connections = ({ inputs }: LayerSummary): string => inputs.map((name) => `${name}[0][0]`).join(', ') || '-';
const grouped = (n: number): string => n.toLocaleString('en-US');

/** Keras's columns for layers that form a chain. */
const CHAIN: readonly Column[] = [
  { head: 'Layer (type)', end: 0.45, frame: 3, cell: title },
  { head: 'Output Shape', end: 0.8, frame: 4, cell: shape },
  { head: 'Param #', end: 1, frame: 3, right: true, cell: params },
];

/** Keras's columns for layers that do not. */
const BRANCHED: readonly Column[] = [
  { head: 'Layer (type)', end: 0.3, frame: 3, cell: title },
  { head: 'Output Shape', end: 0.56, frame: 3, cell: shape },
  { head: 'Param #', end: 0.74, frame: 4, right: true, cell: params },
  { head: 'Connected to', end: 1, frame: 3, cell: connections },
];

/** Words in lines of a width; a word that is longer is cut. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

/** Parameters as bytes of float32, in Keras's words. */
function size(count: number): string {
  const bytes = count * 4;
  const unit = bytes === 0 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  return `${(bytes / 1024 ** unit).toFixed(2)} ${UNITS[unit]}`;
}

/** The summary as Keras prints it in lines of a width. */
function render({ name, layers, ...total }: ModelSummary, width: number): string {
  const isChain = layers.every(({ inputs }, i) => inputs.join() === (layers[i - 1]?.name ?? ''));
  const columns = isChain ? CHAIN : BRANCHED;
  const ends = columns.map(({ end }) => Math.trunc(end * width));
  const widths = columns.map(({ frame }, i) => Math.max((ends[i] ?? 0) - (ends[i - 1] ?? 0) - frame, 1));
  const rule = (left: string, line: string, cross: string, right: string): string =>
    left + widths.map((columns) => line.repeat(columns + 2)).join(cross) + right;
  const row = (texts: readonly string[], bar: string): string[] => {
    const cells = texts.map((text, i) => wrap(text, widths[i] ?? 1));
    return Array.from({ length: Math.max(...cells.map((lines) => lines.length)) }, (_, line) => {
      const padded = cells.map((lines, i) => {
        const text = lines[line] ?? '';
        return columns[i]?.right ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0);
      });
      return `${bar} ${padded.join(` ${bar} `)} ${bar}`;
    });
  };
  const body = layers.map((layer) =>
    row(
      columns.map(({ cell }) => cell(layer)),
      '│',
    ).join('\n'),
  );
  const heads = columns.map(({ head }) => head);
  return [
    `Model: "${name}"`,
    rule('┏', '━', '┳', '┓'),
    ...row(heads, '┃'),
    rule('┡', '━', '╇', '┩'),
    body.join(`\n${rule('├', '─', '┼', '┤')}\n`),
    rule('└', '─', '┴', '┘'),
    ` Total params: ${grouped(total.params)} (${size(total.params)})`,
    ` Trainable params: 0 (${size(0)})`,
    ` Non-trainable params: ${grouped(total.params)} (${size(total.params)})`,
    ` Multiply-adds: ${grouped(total.multiplyAdds)}`,
    ` Preprocessing: ${total.preprocess ?? 'not in the model: give --preprocess'}`,
    ` To tap: ${total.taps.join(', ')}`,
    '',
  ].join('\n');
}

export async function run(given: Arguments): Promise<void> {
  const console = Console.of(given);
  const found = await summary({ ...optionsOf<SummaryOptions>(given), onStep: console.step });
  console.clear();
  if (given.values.json) printJson(found);
  else process.stdout.write(drawable(render(found, Number(given.values.width))));
}
