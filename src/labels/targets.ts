/**
 * `binary`: Dense(1, sigmoid) on two classes; `multiclass`: Dense(K, softmax); `multilabel`: Dense(K, sigmoid), any number of
 * the K labels at once; `regression`: Dense(1), one number.
 */
export type Task = 'binary' | 'multiclass' | 'multilabel' | 'regression';

/** `[n]` class numbers; for multilabel `[n, K]` of 0 and 1; for regression `[n]` numbers. One row for each row of a source. */
export type Targets = Int32Array | Uint8Array | Float32Array;
/** @returns values of a row of the targets */
export const widthOf = (task: Task, classes: number): number => (task === 'multilabel' ? classes : 1);
