import type { Builder } from './builder.js';

/** EfficientNet's gate on the channels of `x`: Hu et al. 2018, arXiv:1709.01507, in the layers of both versions. */
export function squeezeExcite(b: Builder, x: string, squeezed: number, name: string): string {
  const filters = b.channels(x);
  const dense = { padding: 'same', useBias: true } as const;
  let gate = b.reshape(b.globalAverage(x, false, `${name}se_squeeze`), [1, 1, filters], `${name}se_reshape`);
  gate = b.conv(gate, squeezed, 1, { ...dense, activation: 'silu', name: `${name}se_reduce` });
  gate = b.conv(gate, filters, 1, { ...dense, activation: 'sigmoid', name: `${name}se_expand` });
  return b.multiply([x, gate], `${name}se_excite`);
}
