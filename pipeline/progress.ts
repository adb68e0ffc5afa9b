import type { FeaturesProgress } from '../src/extract/extract.js';
import { plain } from '../src/plain.js';
import type { Arguments } from './arguments.js';

const WIDTH = 24;
/** Milliseconds between two pictures of the bar, and between two lines where there is no terminal. */
const BAR_EVERY = 100;
const LINE_EVERY = 10_000;

const clock = (seconds: number): string => {
  const s = Math.round(seconds);
  const pad = (n: number): string => String(n).padStart(2, '0');
  return s >= 3600
    ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
    : `${Math.floor(s / 60)}:${pad(s % 60)}`;
};

/** Where people's output goes: stderr, or nowhere when they want quiet. A bar on a terminal, plain lines elsewhere. */
export class Console {
  private bar = false;
  private last = Number.NEGATIVE_INFINITY;
  private first: { time: number; done: number } | undefined;

  constructor(
    private readonly quiet: boolean,
    private readonly stream: NodeJS.WriteStream = process.stderr,
  ) {}

  /** Quiet where `--quiet` is given. */
  static of({ values }: Arguments): Console {
    return new Console(values.quiet === true);
  }

  /** Columns of the terminal; undefined where there is none, and where colours are not wanted (NO_COLOR). */
  get width(): number | undefined {
    return this.stream.isTTY && !process.env.NO_COLOR ? (this.stream.columns ?? 80) : undefined;
  }

  line(text: string): void {
    if (this.quiet) return;
    this.clear();
    this.stream.write(`${plain(text)}\n`);
  }

  progress({ done, total, extracted }: FeaturesProgress): void {
    if (this.quiet) return;
    const now = performance.now();
    this.first ??= { time: now, done: done - 1 };
    const every = this.stream.isTTY ? BAR_EVERY : LINE_EVERY;
    if (this.last === Number.NEGATIVE_INFINITY) this.last = this.stream.isTTY ? this.last : now;
    if (now - this.last < every) return;
    this.last = now;
    const rate = ((done - this.first.done) / Math.max(now - this.first.time, 1)) * 1000;
    const left = clock((total - done) / Math.max(rate, 0.001));
    const facts = `${done}/${total} files, ${extracted} extracted, ${rate.toFixed(1)}/s, ${left} left`;
    if (!this.stream.isTTY) {
      this.stream.write(`${facts}\n`);
      return;
    }
    const filled = Math.round((WIDTH * done) / Math.max(total, 1));
    const picture = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${facts}`;
    this.stream.write(`\r\x1b[K${picture.slice(0, (this.stream.columns ?? 80) - 1)}`);
    this.bar = true;
  }

  /** One line that the next call replaces; nothing where there is no terminal. */
  status(text: string): void {
    if (this.quiet || !this.stream.isTTY) return;
    this.stream.write(`\r\x1b[K${text.slice(0, (this.stream.columns ?? 80) - 1)}`);
    this.bar = true;
  }

  /** A download of weights, as `onDownload` tells of it. */
  download = (file: string, received: number, total: number | null): void => {
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
    this.status(`${file}: ${mb(received)}${total === null ? '' : ` of ${mb(total)}`} MB`);
  };

  /** Takes the bar away. */
  clear(): void {
    if (this.bar) this.stream.write('\r\x1b[K');
    this.bar = false;
  }
}
