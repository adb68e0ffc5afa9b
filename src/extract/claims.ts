import { BitList } from '../store/bit-list.js';
import { type HeldKeys, KeySet } from '../store/index.js';

/** The contents that a run has met: a bit for each that the set held before, its key for others. */
export class Claims {
  private readonly known: BitList;
  private readonly others = new KeySet();

  constructor(private readonly held: HeldKeys) {
    this.known = new BitList(held.places);
  }

  /**
   * @param place of the content, as `HeldKeys.find` gives it
   * @returns whether it was not met before
   */
  add(sha256: string, place: number): boolean {
    if (place >= 0) return this.known.set(place);
    const { size } = this.others;
    return this.others.add(sha256) === size;
  }

  /** The 32 bytes of each. */
  *[Symbol.iterator](): Generator<Uint8Array> {
    for (const place of this.known) yield this.held.at(place);
    for (let i = 0; i < this.others.size; i++) yield this.others.at(i);
  }
}
