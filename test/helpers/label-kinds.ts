import { readFileSync } from 'node:fs';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { TrainOptions } from '../../src/index.js';
import { fixture } from './fixtures.js';

/** Names of the images that every kind labels. */
export const IMAGES = Array.from({ length: 12 }, (_, i) => `${String(i + 1).padStart(2, '0')}.jpg`);
const number = (image: string): number => Number(image.slice(0, 2));
export const classOf = (image: string): string => (number(image) % 2 === 1 ? 'ants' : 'bees');
const splitOf = (image: string): string => (number(image) > 8 ? 'val' : 'train');
const severalOf = (image: string): string[] => [
  ...(number(image) % 2 === 1 ? ['red'] : []),
  ...(number(image) % 3 === 0 ? ['small'] : []),
];
const ageOf = (image: string): string => (number(image) * 1.5 + 0.25).toFixed(2);
const stem = (image: string): string => image.replace('.jpg', '');

/** What a label file says; kinds that say the same end in the same head. */
export type Says = 'classes' | 'sides' | 'several' | 'ages';

/** One way in which people have labels. */
export interface LabelKind {
  readonly name: string;
  readonly says: Says;
  /** Files beside the images, by name. The first is given with `--labels`, unless `found`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Whether the file is found without a flag. */
  readonly found?: boolean;
  /** Where an image lies; by default under its name. */
  readonly place?: (image: string) => string;
  readonly options?: Partial<TrainOptions>;
}

const lines = (header: string | null, row: (image: string, i: number) => string, end = '\n'): string =>
  [...(header === null ? [] : [header]), ...IMAGES.map(row)].join(end) + end;
const json = (row: (image: string, i: number) => unknown): string => JSON.stringify(IMAGES.map(row));
const hot = (is: boolean, yes = '1', no = '0'): string => (is ? yes : no);
const pair = (image: string): string => `${image},${classOf(image)}`;
const hasLabel = (image: string, label: string): boolean => severalOf(image).includes(label);
const parquet = (columns: Record<string, string[]>): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({ columnData: Object.entries(columns).map(([name, data]) => ({ name, data, type: 'STRING' })) }),
  );
const peer = (name: string) => ({ [name]: readFileSync(fixture(`labels/${name}`)) });
const task = (image: string, i: number, result: unknown[]) => ({
  id: i,
  data: { image: `/data/upload/3/0a1b2c3d-${image}`, photographer: 'Kim' },
  annotations: [{ id: i, was_cancelled: false, result, lead_time: 2.5 }],
});
const choices = (image: string, names: string[]) => ({
  from_name: 'insect',
  to_name: 'image',
  type: 'choices',
  value: { choices: names },
  image,
});

const CLASSES: readonly Omit<LabelKind, 'says'>[] = [
  { name: 'CSV', files: { 'labels.csv': lines('path,label', pair) } },
  { name: 'name and class', files: { 'labels.csv': lines('name,class', pair) } },
  { name: 'CSV of Excel, CRLF and a mark', files: { 'labels.csv': `\uFEFF${lines('path,label', pair, '\r\n')}` } },
  {
    name: 'Unicode text of Excel',
    files: {
      'labels.txt': Buffer.from(`\uFEFF${lines('path\tlabel', (one) => `${one}\t${classOf(one)}`)}`, 'utf16le'),
    },
  },
  { name: 'semicolons', files: { 'labels.csv': lines('filename;species', (one) => `${one};${classOf(one)}`) } },
  { name: 'bars', files: { 'labels.csv': lines('image|class', (one) => `${one}|${classOf(one)}`) } },
  { name: 'TSV', files: { 'labels.tsv': lines('img\ty', (one) => `${one}\t${classOf(one)}`) } },
  {
    name: 'Kaggle: id without ending, target',
    files: { 'train.csv': lines('id,breed', (one) => `${stem(one)},${classOf(one)}`) },
  },
  {
    name: 'Kaggle: image_id among other columns',
    files: {
      'train.csv': lines('index,image_id,patient_id,sex,target', (one, i) => `${i},${one},p${i},f,${classOf(one)}`),
    },
  },
  {
    name: 'one-hot columns',
    files: {
      'gt.csv': lines(
        'image,ants,bees',
        (one) => `${stem(one)},${hot(classOf(one) === 'ants')},${hot(classOf(one) === 'bees')}`,
      ),
    },
  },
  {
    name: 'one-hot floats',
    files: {
      'gt.csv': lines(
        'image,ants,bees',
        (one) =>
          `${stem(one)},${hot(classOf(one) === 'ants', '1.0', '0.0')},${hot(classOf(one) === 'bees', '1.0', '0.0')}`,
      ),
    },
  },
  {
    name: 'one-hot of pandas',
    files: {
      'gt.csv': lines(
        ',image,ants,bees',
        (one, i) =>
          `${i},${one},${hot(classOf(one) === 'ants', 'True', 'False')},${hot(classOf(one) === 'bees', 'True', 'False')}`,
      ),
    },
  },
  {
    name: 'one-hot of 1 and -1',
    files: {
      'list_attr.csv': lines(
        'image_id,ants,bees',
        (one) => `${one},${hot(classOf(one) === 'ants', '1', '-1')},${hot(classOf(one) === 'bees', '1', '-1')}`,
      ),
    },
  },
  {
    name: 'probabilities',
    files: {
      'gt.csv': lines(
        'image,ants,bees',
        (one) => `${one},${hot(classOf(one) === 'ants', '0.9', '0.2')},${hot(classOf(one) === 'bees', '0.8', '0.1')}`,
      ),
    },
  },
  { name: 'txt of path and label', files: { 'labels.txt': lines(null, (one) => `${one} ${classOf(one)}`) } },
  { name: 'txt with tabs', files: { 'labels.txt': lines(null, (one) => `${one}\t${classOf(one)}`) } },
  { name: 'CSV without a header', files: { 'labels.csv': lines(null, pair) } },
  { name: 'JSON array', files: { 'labels.json': json((one) => ({ file_name: one, label: classOf(one) })) } },
  {
    name: 'JSON mapping',
    files: { 'labels.json': JSON.stringify(Object.fromEntries(IMAGES.map((one) => [one, classOf(one)]))) },
  },
  {
    name: 'JSONL',
    files: { 'labels.jsonl': lines(null, (one) => JSON.stringify({ image: one, category: classOf(one) })) },
  },
  {
    name: 'JSONL under another name',
    files: { labels: lines(null, (one) => JSON.stringify({ image: one, category: classOf(one) })) },
  },
  { name: 'Parquet of pyarrow, Snappy and a dictionary', files: peer('pyarrow.parquet') },
  { name: 'Parquet of pyarrow, gzip', files: peer('pyarrow_gzip.parquet') },
  { name: 'Parquet of polars, ZSTD', files: peer('polars.parquet') },
  { name: 'Feather of pyarrow, LZ4', files: peer('pyarrow.feather') },
  { name: 'Feather of pyarrow, many rows', files: peer('pyarrow_long.feather') },
  { name: 'Arrow stream', files: peer('pyarrow_stream.arrow') },
  { name: 'Arrow of polars', files: peer('polars.arrow') },
  { name: 'Arrow of polars, ZSTD', files: peer('polars_zstd.arrow') },
  {
    name: 'Arrow of this kind',
    files: { 'labels.arrow': tableToIPC(tableFromArrays({ path: IMAGES, label: IMAGES.map(classOf) }), 'file') },
  },
  {
    name: 'Label Studio JSON',
    files: { 'project.json': json((one, i) => task(one, i, [choices(one, [classOf(one)])])) },
  },
  {
    name: 'Label Studio JSON-MIN',
    files: {
      'project.json': json((one, i) => ({
        image: `/data/local-files/?d=set%2F${one}`,
        id: i,
        insect: classOf(one),
        annotator: 1,
        annotation_id: i,
        created_at: '2024-01-01',
        updated_at: '2024-01-01',
        lead_time: 3.1,
      })),
    },
  },
  {
    name: 'Label Studio CSV',
    files: {
      'project.csv': lines(
        'image,id,insect,annotator,annotation_id,created_at,updated_at,lead_time',
        (one, i) => `s3://bucket/set/${one},${i},${classOf(one)},1,${i},2024-01-01,2024-01-01,3.1`,
      ),
    },
  },
  { name: 'imagefolder metadata.csv', found: true, files: { 'metadata.csv': lines('file_name,label', pair) } },
  {
    name: 'imagefolder metadata.jsonl',
    found: true,
    files: {
      'metadata.jsonl': lines(null, (one) =>
        JSON.stringify({ file_name: one, text: `a picture of ${one}`, label: classOf(one) }),
      ),
    },
  },
  {
    name: 'imagefolder metadata.parquet',
    found: true,
    files: { 'metadata.parquet': parquet({ file_name: IMAGES, label: IMAGES.map(classOf) }) },
  },
  { name: 'class folders', found: true, place: (one) => `${classOf(one)}/${one}` },
  {
    name: 'captions beside class folders',
    found: true,
    place: (one) => `${classOf(one)}/${one}`,
    files: { 'metadata.csv': lines('file_name,text', (one) => `${classOf(one)}/${one},picture ${one}`) },
  },
  {
    name: 'names of files inside class folders',
    place: (one) => `${classOf(one)}/${one}`,
    files: { 'labels.csv': lines('file,label', pair) },
  },
  {
    name: 'Windows paths',
    files: { 'labels.csv': lines('path,label', (one) => `C:\\Users\\kim\\set\\${one},${classOf(one)}`) },
  },
  {
    name: 'JPG for jpg',
    files: { 'labels.csv': lines('path,label', (one) => `${one.toUpperCase()},${classOf(one)}`) },
  },
  {
    name: 'a prefix that all names share',
    place: (one) => `photos/${one}`,
    files: { 'labels.csv': lines('path,label', (one) => `images/train/${one},${classOf(one)}`) },
  },
  {
    name: 'spaces around, other words for none',
    files: { 'labels.csv': lines('Path , Label', (one) => ` ${one} , ${classOf(one)} `) },
  },
  {
    name: 'columns by name',
    files: { 'labels.csv': lines('what,where,whose', (one, i) => `${classOf(one)},${one},k${i}`) },
    options: { labelColumn: 'what', pathColumn: 'where' },
  },
  {
    name: 'a row without a label, skipped',
    files: { 'labels.csv': `${lines('path,label', pair)}13.jpg,NA\n` },
    options: { missing: 'skip' },
  },
];

const SIDES: readonly Omit<LabelKind, 'says'>[] = [
  {
    name: 'CSV with split',
    files: { 'labels.csv': lines('path,label,split', (one) => `${pair(one)},${splitOf(one)}`) },
  },
  {
    name: 'CSV with subset',
    files: {
      'labels.csv': lines(
        'path,label,subset',
        (one) => `${pair(one)},${splitOf(one) === 'val' ? 'Validation' : 'Training'}`,
      ),
    },
  },
  { name: 'folders train and val', found: true, place: (one) => `${splitOf(one)}/${classOf(one)}/${one}` },
  {
    name: 'folders Training and Valid',
    found: true,
    place: (one) => `${splitOf(one) === 'val' ? 'Valid' : 'Training'}/${classOf(one)}/${one}`,
  },
  {
    name: 'imagefolder in split folders',
    found: true,
    place: (one) => `${splitOf(one)}/${one}`,
    files: Object.fromEntries(
      ['train', 'val'].map((side) => [
        `${side}/metadata.csv`,
        ['file_name,label', ...IMAGES.filter((one) => splitOf(one) === side).map(pair)].join('\n'),
      ]),
    ),
  },
  {
    name: 'a label file over split folders',
    place: (one) => `${splitOf(one)}/${one}`,
    files: { 'labels.csv': lines('path,label', pair) },
  },
];

const SEVERAL: readonly Omit<LabelKind, 'says'>[] = [
  { name: 'CSV with |', files: { 'labels.csv': lines('path,label', (one) => `${one},${severalOf(one).join('|')}`) } },
  {
    name: 'commas in a cell',
    files: { 'labels.csv': lines('path,tags', (one) => `${one},"${severalOf(one).join(', ')}"`) },
  },
  {
    name: 'spaces in a cell',
    files: { 'labels.csv': lines('path,label', (one) => `${one},${severalOf(one).join(' ')}`) },
  },
  {
    name: 'a separator by option',
    files: { 'labels.csv': lines('path,label', (one) => `${one},${severalOf(one).join('+')}`) },
    options: { labelSeparator: '+' },
  },
  {
    name: 'lists of Python',
    files: {
      'labels.csv': lines(
        'path,label',
        (one) =>
          `${one},"[${severalOf(one)
            .map((label) => `'${label}'`)
            .join(', ')}]"`,
      ),
    },
  },
  {
    name: 'columns of 0 and 1',
    files: {
      'labels.csv': lines(
        'path,red,small',
        (one) => `${one},${hot(hasLabel(one, 'red'))},${hot(hasLabel(one, 'small'))}`,
      ),
    },
  },
  { name: 'JSON lists', files: { 'labels.json': json((one) => ({ path: one, label: severalOf(one) })) } },
  {
    name: 'Label Studio, several choices',
    files: { 'project.json': json((one, i) => task(one, i, [choices(one, severalOf(one))])) },
  },
];

const AGES: readonly Omit<LabelKind, 'says'>[] = [
  { name: 'CSV of numbers', files: { 'ages.csv': lines('path,age', (one) => `${one},${ageOf(one)}`) } },
  {
    name: 'decimal commas',
    files: { 'ages.csv': lines('Datei;Alter', (one) => `${one};${ageOf(one).replace('.', ',')}`) },
  },
  {
    name: 'JSONL of numbers',
    files: { 'ages.jsonl': lines(null, (one) => JSON.stringify({ image: one, label: Number(ageOf(one)) })) },
  },
  {
    name: 'Arrow of numbers',
    files: {
      'ages.arrow': tableToIPC(
        tableFromArrays({ path: IMAGES, y: Float64Array.from(IMAGES, (one) => Number(ageOf(one))) }),
        'stream',
      ),
    },
  },
];

const saying = (says: Says, kinds: readonly Omit<LabelKind, 'says'>[]): LabelKind[] =>
  kinds.map((kind) => ({ ...kind, says }));

export const LABEL_KINDS: readonly LabelKind[] = [
  ...saying('classes', CLASSES),
  ...saying('sides', SIDES),
  ...saying('several', SEVERAL),
  ...saying('ages', AGES),
];
