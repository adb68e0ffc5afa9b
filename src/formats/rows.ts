import {
  Field,
  Float32,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { plain } from '../plain.js';
import { ArrowFileWriter, ArrowPieces } from './arrow/file.js';
import { csvField } from './csv.js';

/** `json` is one list of objects, `jsonl` an object a line. */
export const ROW_FORMATS = ['csv', 'json', 'jsonl', 'arrow', 'parquet'] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

/** One column of a table. */
export interface Column<Row> {
  readonly name: string;
  /** In CSV; default `name`. */
  readonly csvName?: string;
  /** A `name` is that of a file, whose control characters are escaped where lines end in them. */
  readonly type: 'name' | 'text' | 'number';
  /** Null where there is none: an empty cell of CSV. */
  readonly of: (row: Row) => string | number | null;
}

/** What a row is in each format. */
export interface RowShape<Row> {
  readonly columns: readonly Column<Row>[];
  /** The object of JSON. */
  readonly object: (row: Row) => unknown;
}

/** Cells that are held before they are written. */
const CELLS = 2 ** 18;

/**
 * @returns rows as the bytes of a file, a piece as soon as there is enough for one; numbers are float32 in Arrow and Parquet. The same
 *   rows give the same bytes
 */
export async function* rowChunks<Row>(
  rows: AsyncIterable<Row>,
  { columns, object }: RowShape<Row>,
  format: RowFormat,
): AsyncGenerator<Uint8Array> {
  if (format === 'arrow' || format === 'parquet') {
    const encoder = format === 'arrow' ? arrowEncoder(columns) : parquetEncoder(columns);
    const most = Math.max(64, Math.min(2 ** 14, Math.floor(CELLS / columns.length)));
    let waiting: Row[] = [];
    for await (const row of rows) {
      if (waiting.push(row) < most) continue;
      yield* encoder.write(waiting);
      waiting = [];
    }
    if (waiting.length > 0) yield* encoder.write(waiting);
    yield* encoder.end();
    return;
  }
  if (format === 'csv') yield line(columns.map(({ name, csvName = name }) => csvField(csvName)).join(','));
  let isFirst = true;
  for await (const row of rows) {
    if (format === 'csv') yield line(columns.map((column) => csvCell(column, row)).join(','));
    else if (format === 'jsonl') yield line(JSON.stringify(object(row)));
    else yield Buffer.from(`${isFirst ? '[\n' : ',\n'}${JSON.stringify(object(row))}`);
    isFirst = false;
  }
  if (format === 'json') yield Buffer.from(isFirst ? '[]\n' : '\n]\n');
}

const line = (text: string): Uint8Array => Buffer.from(`${text}\n`);

function csvCell<Row>({ type, of }: Column<Row>, row: Row): string {
  const value = of(row);
  return value === null ? '' : csvField(type === 'name' ? plain(String(value)) : value);
}

interface Encoder<Row> {
  write(rows: readonly Row[]): Iterable<Uint8Array>;
  end(): Iterable<Uint8Array>;
}

function arrowEncoder<Row>(columns: readonly Column<Row>[]): Encoder<Row> {
  const schema = new Schema(
    columns.map(({ name, type }) => new Field(name, type === 'number' ? new Float32() : new Utf8(), type !== 'name')),
  );
  const pieces = new ArrowPieces();
  const writer = new ArrowFileWriter();
  writer.reset(pieces, schema);
  return {
    write(rows) {
      const vectors = columns.map(({ of }, k): Vector => vectorFromArray(rows.map(of), schema.fields[k]?.type));
      const children = vectors.map(({ data }) => data[0] as (typeof data)[number]);
      const type = new Struct(schema.fields);
      writer.write(new RecordBatch(schema, makeData({ type, length: rows.length, nullCount: 0, children })));
      return pieces.take();
    },
    end() {
      writer.finish();
      return pieces.take();
    },
  };
}

function parquetEncoder<Row>(columns: readonly Column<Row>[]): Encoder<Row> {
  const bytes = new ByteWriter();
  const take = (): Uint8Array[] => {
    const piece = bytes.getBytes().slice();
    bytes.index = 0;
    return [piece];
  };
  const writer = new ParquetWriter({
    writer: bytes,
    schema: [
      { name: 'root', num_children: columns.length },
      ...columns.map(({ name, type }) => ({
        name,
        repetition_type: type === 'name' ? ('REQUIRED' as const) : ('OPTIONAL' as const),
        ...(type === 'number'
          ? { type: 'FLOAT' as const }
          : {
              type: 'BYTE_ARRAY' as const,
              converted_type: 'UTF8' as const,
              logical_type: { type: 'STRING' as const },
            }),
      })),
    ],
    createdBy: 'permafrost',
  });
  return {
    write(rows) {
      const columnData = columns.map(({ name, of }) => ({ name, data: rows.map(of) }));
      writer.write({ columnData, rowGroupSize: rows.length });
      return take();
    },
    end() {
      writer.finish();
      return take();
    },
  };
}
