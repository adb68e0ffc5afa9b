import { Message, RecordBatchFileWriter, type Schema, type Table } from 'apache-arrow';

/** apache-arrow leaves out the schema message that the file format has before the first batch. */
export class ArrowFileWriter extends RecordBatchFileWriter {
  protected override _writeSchema(schema: Schema): this {
    super._writeSchema(schema);
    return this._writeMessage(Message.from(schema));
  }
}

/** @returns a table as an Arrow IPC file */
export const arrowFile = (table: Table): Uint8Array => ArrowFileWriter.writeAll(table).toUint8Array(true);
