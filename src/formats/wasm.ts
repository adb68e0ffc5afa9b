/**
 * WebAssembly, instruction by instruction: what the few modules are written with that are small enough to be written out, and how
 * they are made. The numbers are those of the core specification and of its fixed-width vectors.
 */

/** Bytes that a module and JavaScript share. */
export interface Memory {
  readonly buffer: ArrayBuffer;
}
/** Bytes that threads share too. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** What is used of WebAssembly, which Node's types leave out. */
interface Machine {
  readonly Memory: {
    new (size: { readonly initial: number }): Memory;
    new (size: { readonly initial: number; readonly maximum: number; readonly shared: true }): SharedMemory;
  };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const machine = (globalThis as unknown as { readonly WebAssembly: Machine }).WebAssembly;

/** Bytes of instructions, or of what they stand in. */
export type Code = readonly number[];

const unsigned = (value: number): Code => (value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)]);
const signed = (value: number): Code =>
  value >= -64 && value < 64 ? [value & 127] : [(value & 127) | 128, ...signed(value >> 7)];
const section = (id: number, ...parts: Code[]): Code => [id, ...sized([...unsigned(parts.length), ...parts.flat()])];
const sized = (bytes: Code): Code => [...unsigned(bytes.length), ...bytes];
const text = (value: string): Code => sized([...Buffer.from(value)]);

export const I32 = 0x7f;
export const F32 = 0x7d;
export const V128 = 0x7b;
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
/** A 32-bit integer. */
export const constant = (value: number): Code => [0x41, ...signed(value)];
/** A float32. */
export const float = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
export const ADD: Code = [0x6a];
export const MULTIPLY: Code = [0x6c];
/** Of unsigned integers. */
export const LESS: Code = [0x49];
/** The 32-bit integer at an address. */
export const load = (address: Code): Code => [...address, 0x28, 2, 0];
/** Copies bytes between addresses, which may overlap. */
export const copy = (to: Code, from: Code, bytes: Code): Code => [...to, ...from, ...bytes, 0xfc, 10, 0, 0];
/** Repeats a body while it leaves a number other than 0. */
export const loop = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b];
/** Does what follows where a number is not 0. */
export const when = (condition: Code, ...body: Code[]): Code => [...condition, 0x04, 0x40, ...body.flat(), 0x0b];
export const step = (local: number, by: Code): Code => [...get(local), ...by, ...ADD, ...set(local)];
export const countDown = (local: number): Code => [...step(local, constant(-1)), ...get(local)];
/** An instruction for vectors of 16 bytes. */
export const vector = (operation: number): Code => [0xfd, ...unsigned(operation)];
export const V_LOAD: Code = [...vector(0x00), 0, 0];
export const V_STORE: Code = [...vector(0x0b), 0, 0];

/** A function of a module: the types of what it takes, of its other locals by number and type, and its instructions. */
export interface WasmFunction {
  readonly name: string;
  readonly takes: Code;
  readonly locals: readonly (readonly [count: number, type: number])[];
  readonly code: Code;
}

const PAGE = 2 ** 16;
/** Pages that 32 bits address. */
const MOST_PAGES = 2 ** 16;
/** What a module says of its memory: a page or more. */
const OWN: Code = [0, 1];
const SHARED: Code = [3, 1, ...unsigned(MOST_PAGES)];

const moduleOf = (functions: readonly WasmFunction[], memory: Code): object =>
  new machine.Module(
    Uint8Array.from([
      ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, ...functions.map(({ takes }) => [0x60, ...sized(takes), 0])),
      ...section(2, [...text('host'), ...text('memory'), 2, ...memory]),
      ...section(3, ...functions.map((_, i) => [i])),
      ...section(7, ...functions.map(({ name }, i) => [...text(name), 0, i])),
      ...section(
        10,
        ...functions.map(({ locals, code }) => sized([...unsigned(locals.length), ...locals.flat(), ...code, 0x0b])),
      ),
    ]),
  );

const over = <Functions>(module: object, memory: Memory | SharedMemory): Functions =>
  new machine.Instance(module, { host: { memory } }).exports as Functions;

/** @returns what makes a memory of at least so many bytes, and the module's functions over it */
export function compile<Functions>(functions: readonly WasmFunction[]) {
  const module = moduleOf(functions, OWN);
  return (bytes: number): { readonly memory: Memory; readonly run: Functions } => {
    const memory = new machine.Memory({ initial: Math.ceil(bytes / PAGE) });
    return { memory, run: over(module, memory) };
  };
}

/** @returns what gives the module's functions over a memory that threads share */
export function compileShared<Functions>(functions: readonly WasmFunction[]): (memory: SharedMemory) => Functions {
  let module: object | undefined;
  return (memory) => {
    module ??= moduleOf(functions, SHARED);
    return over(module, memory);
  };
}

/** @returns a memory of at least so many bytes that threads share; null where the system, or 32 bits, have no room for it */
export function sharedMemory(bytes: number): SharedMemory | null {
  const pages = Math.ceil(bytes / PAGE);
  if (pages > MOST_PAGES) return null;
  try {
    return new machine.Memory({ initial: pages, maximum: pages, shared: true });
  } catch {
    return null;
  }
}
