/** Keras's own rule for the name of a layer that is given none: keras/src/utils/naming.py. */
export const toSnakeCase = (className: string): string =>
  className
    .replace(/\W+/g, '')
    .replace(/(.)([A-Z][a-z]+)/g, '$1_$2')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();

/** Whether a name is one that Keras makes up and numbers, which differ from file to file. */
export function isAutoName(name: string, className: string): boolean {
  return new RegExp(`^${toSnakeCase(className)}(_\\d+)?$`).test(name);
}

/** Gives names as Keras does when none is given: `conv2d`, `conv2d_1`, … */
export class AutoNames {
  private readonly used = new Map<string, number>();

  next(className: string): string {
    const stem = toSnakeCase(className);
    const count = this.used.get(stem) ?? 0;
    this.used.set(stem, count + 1);
    return count === 0 ? stem : `${stem}_${count}`;
  }
}
