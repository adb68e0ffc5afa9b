import { AsyncByteQueue, Message, RecordBatchFileWriter, type Schema, type Table } from 'apache-arrow';

/** apache-arrow leaves out the schema message that the file format has before the first batch. */
export class ArrowFileWriter extends RecordBatchFileWriter {
  protected override _writeSchema(schema: Schema): this {
    super._writeSchema(schema);
    return this._writeMessage(Message.from(schema));
  }
}

/** What a writer of Arrow has written, to be taken away a piece at a time. */
export class ArrowPieces extends AsyncByteQueue {
  private pieces: Uint8Array[] = [];

  override write(value: Parameters<AsyncByteQueue['write']>[0]): void {
    this.pieces.push(value as Uint8Array);
  }

  take(): Uint8Array[] {
    return this.pieces.splice(0);
  }
}

/** @returns a table as an Arrow IPC file */
export const arrowFile = (table: Table): Uint8Array => ArrowFileWriter.writeAll(table).toUint8Array(true);
