/** Numbers things so that those which are alike have the same number. */
export class Alike<T> {
  private readonly found: T[] = [];

  constructor(private readonly isAlike: (a: T, b: T) => boolean) {}

  /** @returns the first thing that is like this one, itself where there was none */
  first(one: T): T {
    return this.found[this.number(one)] as T;
  }

  /** @returns its number, from 0 */
  number(one: T): number {
    const at = this.found.findIndex((other) => this.isAlike(other, one));
    return at >= 0 ? at : this.found.push(one) - 1;
  }
}

/** @returns whether both have the same values in the same order */
export const sameValues = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};
