import { ModelError } from '../errors.js';

export type Fields = Readonly<Record<string, unknown>>;

const MAX_BYTES = 64 * 2 ** 20;
const MAX_DEPTH = 256;

/**
 * @returns the parsed text
 * @throws ModelError when it is no JSON object, or absurdly large
 */
export function parseFields(text: string, where: string): Fields {
  if (text.length > MAX_BYTES)
    throw new ModelError(`${where}: its config is larger than ${MAX_BYTES} bytes: save the model again`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelError(`${where}: its config is not JSON: copy or save it again`, { cause: error });
  }
  if (!isFields(value)) throw new ModelError(`${where}: its config is not a JSON object: copy or save it again`);
  if (isDeep(value))
    throw new ModelError(`${where}: its config nests more than ${MAX_DEPTH} deep: save the model again`);
  return value;
}

/** Whether a value nests deeper than any config does, so that nothing that walks it can exhaust the stack. */
function isDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) return true;
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What messages show of a value that is none of those expected. */
export const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 80) ?? 'nothing';

export const isText = (value: unknown): value is string => typeof value === 'string';
export const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
