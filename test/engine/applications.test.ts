import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applicationCases, conforms, engines } from '../helpers/conformance.js';
import { long } from '../helpers/long.js';

/** All sizes with and without top take minutes: without `PERMAFROST_LONG` an odd size with both, and the default size without top. */
const isQuick = (name: string): boolean =>
  name.includes(' 97x131') || !(name.endsWith('top') || name.includes(' 160x128'));
const cases = applicationCases().filter(({ name }) => long || isQuick(name));
assert.ok(cases.length > 20);

test('weights are of a size that tells something: 0.1 to 100 at the tap', () => {
  for (const { name, max } of cases.filter(({ name }) => !name.endsWith('top'))) {
    assert.ok(max >= 0.1 && max <= 100, `${name}: ${max}`);
  }
});

for (const engine of await engines()) {
  const isSlow = engine.version.endsWith('+wasm');
  describe(`every family gives what Keras gives, at any size: ${engine.name} ${engine.version}`, () => {
    for (const each of cases) {
      const skip = isSlow && !/^(mobilenet|efficientnet-b0).* 97x131/.test(each.name);
      test(each.name, { skip: skip && 'WebAssembly takes minutes for all' }, async (t) => {
        const worst = await conforms(engine, each);
        t.diagnostic(`differs by ${worst.toExponential(1)}, allowed ${each.limit.toExponential(1)}`);
      });
    }
  });
}
