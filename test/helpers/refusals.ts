import assert from 'node:assert/strict';
import { PermafrostError } from '../../src/errors.js';

const TO_DO =
  /(?:[:;,] |\bso |\bor |: did you mean )(?:give|get|use|save|export|copy|make|tap|put|raise|inline|convert|set|leave|train)\b|did you mean|for example/;

/** Fails where a refusal is not one sentence of the project's own that ends in what to do. */
export function assertRefusal(error: unknown): asserts error is PermafrostError {
  assert.ok(error instanceof PermafrostError, (error as Error).stack);
  const { message } = error;
  assert.match(message, TO_DO);
  assert.ok(!message.includes('\n') && message.length < 1500, message);
  assert.doesNotMatch(message, /undefined|\[object|NaN\b|is not a function|Cannot read/);
}
