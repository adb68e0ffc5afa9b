import { type SharedMemory, sharedMemory } from '../../formats/wasm.js';

/** Bytes of a line of the processor's cache. */
export const LINE = 64;
/** @returns a number of bytes, made whole lines */
export const inLines = (bytes: number): number => Math.ceil(bytes / LINE) * LINE;

let made = 0;
const memories = new WeakMap<ArrayBufferLike, KernelMemory>();

/** Vectors that lie where the kernels and a second thread take them in place, with room behind them for what trains on them. */
export class KernelMemory {
  /** `[n, d]`, at address 0. */
  readonly vectors: Float32Array;
  /** Of this process. */
  readonly number = ++made;
  private readonly start: number;
  private next: number;
  private users = 0;

  private constructor(
    readonly memory: SharedMemory,
    length: number,
  ) {
    this.vectors = new Float32Array(memory.buffer, 0, length);
    this.start = inLines(4 * length);
    this.next = this.start;
    memories.set(memory.buffer, this);
  }

  /** @returns room for `[n, d]` and so many bytes behind them; null where there is none */
  static allocate(n: number, d: number, room: number): KernelMemory | null {
    const memory = sharedMemory(inLines(4 * n * d) + inLines(room));
    return memory && new KernelMemory(memory, n * d);
  }

  /** @returns the memory that these vectors lie in; undefined where it is an ordinary one */
  static of({ buffer }: Float32Array): KernelMemory | undefined {
    return memories.get(buffer);
  }

  /** @returns the address of so many bytes, which are the caller's until all who took some have left; null where there are no more */
  take(bytes: number): number | null {
    const at = this.next;
    if (at + bytes > this.memory.buffer.byteLength) return null;
    this.next += inLines(bytes);
    this.users += 1;
    return at;
  }

  leave(): void {
    this.users -= 1;
    if (this.users === 0) this.next = this.start;
  }
}
