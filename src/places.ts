const DIGIT = 11;
const DIGITS = 2 ** DIGIT;

/** @returns the places of whole numbers of 32 bits, ascending by number; those of one number in the order of places */
export function placesInOrder(numbers: Uint32Array): Uint32Array {
  const { length } = numbers;
  let keys = numbers;
  let order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  // Sorted by digits, which leaves those of one key as they come.
  for (let shift = 0; shift < 32; shift += DIGIT) {
    const starts = new Uint32Array(DIGITS + 1);
    for (let i = 0; i < length; i++) {
      const digit = (((keys[i] as number) >>> shift) & (DIGITS - 1)) + 1;
      starts[digit] = (starts[digit] as number) + 1;
    }
    if (starts.includes(length, 1)) continue; // all have this digit
    for (let digit = 1; digit < DIGITS; digit++) {
      starts[digit] = (starts[digit] as number) + (starts[digit - 1] as number);
    }
    const [sortedKeys, sorted] = [new Uint32Array(length), new Uint32Array(length)];
    for (let i = 0; i < length; i++) {
      const key = keys[i] as number;
      const digit = (key >>> shift) & (DIGITS - 1);
      const to = starts[digit] as number;
      sortedKeys[to] = key;
      sorted[to] = order[i] as number;
      starts[digit] = to + 1;
    }
    [keys, order] = [sortedKeys, sorted];
  }
  return order;
}
