import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { costOf } from '../../bench/start.js';
import { UsageError } from '../../src/errors.js';
import { parseAxis } from '../../src/heads/space.js';
import {
  classify,
  features,
  maps,
  predict,
  type SweepOptions,
  sample,
  sweep,
  type TrainOptions,
  train,
  verifySets,
} from '../../src/index.js';
import type { CommandName } from '../../src/options/commands.js';
import { readArguments } from '../helpers/arguments.js';
import { permafrost } from '../helpers/cli.js';
import { root } from '../helpers/fixtures.js';

/** What is typed wrongly, and the one sentence that answers. */
const TYPED: readonly (readonly [command: CommandName, words: string, message: RegExp])[] = [
  [
    'train',
    '--data d --learnig-rate 1 --learnigRate 2',
    /^Unknown argument: learnig-rate: did you mean --learning-rate\? permafrost train --help lists all$/,
  ],
  [
    'predict',
    'a --head h --retry-failed',
    /^Unknown argument: retry-failed: --retry-failed belongs to features; permafrost predict --help lists all$/,
  ],
  ['maps', 'a.jpg --batch-size 4', /^Unknown argument: batch-size: --batch-size belongs to features/],
  [
    'features',
    '--data x --cache s3://b/c',
    /^--cache must be on this machine, not s3:\/\/b\/c: fetch it, or copy there/,
  ],
  [
    'features',
    '--data gs://b/c',
    /^--data takes files, folders, lists and s3:\/\/bucket\/prefix, not gs:\/\/b\/c: other/,
  ],
  ['train', '--data x --labels https://a/l.csv', /^--labels must be on this machine, not https:\/\/a\/l.csv: fetch/],
  ['predict', 'https://a/1.png --head h', /^paths takes files, folders, lists and s3/],
  ['features', '--data d extra', /^Unknown argument: extra: /],
  ['features', '--data d --data e', /^--data is given twice$/],
  [
    'features',
    '--data',
    /^Not enough arguments following: data: --data takes a value, folder of images, s3:\/\/bucket\/prefix or a .txt list of paths$/,
  ],
  ['train', '--data --lr', /^Not enough arguments following: lr: --lr takes a value/],
  ['heads compare', "x '' --data d", /^HEADS is empty: expected heads by name or folder, two or more$/],
  ['heads show', "''", /^HEAD is empty: expected a head by name or folder$/],
  ['predict', "a --head ''", /^Not enough arguments following: head: --head takes a value, a head by name or folder$/],
  ['features', '--no-data', /^Unknown argument: no-data: did you mean --data\?/],
  ['features', '--data d --quiet --no-quiet', /^--quiet is given twice$/],
  ['features', '--data d --json=maybe', /^--json takes no value: leave it out, or write --no-json$/],
  ['features', '--data d --constructor 3', /^Unknown argument: --constructor$/],
  ['train', '--data d --lr -1e-3', /^--learning-rate must be a number above 0 and at most 1000, not -0.001$/],
  [
    'features',
    '',
    /^Missing required argument: data: give --data, folder of images, s3:\/\/bucket\/prefix or a .txt list of paths$/,
  ],
  ['train', '--data d --activation tanh', /^--activation belongs to hidden layers: give their sizes with --hidden$/],
  ['train', '--data d --batch-norm', /^--batch-norm belongs to hidden layers/],
  [
    'train',
    '--data d --decay 0.5',
    /^--decay belongs to the schedules exponential and step: name one with --schedule$/,
  ],
  ['train', '--data d --decay-every 3 --schedule cosine', /^--decay-every belongs to the schedules/],
  ['train', '--data d --learning-rate 0.001 --optimizer lbfgs', /^--learning-rate has no meaning for lbfgs/],
  [
    'train',
    '--data d --learning-rate 0.001 --optimizer lda',
    /^--learning-rate has no meaning for lbfgs, lda and ridge/,
  ],
  ['train', '--data d --epochs 5 --optimizer ridge', /^--epochs has no meaning for lda and ridge/],
  ['train', '--data d --l2 0.1 --optimizer lda', /^--l2 is no penalty of lda and ridge: give --shrinkage or --alphas$/],
  ['train', '--data d --label-smoothing 0.1 --optimizer ridge', /^--label-smoothing has no meaning for lda and ridge/],
  ['train', '--data d --shrinkage 0.1', /^--shrinkage belongs to lda: name it with --optimizer$/],
  ['train', '--data d --alphas 1,10 --optimizer lda', /^--alphas belongs to ridge: name it with --optimizer$/],
  ['train', '--data d --optimizer ridge --alphas 1,x', /^--alphas must be 1 to 100 numbers above 0/],
  ['train', '--data d --optimizer lda --shrinkage tracy', /^--shrinkage must be one of trace, auto, loo, or a number/],
  ['train', '--data d --tolerance 1e-4', /^--tolerance belongs to lbfgs: name it with --optimizer$/],
  ['train', '--data d --momentum 0.9', /^--momentum belongs to sgd and rmsprop/],
  [
    'train',
    '--data d --nesterov --optimizer sgd',
    /^--nesterov belongs to sgd with momentum: give --optimizer and --momentum$/,
  ],
  ['train', '--data d --val 0.3 --folds 5', /^--val divides images .* in a cross-validation/],
  [
    'train',
    '--data d --features s --base xception',
    /^--base is what --features stand in the place of: give one of the two$/,
  ],
  ['train', '--data d --features s --pooling max', /^--pooling describes --base: give that too$/],
  [
    'train',
    '--data d --class-weight ants:2',
    /^--class-weight must be balanced, none, or a weight .*, for example ants=2,bees=1, not "ants:2"$/,
  ],
  ['train', '--data d --class-weight ants=two', /^--class-weight must be .*, not "ants=two"$/],
  [
    'train',
    '--data d --threshold 1.5',
    /^--threshold must be one of youden, f1, accuracy, or a number from 0 to 1, not "1.5"$/,
  ],
  ['train', '--data d --lr 0', /^--learning-rate must be a number above 0 and at most 1000, not 0$/],
  ['train', '--data d --seed 9007199254740992', /^--seed must be a whole number from 0 to 2\^53 - 1/],
  ['sample', '--seed 4294967297 --per-class 3', /^--per-class must be a whole number from 4 to 10000, not 3$/],
  ['sample', '--per-class 10001', /^--per-class must be a whole number from 4 to 10000, not 10001$/],
  ['export', '--head h --format onnx --out o --base b.onnx', /^--base belongs to --with-base$/],
  ['predict', 'a --head h --pooling max', /^--pooling describes --base: give that too$/],
  ['cache verify', '--sample 3', /^--sample needs --data, the folder of the images$/],
  ['cache verify', '--seed 3', /^--seed belongs to --sample/],
  ['cache gc', '--labels x.csv', /^--labels goes with --unreferenced$/],
  ['sweep', '--data d --probe --random 3', /^--random draws from --grid/],
];

describe('what is typed wrongly is answered in one sentence, with flags as they are typed', () => {
  for (const [command, words, message] of TYPED) {
    test(`${command} ${words}`, () => {
      assert.throws(
        () =>
          readArguments(
            command,
            words
              .split(' ')
              .filter(Boolean)
              .map((word) => (word === "''" ? '' : word)),
          ),
        (error: Error) => {
          assert.ok(error instanceof UsageError);
          assert.match(error.typed, message);
          return true;
        },
      );
    });
  }
});

const wrong = (options: object): TrainOptions => ({ data: 'd', base: 'xception-mini', ...options });
/** What a program gives wrongly. */
const GIVEN: readonly (readonly [what: string, call: () => Promise<unknown>, message: RegExp])[] = [
  ['lr', () => train(wrong({ lr: 0.5 })), /^unknown train option lr: did you mean \w+\?$/],
  ['foo', () => train(wrong({ foo: 1 })), /^unknown train option foo: did you mean \w+\?$/],
  ['learnigRate', () => train(wrong({ learnigRate: 1 })), /did you mean learningRate\?$/],
  [
    'pooling',
    () => features({ ...wrong({}), pooling: 'median' } as never),
    /^pooling must be one of avg, max, not "median"$/,
  ],
  [
    'preprocess',
    () => features({ ...wrong({}), preprocess: 'imagenet' } as never),
    /^preprocess must be one of tf, caffe, torch, none, not "imagenet"$/,
  ],
  [
    'engine',
    () => features({ ...wrong({}), engine: 'onnxx' } as never),
    /^engine must be one of onnx, tensorflow, not "onnxx"$/,
  ],
  ['engine of train', () => train(wrong({ engine: 'onnxx' })), /^engine must be one of onnx, tensorflow/],
  ['a list', () => train([] as never), /^train needs data: folder of images/],
  ['nothing', () => train(undefined as never), /^train takes its options as one object, not undefined$/],
  [
    'idle',
    () => train(wrong({ activation: 'tanh' })),
    /^activation belongs to hidden layers: give their sizes with hidden$/,
  ],
  [
    'classWeight',
    () => train(wrong({ classWeight: { ants: 'two' } })),
    /^classWeight must be balanced, null, or a weight/,
  ],
  [
    'maps batchSize',
    () => maps({ base: 'xception-mini', path: 'p', batchSize: 3 } as never),
    /^unknown maps option batchSize/,
  ],
  ['perClass', () => sample('/nowhere', { perClass: 3 }), /^perClass must be a whole number from 4 to 10000, not 3$/],
  [
    'sweep folds',
    () => sweep({ ...wrong({}), grid: ['l2=0'], folds: 3, halving: true } as unknown as SweepOptions),
    /^halving drops heads by their loss on one validation side, folds have several/,
  ],
  ['an unused option', () => sweep({ ...wrong({}), grid: { hidden: 3 } as never }), /hidden/],
  ['verify', () => verifySets('cache', { sample: 3 }), /^sample needs data/],
  [
    'predict',
    async () => {
      for await (const _ of predict({ paths: ['a'], heads: 'h' } as never));
    },
    /^unknown predict option heads: did you mean head\?$/,
  ],
  [
    'classify',
    async () => {
      for await (const _ of classify({ paths: ['a'], base: 'vgg16', top: 0 }));
    },
    /^top must be a whole number from 1 to 1000000, not 0$/,
  ],
];

describe('what a program gives wrongly is refused before anything is done', () => {
  for (const [what, call, message] of GIVEN) {
    test(what, () =>
      assert.rejects(call(), (error: Error) => {
        assert.ok(error instanceof UsageError, `${error}`);
        assert.match(error.message, message);
        return true;
      }),
    );
  }
});

test('options that are their default change nothing, so what a head was trained with can be given again', async () => {
  await assert.rejects(
    train(wrong({ activation: 'relu', decay: 0.5, data: '/nowhere', cache: '/nowhere' })),
    (error: Error) => !(error instanceof UsageError),
  );
});

test('values: numbers as numbers, lists up to the next flag, everything behind --', () => {
  const { values, typed } = readArguments('predict', [
    'a',
    '--head=h',
    '--batch-size',
    '4',
    '--no-quiet',
    '--',
    '-rf.jpg',
    '--json',
  ]);
  assert.deepEqual(values.paths, ['a', '-rf.jpg', '--json']);
  assert.deepEqual([values.head, values.batchSize, values.json, values.quiet], ['h', 4, false, false]);
  assert.ok(!typed.has('json'));
  const swept = readArguments('sweep', [
    '--data',
    'd',
    '--grid',
    'lr=1',
    'l2=0',
    '--lr',
    '1e-3',
    '--memory',
    '512',
    '--grid',
    'bn=true',
  ]).values;
  assert.deepEqual(swept.grid, ['lr=1', 'l2=0', 'bn=true']);
  assert.deepEqual([swept.learningRate, swept.memory, swept.base], [1e-3, 512 * 2 ** 20, 'xception-mini']);
  assert.deepEqual(readArguments('cache gc', ['--older-than', '2d', '--max-size', '1GiB']).values, {
    olderThan: 172_800_000,
    maxSize: 2 ** 30,
    cache: 'cache',
    json: false,
    quiet: false,
  });
  assert.deepEqual(
    readArguments('features', ['--data', 'd', '--input-size', '20x30', '--shard', '2/8']).values.inputSize,
    [20, 30],
  );
});

test('a range of too many points is refused before it is made', () => {
  assert.throws(() => parseAxis('lr=1e-5..1e-1:1000000000'), /the grid has more than 10000 heads/);
});

test('a command mistyped gets the nearest, escapes of a terminal are shown as text', async () => {
  const mistyped = await permafrost(['featurs'], root);
  assert.deepEqual(
    [mistyped.code, mistyped.stderr],
    [2, 'permafrost: there is no command featurs. Did you mean features? permafrost --help lists all\n'],
  );
  const nowhere = await permafrost(['features', '--data', '\u001b[31mred'], root);
  assert.deepEqual(
    [nowhere.code, nowhere.stderr],
    [1, 'permafrost: \\x1b[31mred: there is no such folder: give a folder of images\n'],
  );
  const help = await permafrost(['train', '--help'], root);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /--learning-rate, --lr N/);
});

test('with little address space help is printed, and what needs more says so', {
  skip: process.platform !== 'linux',
}, () => {
  const limited = (command: string) =>
    spawnSync('sh', ['-c', `ulimit -v 8000000; exec "${process.execPath}" "${root}/dist/pipeline/cli.js" ${command}`], {
      encoding: 'utf8',
    });
  assert.equal(limited('--help').status, 0);
  const { status, stderr } = limited('bases');
  assert.equal(status, 1);
  assert.match(stderr, /^permafrost: [^\n]* needs more address space than this process may have[^\n]*\n$/);
});

test('nothing heavy is loaded before a command is called', () => {
  const node = costOf(['-e', '0'], 3);
  const cli = `${root}/dist/pipeline/cli.js`;
  for (const [args, times] of [
    [['--version'], 2.5],
    [['--help'], 4],
    [['train', '--help'], 4],
  ] as const) {
    const { seconds, megabytes } = costOf([cli, ...args], 3);
    assert.ok(seconds <= times * node.seconds, `${args.join(' ')}: ${seconds} s, node alone ${node.seconds} s`);
    assert.ok(megabytes <= node.megabytes + 60, `${args.join(' ')}: ${megabytes} MB, node alone ${node.megabytes} MB`);
  }
});
