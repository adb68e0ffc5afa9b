/** How far a command of the cache has come. */
export interface CacheProgress {
  readonly done: number;
  /** Null where it is not known before the end. */
  readonly total: number | null;
  /** What is counted. */
  readonly what: 'parts' | 'images' | 'rows';
}

export interface CacheProgressHook {
  readonly onProgress?: (progress: CacheProgress) => void;
}
