/** One of `count` shares of all contents; `index` begins at 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/**
 * Whether a content falls to a shard: by the first 52 bits of its hash, so by nothing but the content.
 * @param sha256 its digits, or its bytes
 */
export function isMine(sha256: string | Uint8Array, shard: Shard | undefined): boolean {
  if (shard === undefined) return true;
  const lead =
    typeof sha256 === 'string'
      ? Number.parseInt(sha256.slice(0, 13), 16)
      : sha256.subarray(0, 6).reduce((sum, byte) => sum * 256 + byte, 0) * 16 + ((sha256[6] as number) >> 4);
  return lead % shard.count === shard.index - 1;
}
