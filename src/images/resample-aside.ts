import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Raster } from './raster.js';
import { type KernelName, resample } from './resample.js';

/** What a thread is asked. */
export interface Asked {
  readonly number: number;
  /** Begins with the samples. */
  readonly shared: SharedArrayBuffer;
  readonly raster: Omit<Raster, 'data'>;
  readonly width: number;
  readonly height: number;
  readonly kernel: KernelName;
}

/** Its answer: the samples. */
export interface Answer {
  readonly number: number;
  readonly data: Uint8Array;
}

/** Samples of the largest picture that is resized sooner than sent. */
const SMALL = 2 ** 16;
/** Pictures that are resized here before threads are started: few are not worth them. */
const FEW = 64;
/** Resizing takes less time than decoding, of which libuv does four at a time. */
const THREADS = Math.min(2, availableParallelism() >> 1);
/** Milliseconds without a picture after which threads end. */
const IDLE = 5000;
/** Bytes of shared memory that are kept for further pictures. */
const KEPT = 32 * 2 ** 20;

/** Shared memory, used again: new pages cost more than what is copied into them. */
class SharedMemory {
  private readonly free: SharedArrayBuffer[] = [];
  private bytes = 0;

  take(size: number): SharedArrayBuffer {
    const place = this.free.findIndex((one) => one.byteLength >= size && one.byteLength < 4 * size);
    if (place < 0) return new SharedArrayBuffer(2 ** Math.ceil(Math.log2(size)));
    const [found] = this.free.splice(place, 1) as [SharedArrayBuffer];
    this.bytes -= found.byteLength;
    return found;
  }

  give(memory: SharedArrayBuffer): void {
    if (this.bytes + memory.byteLength > KEPT) return;
    this.bytes += memory.byteLength;
    this.free.push(memory);
  }
}

/** A thread that resizes pictures one after the other. It keeps the process alive only while it works. */
class Thread {
  private readonly worker = new Worker(new URL('./resample-thread.js', import.meta.url));
  private readonly asked = new Map<
    number,
    { asked: Asked; settle: (data: Uint8Array | Promise<Uint8Array>) => void }
  >();
  private last = 0;

  /** @param onEnd is told when it has failed: what it was asked is done here then */
  constructor(onEnd: () => void) {
    this.worker.unref();
    this.worker.on('message', ({ number, data }: Answer) => {
      const { settle } = this.asked.get(number) ?? {};
      this.asked.delete(number);
      if (this.asked.size === 0) this.worker.unref();
      settle?.(data);
    });
    const ended = (): void => {
      onEnd();
      for (const { asked, settle } of this.asked.values()) settle(here(asked));
      this.asked.clear();
    };
    this.worker.on('error', ended);
    this.worker.on('exit', ended);
  }

  get waiting(): number {
    return this.asked.size;
  }

  resample(one: Omit<Asked, 'number'>): Promise<Uint8Array> {
    const asked = { ...one, number: ++this.last };
    if (this.asked.size === 0) this.worker.ref();
    return new Promise((settle) => {
      this.asked.set(asked.number, { asked, settle });
      this.worker.postMessage(asked);
    });
  }

  end(): void {
    this.worker.removeAllListeners();
    void this.worker.terminate();
  }
}

/** @returns the samples of a picture in shared memory */
export const samples = ({ width, height, channels }: Asked['raster'], shared: SharedArrayBuffer): Uint8Array =>
  new Uint8Array(shared, 0, width * height * channels);

async function here({ shared, raster, width, height, kernel }: Asked): Promise<Uint8Array> {
  return resample({ ...raster, data: samples(raster, shared) }, width, height, kernel).data;
}

const memory = new SharedMemory();
let seen = 0;
/** Null where there can be none. */
let threads: Thread[] | null = [];
let idle: NodeJS.Timeout | undefined;

function open(): Thread[] | null {
  const failed = (): void => {
    threads = null;
  };
  try {
    if (threads?.length === 0) threads = Array.from({ length: THREADS }, () => new Thread(failed));
  } catch {
    failed();
  }
  return threads;
}

function endIdle(): void {
  for (const thread of threads ?? []) thread.end();
  if (threads !== null) threads = [];
}

/**
 * As `resample`, to the bit, on other threads where many pictures come: this one may run the base meanwhile, which holds it.
 * What a thread cannot do is done here.
 */
export async function resampleAside(
  { data, ...raster }: Raster,
  width: number,
  height: number,
  kernel: KernelName,
): Promise<Raster> {
  const isFew = ++seen <= FEW || data.length <= SMALL || THREADS === 0;
  const started = isFew ? null : open();
  const [thread] = (started ?? []).toSorted((a, b) => a.waiting - b.waiting);
  if (thread === undefined) return resample({ ...raster, data }, width, height, kernel);
  clearTimeout(idle);
  const shared = memory.take(data.length);
  samples(raster, shared).set(data);
  try {
    const resized = await thread.resample({ shared, raster, width, height, kernel });
    return { data: resized, width, height, channels: raster.channels };
  } finally {
    memory.give(shared);
    if (started?.every(({ waiting }) => waiting === 0)) {
      clearTimeout(idle);
      idle = setTimeout(endIdle, IDLE).unref();
    }
  }
}
