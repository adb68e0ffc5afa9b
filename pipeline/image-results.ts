import type { NamedImages } from '../src/commands/names.js';
import { DataError } from '../src/errors.js';
import type { FilesProgress } from '../src/extract/batches.js';
import { counted } from './io.js';
import type { Console } from './progress.js';

/** What people are told while images are gone through one by one: how far the work is, and at the end how many there were. */
export class ImageResults {
  private readonly started = performance.now();
  private count = 0;
  private leftOut = 0;

  /** @param isShown whether the results themselves go to the terminal, where a bar would stand between them */
  constructor(
    private readonly console: Console,
    private readonly isShown: boolean,
  ) {}

  readonly onProgress = ({ done, total }: FilesProgress): void => {
    if (!this.isShown) this.console.progress({ done, total, what: 'files' });
  };

  readonly onWarning = (message: string): void => {
    if (message.includes(' is left out: ')) this.leftOut++;
    this.console.line(message);
  };

  /** @throws DataError where there is none at all */
  async *counted<T>(results: AsyncIterable<T>, named: NamedImages): AsyncGenerator<T> {
    for await (const result of results) {
      this.count++;
      yield result;
    }
    if (this.count === 0) throw new DataError(`no image could be used in ${shownNames(named)}`);
  }

  /** The last line. @param what `predicted with first` @param out the file of the results, if any */
  end(what: string, out?: unknown): void {
    const seconds = (performance.now() - this.started) / 1000;
    const left = this.leftOut > 0 ? `, ${this.leftOut} left out` : '';
    const rate = (this.count / Math.max(seconds, 0.001)).toFixed(1);
    const where = out === undefined ? '' : ` -> ${out}`;
    this.console.line(
      `${counted(this.count, 'image')} ${what}${left}, in ${seconds.toFixed(1)} s (${rate} images/s)${where}`,
    );
  }
}

/** What images were asked for, in a message. */
function shownNames({ paths = [], from }: NamedImages): string {
  const shown = paths.slice(0, 3).join(', ');
  const list = from === '-' ? 'what the standard input names' : from;
  return [shown + (paths.length > 3 ? ` and ${paths.length - 3} more` : ''), list].filter(Boolean).join(' and ');
}
