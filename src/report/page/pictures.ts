import { type Html, html } from '../html.js';
import type { Report } from '../model.js';

/** Gives each picture to a page once: where it stands in the markup the script takes it from there. */
export class Pictures {
  private readonly placed = new Set<number>();

  constructor(private readonly report: Pick<Report, 'images' | 'thumbnails'>) {}

  path(place: number): string {
    return this.report.images[place]?.path || `${this.report.images[place]?.sha256.slice(0, 12)}…`;
  }

  private bytes(place: number): Uint8Array | undefined {
    return this.report.thumbnails.get(this.report.images[place]?.sha256 ?? '');
  }

  /**
   * @param over a picture of the same shape with transparency, to lie over it
   * @returns an image, or a place that says there is none
   */
  figure(place: number, over?: Uint8Array): Html {
    const bytes = this.bytes(place);
    if (bytes === undefined) return html`<span class="thumb none">no picture</span>`;
    const isPlaced = this.placed.has(place);
    this.placed.add(place);
    // The second time the script puts it in; the page stays half as large.
    const image = isPlaced
      ? html`<img class="thumb" alt="${this.path(place)}" data-again="${place}">`
      : html`<img class="thumb" alt="${this.path(place)}" data-place="${place}" src="${source(bytes)}">`;
    return over === undefined
      ? image
      : html`<span class="shown">${image}<img class="thumb heat-over" alt="" src="${source(over)}"></span>`;
  }

  /** @returns those of the given places that stand nowhere in the markup, by place, in base64 */
  rest(places: Iterable<number>): Record<string, string> {
    const rest: Record<string, string> = {};
    for (const place of places) {
      const bytes = this.bytes(place);
      if (bytes !== undefined && !this.placed.has(place)) rest[place] = base64(bytes);
    }
    return rest;
  }
}

const source = (bytes: Uint8Array): string => `data:image/webp;base64,${base64(bytes)}`;
const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
