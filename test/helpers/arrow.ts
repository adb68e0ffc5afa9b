import { readFileSync } from 'node:fs';
import { type Table, tableFromIPC } from 'apache-arrow';

/** A golden file: text columns as lists, columns of vectors as one flat array. */
export function readGolden(file: string): {
  rows: number;
  floats(column: string): Float32Array;
  texts(column: string): string[];
} {
  const table: Table = tableFromIPC(readFileSync(file));
  const column = (name: string) => {
    const vector = table.getChild(name);
    if (!vector) throw new Error(`${file} has no column ${name}`);
    return vector;
  };
  return {
    rows: table.numRows,
    floats: (name) => {
      const chunks = column(name).data.map((data) => {
        const child = data.children[0];
        const size = (child?.length ?? 0) / data.length;
        const values = child?.values as Float32Array;
        return values.subarray(data.offset * size, (data.offset + data.length) * size);
      });
      const flat = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
      let at = 0;
      for (const chunk of chunks) {
        flat.set(chunk, at);
        at += chunk.length;
      }
      return flat;
    },
    texts: (name) => Array.from(column(name) as Iterable<unknown>, String),
  };
}
