import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Graph, Node } from '../../src/graph/graph.js';
import { mostLive } from '../../src/graph/live.js';

const pool = (name: string, input: string, poolSize: readonly [number, number]): Node => ({
  name,
  op: { kind: 'MaxPooling2D', poolSize, strides: poolSize, padding: 'valid' },
  inputs: [input],
  weights: [],
});
const relu = (name: string, input: string): Node => ({
  name,
  op: { kind: 'Activation', activation: 'relu' },
  inputs: [input],
  weights: [],
});
const input: Node = { name: 'in', op: { kind: 'InputLayer', shape: [8, 8, 3] }, inputs: [], weights: [] };

test('the values that live at once are those that are still needed, and what is computed in place needs none', () => {
  const chain: Graph = {
    input: 'in',
    output: 'c',
    nodes: [input, relu('a', 'in'), pool('b', 'a', [2, 2]), pool('c', 'b', [2, 2])],
  };
  assert.equal(mostLive(chain), 192 + 48);
  const held: Graph = {
    input: 'in',
    output: 'sum',
    nodes: [
      input,
      pool('a', 'in', [2, 2]),
      relu('b', 'a'),
      { name: 'sum', op: { kind: 'Concatenate', axis: 3 }, inputs: ['a', 'b'], weights: [] },
    ],
  };
  assert.equal(mostLive(held), 192 + 48); // then 48 + 48 + 96
  const kept: Graph = { ...held, nodes: [input, relu('a', 'in'), relu('b', 'a'), ...held.nodes.slice(3)] };
  assert.equal(mostLive(kept), 192 + 192 + 384);
});
