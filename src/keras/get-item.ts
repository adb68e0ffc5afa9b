import type { Op } from '../graph/graph.js';
import type { Arguments } from './arguments.js';
import { Constant } from './calls.js';
import { type Expression, type Step, step } from './expression.js';
import { isFields, isNumber } from './json.js';

interface Range {
  readonly start: number | null;
  readonly stop: number | null;
  readonly step: number;
}

const ALL: Range = { start: null, stop: null, step: 1 };
/** An index, a slice, a new axis; undefined for what is none of them. */
type Item = number | Range | 'new' | 'rest' | undefined;

function itemOf(value: unknown): Item {
  if (value === null || value === undefined) return 'new';
  if (value instanceof Constant) return value.shape.length === 0 ? value.values[0] : undefined;
  if (isNumber(value)) return Number.isInteger(value) ? value : undefined;
  if (!isFields(value)) return undefined;
  if (value.class_name === '__ellipsis__') return 'rest';
  const fields = value.class_name === '__slice__' && isFields(value.config) ? value.config : value;
  if (!('start' in fields || 'stop' in fields)) return undefined;
  const { start = null, stop = null } = fields;
  const by = fields.step ?? 1;
  const fits = (n: unknown): n is number | null => n === null || (isNumber(n) && Number.isInteger(n));
  return fits(start) && fits(stop) && isNumber(by) && Number.isInteger(by) && by !== 0
    ? { start, stop, step: by }
    : undefined;
}

const isWhole = ({ start, stop, step }: Range): boolean => (start ?? 0) === 0 && stop === null && step === 1;

/** `x[:, 2:, ..., 0]`, as Keras 3 and TensorFlow save it; the batch must stay whole. */
export function getItem(p: Arguments): Step | null {
  const x = p.tensor(0, 'x', 'tensor');
  const key = p.get(1, 'key', 'slice_spec');
  const items = (Array.isArray(key) ? key : [key]).map(itemOf);
  const rank = p.rank(x) + 1;
  const counted = items.filter((item) => item !== 'new' && item !== 'rest').length;
  const rests = items.filter((item) => item === 'rest').length;
  if (items.includes(undefined) || counted > rank || rests > 1) return null;
  const filled = items.flatMap((item) => (item === 'rest' ? new Array<Item>(rank - counted).fill(ALL) : [item]));
  const [batch, ...rest] = filled;
  if (batch === undefined || typeof batch !== 'object' || !isWhole(batch)) return null;
  let y: Expression = x;
  const then = (op: Op): void => {
    y = step(op, y);
  };
  const dropped: number[] = [];
  const added: number[] = [];
  let axis = 1;
  for (const item of rest) {
    if (item === 'new') {
      added.push(axis - dropped.length + added.length);
      continue;
    }
    if (typeof item === 'number') {
      then({ kind: 'Slice', axis, start: item, stop: item === -1 ? null : item + 1, step: 1 });
      dropped.push(axis);
    } else if (typeof item === 'object' && !isWhole(item)) {
      const isTurned = item.start === null && item.stop === null && item.step === -1;
      if (isTurned && axis === p.rank(x) && p.shape(x).at(-1) === 3) then({ kind: 'ReverseChannels' });
      else then({ kind: 'Slice', axis, ...item });
    }
    axis++;
  }
  for (const one of dropped.reverse()) then({ kind: 'Squeeze', axis: one });
  for (const one of added) then({ kind: 'ExpandDims', axis: one });
  return typeof y === 'number' ? step({ kind: 'Identity', className: 'GetItem' }, y) : y;
}
