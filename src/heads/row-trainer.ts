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
  const marks =
    known.get(table) ??
    Uint32Array.from({ length: vectors.n }, (_, row) => {
      const bytes = rows.at(row);
      return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    });
  known.set(table, marks);
  return marks;
}

type RowExamples = Required<Pick<TrainingJob['data'], 'vectors' | 'y' | 'rows'>>;
interface RowData {
  readonly train: RowExamples & { readonly groups: Uint32Array };
  readonly val: RowExamples | null;
}
const prepared = new WeakMap<LabelledRows, WeakMap<LabelledRows, RowData>>();

/** @returns the training of heads on rows of a table. Images that are copies of each other train as one. */
export function rowJob(
  of: RowTask,
  train: LabelledRows,
  val: LabelledRows,
  heads: readonly HeadOptions[],
  hooks: TrainHooks,
): TrainingJob {
  const { task, classes, table } = of;
  const beside = prepared.get(train) ?? new WeakMap<LabelledRows, RowData>();
  prepared.set(train, beside);
  const data = beside.get(val) ?? rowData(of, train, val);
  beside.set(val, data);
  return { data: { ...data.train, marks: marksOf(table), task, classes }, val: data.val, heads, hooks };
}

function rowData({ task, classes, table }: RowTask, train: LabelledRows, val: LabelledRows): RowData {
  const { vectors } = table;
  const width = widthOf(task, classes.length);
  const y = task === 'regression' ? new Float32Array(vectors.n) : new Int32Array(vectors.n * width);
  for (const side of [train, val]) {
    for (const [i, row] of side.rows.entries()) {
      for (let k = 0; k < width; k++) y[row * width + k] = side.y[i * width + k] as number;
    }
  }
  const examples = (side: LabelledRows): RowExamples => ({ vectors, y, rows: distinct(side.rows) });
  const numbers = new Map<string, number>();
  const groups = new Uint32Array(vectors.n);
  for (const [i, row] of train.rows.entries()) {
    const key = train.keys[i] as string;
    const number = numbers.get(key) ?? numbers.size;
    if (number === numbers.size) numbers.set(key, number);
    groups[row] = number;
  }
  return { train: { ...examples(train), groups }, val: val.rows.length === 0 ? null : examples(val) };
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
