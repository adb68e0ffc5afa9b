import { plain } from '../src/plain.js';
import type { Arguments } from './arguments.js';
import { drawable } from './locale.js';
import { type TableRow, table } from './table.js';

/** Columns of the longest and the shortest bar; where less is left there is none. */
const LONGEST = 24;
const SHORTEST = 6;
/** Milliseconds between two pictures of the bar, and between two lines where there is no terminal. */
const BAR_EVERY = 100;
const LINE_EVERY = 10_000;
/** Milliseconds after which a log says what is being done. */
const STEP_AFTER = 1000;

const clock = (seconds: number): string => {
  const s = Math.round(seconds);
  const pad = (n: number): string => String(n).padStart(2, '0');
  return s >= 3600
    ? `${Math.floor(s / 3600)}:${pad(Math.floor(s / 60) % 60)}:${pad(s % 60)}`
    : `${Math.floor(s / 60)}:${pad(s % 60)}`;
};

/** How far a command has come. */
export interface Progress {
  /** May have fractions, of which whole ones are shown. */
  readonly done: number;
  /** Null where it is not known. */
  readonly total: number | null;
  /** What is counted: `files`. */
  readonly what: string;
  /** Whether the work may end before the total. */
  readonly isAtMost?: boolean;
  /** More to say, where there is room. */
  readonly facts?: readonly string[];
}

/** A stretch of work that is counted in one thing. */
interface Stretch {
  readonly what: string;
  /** Where and when it was first heard of. */
  readonly done: number;
  readonly time: number;
  /** How far it was when it was last heard of. */
  latest: number;
}

/** @returns what is said of work: count, rate and time left */
function measured({ done, total, what, isAtMost = false }: Progress, from: Stretch, now: number): string {
  const rate = ((done - from.done) / Math.max(now - from.time, 1)) * 1000;
  const count = (value: number): string => (what === 'MB' ? value.toFixed(1) : String(Math.floor(value)));
  const parts = [`${count(done)}${total === null ? '' : `/${count(total)}`} ${what}`];
  if (rate > 0) {
    parts.push(`${rate.toFixed(rate < 100 ? 1 : 0)}/s`);
    if (total !== null) parts.push(`${isAtMost ? 'at most ' : ''}${clock(Math.max(total - done, 0) / rate)} left`);
  }
  return parts.join(', ');
}

/** @returns one line of at most `width` columns: facts only where they fit, a bar where the total is known */
export function picture(progress: Progress, said: string, width: number): string {
  const { done, total, facts = [] } = progress;
  let text = said;
  for (const fact of facts) {
    const more = `${text}, ${plain(fact)}`;
    if (more.length + (total === null ? 0 : SHORTEST + 1) <= width) text = more;
  }
  const columns = Math.min(LONGEST, width - text.length - 1);
  if (total === null || columns < SHORTEST) return text.slice(0, width);
  const filled = Math.min(columns, Math.floor((columns * done) / Math.max(total, 1)));
  return `${'█'.repeat(filled)}${'░'.repeat(columns - filled)} ${text}`;
}

/** Where people's output goes: stderr, or nowhere when they want quiet. A bar on a terminal, plain lines elsewhere. */
export class Console {
  private bar = false;
  private last = Number.NEGATIVE_INFINITY;
  private stretch: Stretch | undefined;
  private waiting: NodeJS.Timeout | undefined;
  /** When the first step began. */
  private began: number | undefined;

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
    this.write(`${plain(text)}\n`);
  }

  /** Shows a table, as wide as there is room and coloured where that is wanted. @param spare as of `table` */
  table(headers: readonly string[], rows: readonly TableRow[], spare: readonly number[] = []): void {
    if (this.quiet) return;
    this.clear();
    const safe = rows.map((row) => ({ ...row, cells: row.cells.map(plain) })); // before colours come in
    for (const line of table(headers.map(plain), safe, this.width, spare)) this.write(`${line}\n`);
  }

  /** Shows how far the work is, now and then: a bar on a terminal, which the next call replaces, else a line. */
  progress = (progress: Progress): void => {
    if (this.quiet) return;
    const { done, total, what, facts = [] } = progress;
    const now = performance.now();
    const isNew = this.stretch?.what !== what || done < this.stretch.latest;
    if (isNew || this.stretch === undefined) this.stretch = { what, done, time: now, latest: done };
    this.stretch.latest = done;
    // A line is for work that takes long; the end of it is told by the last line of the command.
    if (isNew && !this.stream.isTTY) this.last = now;
    const isDue = now - this.last >= (this.stream.isTTY ? BAR_EVERY : LINE_EVERY);
    if (!isDue && !(this.stream.isTTY && done === total)) return;
    this.last = now;
    const said = measured(progress, this.stretch, now);
    if (this.stream.isTTY) this.replace(picture(progress, said, this.room));
    else this.write(`${[said, ...facts.map(plain)].join(', ')}\n`);
  };

  /** One line that the next call replaces, of work that is not counted; nothing where there is no terminal. */
  status(text: string): void {
    if (!this.quiet && this.stream.isTTY) this.replace(plain(text).slice(0, this.room));
  }

  /** Says what is being done: on a terminal in a line that the next one replaces, in a log from the first second of work on. */
  step = (text: string): void => {
    if (this.quiet) return;
    clearTimeout(this.waiting);
    const now = performance.now();
    this.began ??= now;
    if (this.stream.isTTY) this.status(text);
    else if (now - this.began >= STEP_AFTER) this.line(text);
    else this.waiting = setTimeout(() => this.line(text), STEP_AFTER).unref();
  };

  /** A download of weights, as `onDownload` tells of it. */
  download = (file: string, received: number, total: number | null): void =>
    this.progress({ done: received / 1e6, total: total === null ? null : total / 1e6, what: 'MB', facts: [file] });

  /** Takes the bar away. */
  clear(): void {
    clearTimeout(this.waiting);
    if (this.bar) this.write('\r\x1b[K');
    this.bar = false;
  }

  /** Columns that a line may take without being broken. */
  private get room(): number {
    return (this.stream.columns || 80) - 1;
  }

  private write(text: string): void {
    this.stream.write(drawable(text));
  }

  private replace(text: string): void {
    this.write(`\r\x1b[K${text}`);
    this.bar = true;
  }
}
