/** Adds to one place of an array. */
export function tally(array: Uint32Array | Float64Array | Uint16Array, at: number, amount: number): void {
  array[at] = (array[at] as number) + amount;
}
