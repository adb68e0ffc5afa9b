import { breathe, isBreath } from '../breathe.js';
import { type Task, widthOf } from '../labels/targets.js';
import type { HeadOptions } from '../train/options.js';
import type { TrainHooks } from '../train/run.js';
import { outputsOf, type TrainedHead, type TrainingJob } from '../train/train.js';
import { distinct, type VectorTable } from './joined-sets.js';
import type { LabelledRows } from './problem.js';

/** What is trained, on which table. */
export interface RowTask {
  readonly task: Task;
  /** In the head's order; none of a regression. */
  readonly classes: readonly string[];
  readonly table: VectorTable;
}

const known = new WeakMap<VectorTable, Uint32Array>();

/** @returns of each row the first four bytes of its content's hash */
function marksOf(table: VectorTable): Uint32Array {
  const { rows, vectors } = table;
  const marks = known.get(table) ?? new Uint32Array(vectors.n);
  if (!known.has(table)) for (let row = 0; row < vectors.n; row++) marks[row] = rows.leadOf(row);
  known.set(table, marks);
  return marks;
}

type RowExamples = Required<Pick<TrainingJob['data'], 'vectors' | 'y' | 'rows'>>;
interface RowData {
  readonly train: RowExamples & { readonly groups: Uint32Array };
  readonly val: RowExamples | null;
}
const prepared = new WeakMap<LabelledRows, WeakMap<LabelledRows, Promise<RowData>>>();

/** @returns the training of heads on rows of a table. Images that are copies of each other train as one. */
export async function rowJob(
  of: RowTask,
  train: LabelledRows,
  val: LabelledRows,
  heads: readonly HeadOptions[],
  hooks: TrainHooks,
): Promise<TrainingJob> {
  const { task, classes, table } = of;
  const beside = prepared.get(train) ?? new WeakMap<LabelledRows, Promise<RowData>>();
  prepared.set(train, beside);
  const found = beside.get(val) ?? rowData(of, train, val, hooks.signal);
  beside.set(val, found);
  const data = await found;
  await breathe(hooks.signal);
  return { data: { ...data.train, marks: marksOf(table), task, classes }, val: data.val, heads, hooks };
}

async function rowData(
  { task, classes, table }: RowTask,
  train: LabelledRows,
  val: LabelledRows,
  signal?: AbortSignal,
): Promise<RowData> {
  const { vectors } = table;
  const width = widthOf(task, classes.length);
  const y = task === 'regression' ? new Float32Array(vectors.n) : new Int32Array(vectors.n * width);
  for (const side of [train, val]) {
    for (const [i, row] of side.rows.entries()) {
      if (isBreath(i)) await breathe(signal);
      for (let k = 0; k < width; k++) y[row * width + k] = side.y[i * width + k] as number;
    }
  }
  await breathe(signal);
  const examples = (side: LabelledRows): RowExamples => ({ vectors, y, rows: distinct(side.rows) });
  const groups = await groupsOf(train, vectors.n, signal);
  return { train: { ...examples(train), groups }, val: val.rows.length === 0 ? null : examples(val) };
}

/** @returns for each row of the table a number for what it is left out with, in the order in which they come */
async function groupsOf({ rows, keys }: LabelledRows, n: number, signal?: AbortSignal): Promise<Uint32Array> {
  const numbers = new Map<string, number>();
  const groups = new Uint32Array(n);
  // Where none has a group, what is alike is one row.
  const areContents = !keys.some((key) => key.startsWith('#'));
  let count = 0;
  for (const [i, row] of rows.entries()) {
    if (isBreath(i)) await breathe(signal);
    if (areContents) {
      groups[row] = i > 0 && row === rows[i - 1] ? count - 1 : count++;
      continue;
    }
    const key = keys[i] as string;
    const number = numbers.get(key) ?? numbers.size;
    if (number === numbers.size) numbers.set(key, number);
    groups[row] = number;
  }
  return groups;
}

/** @returns what the last layer gives for rows of a table, in front of the ending: `[rows, units]` */
export const logitsOf = (of: RowTask, { net }: TrainedHead, rows: Uint32Array): Promise<Float32Array> =>
  rowOutputs({ task: 'regression', net: { ...net, ending: 'linear' } }, of.table, rows);

/** @returns what the head says of rows of a table: probabilities `[rows, classes]`, of a regression values `[rows]` */
export const scoresOf = (of: RowTask, trained: TrainedHead, rows: Uint32Array): Promise<Float32Array> =>
  rowOutputs(trained, of.table, rows);

/** A row that is asked for twice, as images that are copies of each other are, is computed once. */
async function rowOutputs(
  head: Pick<TrainedHead, 'task' | 'net'>,
  { vectors }: VectorTable,
  rows: Uint32Array,
): Promise<Float32Array> {
  const unique = distinct(rows);
  const outputs = await outputsOf(head, vectors, unique);
  if (unique.length === rows.length) return outputs;
  const width = outputs.length / unique.length;
  const all = new Float32Array(rows.length * width);
  let place = -1;
  for (const [i, row] of rows.entries()) {
    if (i === 0 || row !== rows[i - 1]) place += 1;
    all.set(outputs.subarray(place * width, (place + 1) * width), i * width);
  }
  return all;
}

/** @returns the head with its logits divided by a temperature */
export function withTemperature(trained: TrainedHead, temperature: number): TrainedHead {
  const layers = [...trained.net.layers];
  const last = layers.pop() as (typeof layers)[number];
  const cooled = (values: Float32Array): Float32Array => values.map((value) => value / temperature);
  return {
    ...trained,
    net: { ...trained.net, layers: [...layers, { kernel: cooled(last.kernel), bias: cooled(last.bias) }] },
  };
}
