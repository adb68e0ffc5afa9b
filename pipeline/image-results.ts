import type { NamedImages } from '../src/commands/names.js';
import { DataError } from '../src/errors.js';
import type { FilesProgress } from '../src/extract/batches.js';
import { collectSeldom } from './garbage.js';
import { counted } from './io.js';
import type { Console } from './progress.js';

/** What was found of an image, or why it could not be used. */
interface ImageResult {
  readonly path: string;
  readonly error?: string | undefined;
}

/** What people are told while images are gone through one by one: how far the work is, and at the end how many there were. */
export class ImageResults {
  private readonly started = performance.now();
  private used = 0;
  private unusable = 0;

  /** @param isShown whether the results themselves go to the terminal, where a bar would stand between them */
  constructor(
    private readonly console: Console,
    private readonly isShown: boolean,
  ) {}

  readonly onProgress = ({ done, total }: FilesProgress): void => {
    collectSeldom();
    if (!this.isShown) this.console.progress({ done, total, what: 'files' });
  };

  readonly onWarning = (message: string): void => this.console.line(message);

  /** Counts results and tells of images that cannot be used. @throws DataError where there is no image at all */
  async *counted<T extends ImageResult>(results: AsyncIterable<T>, named: NamedImages): AsyncGenerator<T> {
    for await (const result of results) {
      const { path, error } = result;
      if (error === undefined) this.used++;
      else {
        this.unusable++;
        if (!this.isShown) this.console.line(`${path} cannot be used: ${error}`);
      }
      yield result;
    }
    if (this.used + this.unusable === 0) throw new DataError(`there is no image in ${shownNames(named)}`);
  }

  /**
   * The last line.
   * @param what `predicted with first`
   * @param out the file of the results, if any
   * @throws DataError where no image could be used
   */
  end(what: string, out?: unknown): void {
    const seconds = (performance.now() - this.started) / 1000;
    if (this.used === 0) {
      const all = this.unusable === 1 ? 'the one image' : `none of the ${this.unusable} images`;
      throw new DataError(
        `${all} ${this.unusable === 1 ? 'cannot' : 'could'} be used: what is wrong stands in the rows`,
      );
    }
    const left = this.unusable > 0 ? `, ${this.unusable} cannot be used` : '';
    const rate = (this.used / Math.max(seconds, 0.001)).toFixed(1);
    const where = out === undefined ? '' : ` -> ${out}`;
    this.console.line(
      `${counted(this.used, 'image')} ${what}${left}, in ${seconds.toFixed(1)} s (${rate} images/s)${where}`,
    );
  }
}

/** What images were asked for, in a message. */
function shownNames({ paths = [], from }: NamedImages): string {
  const shown = paths.slice(0, 3).join(', ');
  const list = from === '-' ? 'what the standard input names' : from;
  return [shown + (paths.length > 3 ? ` and ${paths.length - 3} more` : ''), list].filter(Boolean).join(' and ');
}
