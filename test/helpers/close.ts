import assert from 'node:assert/strict';

/**
 * Compares numbers one by one; the worst is told, with its place.
 * @param tolerance largest difference that is allowed, of numbers as they are
 * @param what is compared, for the message
 * @returns the largest difference
 * @throws AssertionError where one differs by more, is no number, or the lists are empty or not of one length
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what = 'values',
): number {
  assert.ok(expected.length > 0, `${what}: nothing is expected, so nothing is compared`);
  assert.equal(actual.length, expected.length, `${what}: ${actual.length} numbers, expected ${expected.length}`);
  let worst = -1;
  let place = 0;
  for (let i = 0; i < expected.length; i++) {
    const [got, wanted] = [actual[i] as number, expected[i] as number];
    // Infinities and NaNs are close to nothing but themselves, whatever the tolerance.
    const difference = Object.is(got, wanted) ? 0 : Math.abs(got - wanted);
    if (difference <= worst) continue;
    [worst, place] = [Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference, i];
  }
  assert.ok(
    worst <= tolerance && worst < Number.POSITIVE_INFINITY,
    `${what}: number ${place} of ${expected.length} is ${actual[place]}, expected ${expected[place]}: they differ by ${worst}, allowed ${tolerance}`,
  );
  return worst;
}

/** As `assertClose`, the tolerance a share of the largest magnitude that is expected. @returns the largest difference as such a share */
export function assertRelativelyClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  share: number,
  what = 'values',
): number {
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i] as number));
  assert.ok(
    scale > 0 || expected.length === 0,
    `${what}: all expected numbers are 0, so a share of them tells nothing`,
  );
  return assertClose(actual, expected, share * scale, what) / scale;
}
