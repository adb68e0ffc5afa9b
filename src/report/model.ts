import type { HeadInfo } from '../heads/head-info.js';
import type { Answers } from '../heads/judge.js';
import type { SweepResults } from '../heads/sweep-results.js';
import type { Metrics } from '../metrics/metrics.js';
import type { Comparison } from './comparison.js';
import type { Projection } from './pca.js';

/** An image that the report knows of. */
export interface ReportImage {
  /** Relative to the data folder. */
  readonly path: string;
  /** 64 hex digits. */
  readonly sha256: string;
}

/** A training image that lies near another one by its vector. */
export interface Neighbour {
  /** Empty where it is known by its content alone. */
  readonly path: string;
  readonly label: string;
  /** Cosine of the angle between both vectors. */
  readonly similarity: number;
}

/** What a head says of the images of a folder. Rows are its examples, in order of their hashes. */
export interface OnData {
  /** Which images those are, in a sentence. */
  readonly which: string;
  readonly metrics: Metrics;
  readonly answers: Answers;
  /** Label of each row, as text. */
  readonly labels: readonly string[];
  /** Of each row, its place among the images of the report. */
  readonly places: readonly number[];
  /** Rows that are shown first: wrong ones, the surest first; of a regression the farthest off. */
  readonly mistakes: readonly number[];
  /** Rows of which the head is least certain; none of a regression. */
  readonly uncertain: readonly number[];
  /** What lies nearest in training, of those rows. */
  readonly neighbours: ReadonlyMap<number, readonly Neighbour[]>;
  readonly map: VectorMap | null;
  /**
   * Where the head finds what it says of those rows: WebP with transparency that lies over their thumbnails; or why there is none, in a
   * sentence.
   */
  readonly heat: ReadonlyMap<number, Uint8Array> | string;
}

/** Vectors of some rows, seen from the direction in which they spread most. */
export interface VectorMap extends Projection {
  readonly rows: readonly number[];
}

export interface HeadReport {
  readonly name: string;
  /** Names of the sets of vectors that it takes, for people: those of their folders. */
  readonly sets: readonly string[];
  readonly info: HeadInfo;
  readonly onData: OnData | null;
}

/** All that a page is drawn from: computed once, and the same for the same input. */
export interface Report {
  readonly title: string;
  readonly version: string;
  /** The folder of images as it was named; null without. */
  readonly data: string | null;
  readonly images: readonly ReportImage[];
  /** In the order in which they were asked for. */
  readonly heads: readonly HeadReport[];
  readonly sweep: SweepResults | null;
  readonly compared: Comparison | null;
  /** WebP of at most 128 pixels by hash. */
  readonly thumbnails: ReadonlyMap<string, Uint8Array>;
  /** What should be known of how it was made. */
  readonly notes: readonly string[];
}
