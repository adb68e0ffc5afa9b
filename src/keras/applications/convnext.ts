import { type Application, application, published, WEIGHTS_URL } from './application.js';

type Variant = readonly [name: string, blocks: number, channels: number, top: string, notop: string];

/** Name, blocks of the third stage (the others have 3), channels of the first (they double), hashes of the two files. */
const VARIANTS: readonly Variant[] = [
  [
    'tiny',
    9,
    96,
    '8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff',
    'd547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1',
  ],
  [
    'small',
    27,
    96,
    'ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c',
    '6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab',
  ],
  [
    'base',
    27,
    128,
    '52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6',
    '40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45',
  ],
  [
    'large',
    27,
    192,
    '070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6',
    '96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd',
  ],
  [
    'xlarge',
    27,
    256,
    'c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee',
    'de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05',
  ],
];

const EPSILON = 1e-6;
const MEAN = [0.485, 0.456, 0.406].map((mean) => mean * 255);
const VARIANCE = [0.229, 0.224, 0.225].map((deviation) => (deviation * 255) ** 2);

/** Liu et al. 2022, arXiv:2201.03545, as keras/src/applications/convnext.py builds it, its Normalization included. */
function convnext([variant, third, first, top, notop]: Variant): Application {
  const stem = `convnext_${variant}`;
  return application(
    {
      name: `convnext-${variant}`,
      defaultSize: 224,
      minSize: 32,
      preprocess: 'none',
      imagenet: published(`${WEIGHTS_URL}/convnext`, stem, [top, notop]),
    },
    (b, input, options) => {
      let x = b.normalization(input, MEAN, VARIANCE, `${stem}_prestem_normalization`);
      for (const [stage, blocks] of [3, 3, third, 3].entries()) {
        const channels = first * 2 ** stage;
        const before = x;
        x =
          stage === 0
            ? b.sequential(`${stem}_stem`, () => {
                const y = b.conv(before, channels, 4, { strides: 4, useBias: true, name: `${stem}_stem_conv` });
                return b.layerNorm(y, EPSILON, `${stem}_stem_layernorm`);
              })
            : b.sequential(`${stem}_downsampling_block_${stage - 1}`, () => {
                const y = b.layerNorm(before, EPSILON, `${stem}_downsampling_layernorm_${stage - 1}`);
                const name = `${stem}_downsampling_conv_${stage - 1}`;
                return b.conv(y, channels, 2, { strides: 2, useBias: true, name });
              });
        for (let block = 0; block < blocks; block++) {
          const name = `${stem}_stage_${stage}_block_${block}`;
          const depthwise = { padding: 'same', groups: channels, useBias: true } as const;
          let y = b.conv(x, channels, 7, { ...depthwise, name: `${name}_depthwise_conv` });
          y = b.layerNorm(y, EPSILON, `${name}_layernorm`);
          y = b.activation(b.dense(y, 4 * channels, 'linear', `${name}_pointwise_conv_1`), 'gelu', `${name}_gelu`);
          y = b.layerScale(b.dense(y, channels, 'linear', `${name}_pointwise_conv_2`), `${name}_layer_scale`);
          x = b.sum([x, b.activation(y, 'linear', `${name}_identity`)]);
        }
      }
      if (!options.includeTop) return b.layerNorm(x, EPSILON);
      x = b.layerNorm(b.globalAverage(x, false, `${stem}_head_gap`), EPSILON, `${stem}_head_layernorm`);
      return b.dense(x, options.classes ?? 1000, 'softmax', `${stem}_head_dense`);
    },
  );
}

export const convnexts = VARIANTS.map(convnext);
