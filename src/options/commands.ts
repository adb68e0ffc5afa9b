/** A positional argument stands in the table of options; here is how it is written: `<paths..>`, `[sets..]`. */
export interface CommandRow {
  readonly name: string;
  /** One line for `--help`. */
  readonly describe: string;
  readonly usage?: string;
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** Not a command by itself: what another one takes with `--plan`. */
  readonly within?: string;
}

/** Every command, in the order in which help lists them. */
export const COMMANDS = [
  {
    name: 'sample',
    describe: 'draw a small set of pictures for a first try: surface inspection, ok or defect',
    examples: [
      ['permafrost sample', 'draws 200 pictures a class into data/sample'],
      ['permafrost sample --out pictures --per-class 50 --seed 1', 'others, fewer, elsewhere'],
    ],
  },
  {
    name: 'features',
    describe: 'run every image once through the base and store its vector',
    examples: [
      ['permafrost features --data pictures', 'with xception-mini, which needs no download'],
      ['permafrost features --data pictures --base mobilenet --alpha 0.25', 'with a base of keras.applications'],
    ],
  },
  {
    name: 'worker',
    describe: 'run the images of an Arrow stream on stdin through the base, and write their vectors as one to stdout',
    examples: [
      ['permafrost worker --base xception-mini', 'an Arrow stream on stdin, one on stdout'],
      ['permafrost worker --base xception --threads 1', 'one of many, as Spark and Ray start it'],
    ],
  },
  {
    name: 'estimate',
    describe: 'say what so many images will take: time, vectors, parts; measured here for some seconds',
    examples: [
      ['permafrost estimate --images 1000000 --base xception --data pictures', 'reading and decoding included'],
      ['permafrost estimate --images 1e9 --base xception --machines 500 --json', 'of many machines, for programs'],
    ],
  },
  {
    name: 'train',
    describe: 'train a head on the stored vectors, or many with --plan',
    examples: [
      ['permafrost train --data pictures --name first', 'a linear head on what features stored'],
      ['permafrost train --data pictures --hidden 256 --dropout 0.5 --lr 1e-3', 'with a hidden layer'],
    ],
  },
  {
    name: 'sweep',
    describe: 'train many heads in one pass over the vectors, and save the best',
    examples: [
      ['permafrost sweep --data pictures --grid lr=1e-4,1e-3 l2=0,1e-4', 'every combination'],
      ['permafrost sweep --data pictures --grid lr=1e-5..1e-1 hidden=none,64 --random 16', '16 drawn from ranges'],
    ],
  },
  {
    name: 'predict',
    describe: 'classify images with a head: one line an image',
    usage: '[paths..]',
    examples: [
      ['permafrost predict new.jpg more/ --head first --out said.csv', 'files, and folders of them, into a table'],
      [
        'permafrost predict more/ --head first --sort-into sorted --min-score 0.9',
        'into a folder a class, where it is sure',
      ],
    ],
  },
  {
    name: 'evaluate',
    describe: 'measure a head on labelled images: metrics with intervals, confusion, and which are wrong',
    usage: '<path>',
    examples: [
      ['permafrost evaluate pictures/test --head first', 'labels from folder names'],
      ['permafrost evaluate pictures --head first --labels test.csv --errors wrong.csv', 'from a file; the wrong ones'],
    ],
  },
  {
    name: 'explain',
    describe: 'draw where in images a linear head finds its class: activation maps over the photos',
    usage: '[paths..]',
    examples: [
      ['permafrost explain new.jpg more/ --head first --out where', 'of what the head says, a picture an image'],
      ['permafrost explain new.jpg --head first --class bees --format svg', 'of one class, whatever the head says'],
    ],
  },
  {
    name: 'heads ls',
    describe: 'list the heads of a cache',
    examples: [
      ['permafrost heads ls', 'task, classes, images, what was measured'],
      ['permafrost heads ls --json', 'for programs: one object a line'],
    ],
  },
  {
    name: 'heads show',
    describe: 'print what is known of a head',
    usage: '<head>',
    examples: [
      ['permafrost heads show first', 'as training told it'],
      ['permafrost heads show first --json', 'all of its head.json'],
    ],
  },
  {
    name: 'heads compare',
    describe: 'compare heads on the same labelled images: differences with intervals, and McNemar’s test',
    usage: '<heads..>',
    examples: [
      ['permafrost heads compare first second --data pictures/test', 'which is better, and whether it may be chance'],
      ['permafrost heads compare a b c --data pictures --labels test.csv --json', 'each with each, for programs'],
    ],
  },
  {
    name: 'heads rm',
    describe: 'remove a head',
    usage: '<head>',
    examples: [
      ['permafrost heads rm first', 'by name'],
      ['permafrost heads rm other/cache/heads/first', 'by folder'],
    ],
  },
  {
    name: 'report',
    describe: 'write one page about heads, a sweep or a plan: numbers, charts, and the pictures that are wrong',
    usage: '<heads..>',
    examples: [
      ['permafrost report first --data pictures', 'measured on its images, into report.html'],
      ['permafrost report my-sweep --data pictures --out sweep.html', 'what a sweep tried, and its best head'],
    ],
  },
  {
    name: 'classify',
    describe: 'classify images with the classifier that a base was trained with: one line an image',
    usage: '[paths..]',
    examples: [
      ['permafrost classify cat.jpg --base mobilenet', 'the five likeliest of ImageNet’s classes'],
      ['permafrost classify pictures --base ./model.keras --preprocess none --top 1', 'with a model of your own'],
    ],
  },
  {
    name: 'maps',
    describe: 'draw the feature maps that a base gives for an image: the first ones, or the strongest',
    usage: '<path>',
    examples: [
      ['permafrost maps cat.jpg', '32 maps of xception-mini into maps.png'],
      [
        'permafrost maps cat.jpg --base vgg16 --layer block1_conv2 --strongest 12 --photo',
        'of an early layer, beside it',
      ],
    ],
  },
  {
    name: 'bases',
    describe: 'list the bases that are known by name, without their classifiers',
    examples: [
      ['permafrost bases', 'a table'],
      ['permafrost bases --json', 'for programs'],
    ],
  },
  {
    name: 'summary',
    describe: 'print the layers of a base as Keras does, its parameters and multiply-adds; nothing is downloaded',
    examples: [
      ['permafrost summary --base mobilenet --alpha 0.25', 'without its classifier'],
      ['permafrost summary --base xception --include-top --width 120', 'with it, in wide lines'],
    ],
  },
  {
    name: 'export',
    describe: 'write a head, or base and head in one model, for Keras, TensorFlow.js or ONNX',
    examples: [
      ['permafrost export --head first --format onnx --out head.onnx', 'vectors in, probabilities out'],
      ['permafrost export --head first --format keras --with-base --out model.keras', 'pixels in'],
    ],
  },
  {
    name: 'cache ls',
    describe: 'list the feature sets of a cache',
    examples: [
      ['permafrost cache ls', 'images, parts, sizes, last use'],
      ['permafrost cache ls --cache /data/cache --json', 'of another folder, for programs'],
    ],
  },
  {
    name: 'cache verify',
    describe: 'check every byte of the parts, and with --sample their vectors; exits 1 when it finds damage',
    usage: '[sets..]',
    examples: [
      ['permafrost cache verify', 'all sets'],
      ['permafrost cache verify --data pictures --repair', 'and extract what was damaged again'],
    ],
  },
  {
    name: 'cache compact',
    describe: 'merge small parts into full ones; no vector changes',
    usage: '[sets..]',
    examples: [
      ['permafrost cache compact', 'all sets'],
      ['permafrost cache compact xception-mini-0123456789ab', 'one set'],
    ],
  },
  {
    name: 'cache gc',
    describe: 'take out what is not wanted any more: by age, by size, outdated, or unreferenced; shows it first',
    examples: [
      ['permafrost cache gc --older-than 30d', 'shows which sets would go'],
      ['permafrost cache gc --max-size 10GB --yes', 'takes out those used least recently'],
    ],
  },
  {
    name: 'cache export',
    describe: 'write a set as one file: arrow, parquet, or npy with the hashes beside it',
    usage: '<set>',
    examples: [
      ['permafrost cache export xception-mini-0123456789ab --out vectors.parquet', 'by the file’s ending'],
      ['permafrost cache export xception-mini-0123456789ab --out vectors --format npy', 'as said'],
    ],
  },
  {
    name: 'cache import',
    describe: 'bring vectors that were made elsewhere into a set; the whole file is checked first',
    usage: '<file>',
    examples: [
      ['permafrost cache import vectors.parquet --set xception-mini-0123456789ab', 'into a set that is there'],
      ['permafrost cache import vectors.npy --spec set.json --name mine', 'into a new one'],
    ],
  },
  {
    name: 'cache migrate',
    describe: 'bring sets of an older format to that of this version',
    examples: [
      ['permafrost cache migrate', 'all sets'],
      ['permafrost cache migrate --cache /data/cache', 'of another folder'],
    ],
  },
  {
    name: 'completion',
    describe: 'print a script that completes commands and options in a shell',
    usage: '[shell]',
    examples: [
      ['source <(permafrost completion bash)', 'for this shell; in ~/.bashrc for all'],
      ['permafrost completion fish > ~/.config/fish/completions/permafrost.fish', 'fish'],
    ],
  },
  { name: 'train plan', describe: 'what train takes with --plan', within: 'train', examples: [] },
] as const satisfies readonly CommandRow[];

export type CommandName = (typeof COMMANDS)[number]['name'];

/** Commands as people type them, with the words of those that have two. */
export const typedCommands: readonly CommandRow[] = COMMANDS.filter((row) => !('within' in row));
