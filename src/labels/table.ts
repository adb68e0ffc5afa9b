import type { Cell } from './cell.js';

/** One row of a label file, and where it stands, counted from 1. */
export interface TableRow {
  readonly line: number;
  /** One a column; a short row has fewer. */
  readonly cells: readonly (Cell | undefined)[];
}

/** A label file as it stands: nothing is known of what its columns mean. */
export interface LabelTable {
  /** For people: `CSV`, `CSV with ;`, `JSON array`, … */
  readonly kind: string;
  /** What a row is called in messages. */
  readonly unit: 'line' | 'item' | 'row';
  /** Names of the columns; null where the file has none. */
  readonly columns: readonly string[] | null;
  readonly rows: readonly TableRow[];
  /** Columns that say how the file was made, never what is on an image. */
  readonly bookkeeping?: readonly string[];
}

/** Endings of names of images. */
export const IMAGE_NAME = /\.(jpe?g|jpe|jfif|png|gif|webp|bmp|tiff?|avif|hei[cf]|jxl|jp2|ppm|pgm)$/i;
