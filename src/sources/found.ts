import type { ImageFile } from '../images/index.js';

/** A file as a source found it; nothing of it has been read. */
export interface FoundFile extends ImageFile {
  /** Relative to the folder, or below the prefix, with `/`; a byte that is no UTF-8 is `\xff` in it. In a list: as it is written there. */
  readonly path: string;
  readonly size: number;
  /** Of an object: with `ino`, 124 bits of a hash of its version, a time long ago. */
  readonly mtimeNs: bigint;
  readonly ino: bigint;
  /** Of an object: its version. */
  readonly etag?: string;
  /** SHA-256 of `absolute`, 32 bytes, where it is known already. */
  readonly pathKey?: Uint8Array;
}

export interface WalkOptions {
  /** Is told of each link to a folder outside of the one that is walked, which is not followed. */
  readonly onLinkOut?: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** What systems put beside pictures. */
export const NOISE: ReadonlySet<string> = new Set(['__MACOSX', 'Thumbs.db', 'desktop.ini']);
