import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compile } from '../../src/engine/onnx/compile.js';
import { conforms, engines, opCases } from '../helpers/conformance.js';

for (const engine of await engines()) {
  describe(`each layer gives what Keras gives: ${engine.name} ${engine.version}`, () => {
    for (const each of opCases()) test(each.name, async () => void (await conforms(engine, each)));
  });
}

test('a convolution takes zero padding before it into its own; a pooling does not', () => {
  const operators = (name: string): string[] => {
    const graph = opCases()
      .find((each) => each.name === name)
      ?.graph();
    assert.ok(graph, name);
    return compile(graph).graph.nodes.map(({ op }) => op);
  };
  assert.ok(!operators('zero padding, conv').includes('Pad'));
  for (const name of ['zero padding', 'zero padding, max pooling', 'conv, zero padding, max pooling']) {
    assert.ok(operators(name).includes('Pad'), name);
  }
});
