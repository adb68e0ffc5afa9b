import path from 'node:path';
import { type Table, tableFromIPC } from 'apache-arrow';
import { HeadError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import { isFields } from './fields.js';

/** Bytes of the largest results that are read, and their most rows and columns. */
const LARGEST = 2 ** 30;
const MOST_ROWS = 100_000;
const MOST_COLUMNS = 1000;

export type SweepCell = number | boolean | string | null;

/** What a sweep left, as `results.arrow` has it. */
export interface SweepResults {
  readonly name: string;
  /** What its heads are ranked by, on validation. */
  readonly by: string;
  /** Options that differ between the heads: columns of these names. */
  readonly tried: readonly string[];
  readonly columns: readonly string[];
  /** By rank; those that were not trained to their end come last. */
  readonly rows: readonly (readonly SweepCell[])[];
  /** Identity of its best head. */
  readonly head: string | null;
}

/**
 * @param dir a folder of `cache/sweeps`
 * @throws HeadError where it holds no results, or damaged ones
 */
export async function readSweepResults(dir: string): Promise<SweepResults> {
  const file = path.join(dir, 'results.arrow');
  let bytes: Buffer;
  try {
    bytes = await readNamed(file, LARGEST);
  } catch (error) {
    throw new HeadError(`${file} ${whyUnreadable(error)}: give the name or the folder of a sweep`, { cause: error });
  }
  const damaged = (why: string, cause?: unknown): HeadError =>
    new HeadError(`${file} does not hold the results of a sweep (${why}): run the sweep again`, { cause });
  let table: Table;
  let facts: unknown;
  try {
    table = tableFromIPC(bytes);
    facts = JSON.parse(table.schema.metadata.get('permafrost.sweep') ?? 'null');
  } catch (error) {
    throw damaged('it is not a whole Arrow file', error);
  }
  if (!isFields(facts)) throw damaged('it says nothing of the sweep');
  const columns = table.schema.fields.map(({ name }) => name);
  if (table.numRows === 0 || table.numRows > MOST_ROWS || columns.length > MOST_COLUMNS) {
    throw damaged(`${table.numRows} rows of ${columns.length} columns`);
  }
  const { name, by, tried, head } = facts;
  const isTried = Array.isArray(tried) && tried.every((one) => typeof one === 'string' && columns.includes(one));
  if (typeof by !== 'string' || !isTried || !columns.includes('rank')) throw damaged('its columns are others');
  const vectors = columns.map((one) => table.getChild(one));
  const cellOf = (value: unknown): SweepCell => {
    if (value === null || value === undefined) return null;
    if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') return value;
    throw damaged('a cell is neither number nor text');
  };
  return {
    name: typeof name === 'string' ? name : path.basename(dir),
    by,
    tried: tried as string[],
    columns,
    rows: Array.from({ length: table.numRows }, (_, i) => vectors.map((vector) => cellOf(vector?.get(i)))),
    head: typeof head === 'string' ? head : null,
  };
}
