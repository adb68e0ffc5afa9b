import {
  type Code,
  compile,
  compileShared,
  constant,
  countDown,
  F32,
  get,
  I32,
  load,
  loop,
  set,
  step,
  V128,
  vector,
  type WasmFunction,
  when,
} from '../../formats/wasm.js';
import { ADAM_STEP, type AdamStep } from '../onnx/adam-wasm.js';

/** Functions over a memory of vectors and weights. All sums of a number go in one order, however many rows a call takes. */
export interface Kernels extends AdamStep {
  /**
   * Products of vectors and weights.
   * @param rows address of the addresses of 8 vectors
   * @param weights address of theirs
   * @param out address of a float32 for each vector
   * @param blocks of 16 features, then `rest` features
   */
  dots8(rows: number, weights: number, out: number, blocks: number, rest: number): void;
  /** The same of one vector. */
  dots1(rows: number, weights: number, out: number, blocks: number, rest: number): void;
  /** Adds 8 vectors to a gradient, each by the factor that stands at `factors` in its place. */
  pull8(rows: number, gradient: number, factors: number, blocks: number, rest: number): void;
  /** The same of one vector. */
  pull1(rows: number, gradient: number, factors: number, blocks: number, rest: number): void;
  /** Sets bytes to 0. */
  clear(address: number, bytes: number): void;
}

const FLOATS = [0, 16, 32, 48];
const ADD_FOUR = vector(0xe4);
const MULTIPLY_FOUR = vector(0xe6);
const SAME_FOUR = vector(0x13);
const F_LOAD: Code = [0x2a, 2, 0];
const F_STORE: Code = [0x38, 2, 0];
const F_ADD: Code = [0x92];
const F_MULTIPLY: Code = [0x94];
const loadFour = (offset: number): Code => [...vector(0x00), 0, offset];
const storeFour = (offset: number): Code => [...vector(0x0b), 0, offset];
const lane = (number: number): Code => [...vector(0x1f), number];
/** The address, or factor, of a place in a list. */
const placeOf = (list: number, place: number): Code => [...get(list), ...constant(4 * place), 0x6a];
const repeat = (times: number, ...body: Code[]): Code => when(get(times), loop(...body, countDown(times)));

function dots(count: number): WasmFunction {
  const [rows, weights, out, blocks, rest] = [0, 1, 2, 3, 4] as const;
  const places = Array.from({ length: count }, (_, i) => i);
  const at = (row: number): number => 5 + row;
  const sum = (row: number): number => 5 + count + row;
  const w = 5 + 2 * count;
  const single = (row: number): number => w + 1 + row;
  const onward = (bytes: number): Code => [weights, ...places.map(at)].flatMap((one) => step(one, constant(bytes)));
  return {
    name: `dots${count}`,
    takes: [I32, I32, I32, I32, I32],
    locals: [
      [count, I32],
      [count + 1, V128],
      [count, F32],
    ],
    code: [
      ...places.flatMap((row) => [...load(placeOf(rows, row)), ...set(at(row))]),
      ...repeat(
        blocks,
        ...FLOATS.flatMap((offset) => [
          [...get(weights), ...loadFour(offset), ...set(w)],
          ...places.map((row) => [
            ...[...get(sum(row)), ...get(at(row)), ...loadFour(offset), ...get(w), ...MULTIPLY_FOUR],
            ...[...ADD_FOUR, ...set(sum(row))],
          ]),
        ]),
        onward(64),
      ),
      ...places.flatMap((row) => [
        ...[...get(sum(row)), ...lane(0), ...get(sum(row)), ...lane(1), ...F_ADD],
        ...[...get(sum(row)), ...lane(2), ...get(sum(row)), ...lane(3), ...F_ADD],
        ...[...F_ADD, ...set(single(row))],
      ]),
      ...repeat(
        rest,
        ...places.map((row) => [
          ...[...get(single(row)), ...get(at(row)), ...F_LOAD, ...get(weights), ...F_LOAD, ...F_MULTIPLY],
          ...[...F_ADD, ...set(single(row))],
        ]),
        onward(4),
      ),
      ...places.flatMap((row) => [...placeOf(out, row), ...get(single(row)), ...F_STORE]),
    ],
  };
}

function pull(count: number): WasmFunction {
  const [rows, gradient, factors, blocks, rest] = [0, 1, 2, 3, 4] as const;
  const places = Array.from({ length: count }, (_, i) => i);
  const at = (row: number): number => 5 + row;
  const by = (row: number): number => 5 + count + row;
  const g = 5 + 2 * count;
  const single = g + 1;
  const onward = (bytes: number): Code => [gradient, ...places.map(at)].flatMap((one) => step(one, constant(bytes)));
  return {
    name: `pull${count}`,
    takes: [I32, I32, I32, I32, I32],
    locals: [
      [count, I32],
      [count + 1, V128],
      [1, F32],
    ],
    code: [
      ...places.flatMap((row) => [
        ...[...load(placeOf(rows, row)), ...set(at(row))],
        ...[...placeOf(factors, row), ...F_LOAD, ...SAME_FOUR, ...set(by(row))],
      ]),
      ...repeat(
        blocks,
        ...FLOATS.map((offset) => [
          ...[...get(gradient), ...loadFour(offset), ...set(g)],
          ...places.flatMap((row) => [
            ...[...get(g), ...get(at(row)), ...loadFour(offset), ...get(by(row)), ...MULTIPLY_FOUR],
            ...[...ADD_FOUR, ...set(g)],
          ]),
          ...[...get(gradient), ...get(g), ...storeFour(offset)],
        ]),
        onward(64),
      ),
      ...repeat(
        rest,
        [...get(gradient), ...F_LOAD, ...set(single)],
        ...places.map((row) => [
          ...[...get(single), ...get(at(row)), ...F_LOAD, ...get(by(row)), ...lane(0), ...F_MULTIPLY],
          ...[...F_ADD, ...set(single)],
        ]),
        [...get(gradient), ...get(single), ...F_STORE],
        onward(4),
      ),
    ],
  };
}

const CLEAR: WasmFunction = {
  name: 'clear',
  takes: [I32, I32],
  locals: [],
  code: [...get(0), ...constant(0), ...get(1), 0xfc, 0x0b, 0],
};

const KERNELS = [dots(8), dots(1), pull(8), pull(1), CLEAR, ADAM_STEP];
/** @returns a memory of at least so many bytes, and the kernels over it */
export const kernels = compile<Kernels>(KERNELS);
/** @returns the kernels over a memory that threads share */
export const sharedKernels = compileShared<Kernels>(KERNELS);
