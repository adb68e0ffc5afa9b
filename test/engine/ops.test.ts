import { describe, test } from 'node:test';
import { conforms, engines, opCases } from '../helpers/conformance.js';

for (const engine of await engines()) {
  describe(`each layer gives what Keras gives: ${engine.name} ${engine.version}`, () => {
    for (const each of opCases()) test(each.name, async () => void (await conforms(engine, each)));
  });
}
