import { basename, dirname, resolve } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { DataError, UsageError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import type { Task } from '../labels/targets.js';
import { checkValue, kebab, optionsOfCommand, shownValue } from '../options/check.js';
import { TASKS } from '../options/choices.js';
import type { OptionRow } from '../options/table.js';
import { checkEffect, checkOption, type HeadOptions, resolveOptions, withoutIdle } from '../train/options.js';
import { checkFit, FIT_RULES, type FitOptions, resolveFit } from './fit-options.js';
import { type Axis, axisFromText, optionNamed, type Space } from './space.js';

/** Bytes of the largest plan that is read. */
const LARGEST = 2 ** 24;
/** How often aliases of one value may be followed. */
const MOST_ALIASES = 100;
const RANDOM = optionsOfCommand('sweep').get('random') as OptionRow;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Names that are devices on Windows, whatever ending they have. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i;

/** One head of a plan. */
export interface PlannedHead {
  readonly name: string;
  /** Label file; folder names where there is none. */
  readonly labels?: string;
  readonly task?: Task;
  readonly options: HeadOptions;
  readonly fit: FitOptions;
}

/** The heads to train, in order. */
export interface Plan {
  readonly heads: readonly PlannedHead[];
}

/** What a plan of a sweep holds. */
export interface SweepPlan {
  /** Of every head. */
  readonly options: HeadOptions;
  readonly fit: FitOptions;
  readonly space: Space;
  readonly labels?: string;
  readonly task?: Task;
  /** Heads to draw; undefined for the whole grid. */
  readonly random?: number;
}

/** @throws UsageError for a name that cannot be a folder's */
export function checkName(name: string): string {
  if (NAME.test(name) && !RESERVED.test(name) && !name.endsWith('.')) return name;
  if (RESERVED.test(name)) throw new UsageError(`a head cannot be called ${name}, which Windows keeps for a device`);
  throw new UsageError(
    `a head's name is letters, digits, dots, hyphens and underscores, and ends in no dot, found ${JSON.stringify(name)}; a folder goes with --out`,
  );
}

/** Faults that are told of one plan. */
const MOST_FAULTS = 20;

/** A YAML file whose faults are told with their lines, all at once. */
class YamlFile {
  private readonly faults = new Set<string>();

  private constructor(
    readonly name: string,
    readonly folder: string,
    private readonly lines: LineCounter,
    private readonly document: Document,
  ) {}

  /** @throws DataError when it cannot be read, UsageError with the line when it is not YAML */
  static async read(path: string): Promise<YamlFile> {
    let bytes: Buffer;
    try {
      bytes = await readNamed(path, LARGEST);
    } catch (error) {
      throw new DataError(`plan ${path} ${whyUnreadable(error)}: give a YAML file`, { cause: error });
    }
    const lines = new LineCounter();
    const document = parsed(bytes.toString('utf8'), lines, path);
    const [error] = document.errors;
    if (error) {
      const line = lines.linePos(error.pos[0]).line;
      throw new UsageError(
        `${basename(path)} line ${line}: ${error.message.split('\n')[0]?.replace(/ at line .*$/, '')}`,
      );
    }
    return new YamlFile(basename(path), dirname(resolve(path)), lines, document);
  }

  get root(): Node | null {
    return this.document.contents as Node | null;
  }

  /** Where a node stands, before what is said of it. */
  fault(node: unknown, message: string): UsageError {
    const { range } = (node ?? this.root ?? {}) as { range?: readonly number[] | null };
    return new UsageError(`line ${this.lines.linePos(range?.[0] ?? 0).line}: ${message}`);
  }

  /** Runs a check; what it throws as wrong use gets the line of a node and is told at the end, by `done`. */
  at<T>(node: unknown, check: () => T): T | undefined {
    return this.collect(() => {
      try {
        return check();
      } catch (error) {
        if (error instanceof UsageError) throw this.fault(node, error.message);
        throw error;
      }
    });
  }

  /** Runs what throws faults with their line already. */
  collect<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.faults.add(error.message);
      return undefined;
    }
  }

  /** @throws UsageError with every fault that was found, each once */
  done(): void {
    const [...all] = this.faults;
    if (all.length === 0) return;
    const more = all.length > MOST_FAULTS ? `; and ${all.length - MOST_FAULTS} more` : '';
    throw new UsageError(`${this.name} ${all.slice(0, MOST_FAULTS).join('; ')}${more}`);
  }

  /** @returns the entries of a mapping, aliases followed: key text, key, value node */
  entries(node: unknown, what: string): [key: string, keyNode: unknown, value: unknown][] {
    const map = this.follow(node);
    if (!isMap(map)) throw this.fault(node, `${what} must be a mapping, as name: value`);
    return (map.items as Pair[]).map(({ key, value }) => {
      if (!isScalar(key)) throw this.fault(key, `${what} must have names as keys`);
      return [String(key.value), key, this.follow(value)];
    });
  }

  items(node: unknown, what: string): unknown[] {
    const list = this.follow(node);
    if (!isSeq(list)) throw this.fault(node, `${what} must be a list`);
    return list.items.map((item) => this.follow(item));
  }

  /** @returns the plain value of a node @throws UsageError for one that holds itself, or grows beyond measure by its aliases */
  value(node: unknown): unknown {
    const followed = this.follow(node);
    if (followed === null || followed === undefined) return null;
    try {
      const value: unknown = (followed as Node).toJS(this.document, { maxAliasCount: MOST_ALIASES });
      JSON.stringify(value);
      return value;
    } catch {
      throw new UsageError('an alias leads back to itself, or to too much: write the values out');
    }
  }

  text(node: unknown, what: string): string {
    const value = this.value(node);
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    throw new UsageError(`${what} must be text, not ${shownValue(value)}`);
  }

  private follow(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.document) : node;
  }
}

/** @throws UsageError for nesting that is too deep to be read */
function parsed(text: string, lines: LineCounter, path: string): Document {
  try {
    return parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`plan ${path} is nested too deep to be read: a plan has four levels`, { cause: error });
  }
}

interface Entry {
  labels?: string;
  task?: Task;
  options: HeadOptions;
  fit: FitOptions;
}

/** Takes one entry that is common to heads and sweeps. */
function take(file: YamlFile, into: Entry, [key, keyNode, value]: [string, unknown, unknown]): void {
  const node = value ?? keyNode;
  if (key === 'labels') {
    file.at(node, () => {
      into.labels = resolve(file.folder, file.text(value, 'labels'));
    });
  } else if (key === 'task') {
    file.at(node, () => {
      const task = file.value(value) as Task;
      if (!TASKS.includes(task))
        throw new UsageError(`task must be one of ${TASKS.join(', ')}, not ${shownValue(task)}`);
      into.task = task;
    });
  } else {
    file.at(keyNode, () => {
      const fit = fitNamed(key);
      const head = fit === undefined ? optionNamed(key) : undefined;
      file.at(node, () => {
        const given = file.at(node, () => file.value(value));
        if (given === undefined) return;
        if (fit !== undefined) into.fit = { ...into.fit, [fit]: checkFit(fit, given) };
        if (head !== undefined) into.options = { ...into.options, [head]: checkOption(head, given) };
      });
    });
  }
}

/** @returns the option of a fit that a key of a plan names, as the library or the command line writes it */
const fitNamed = (key: string): keyof FitOptions | undefined =>
  (Object.keys(FIT_RULES) as (keyof FitOptions)[]).find((name) => name === key || kebab(name) === key);

/**
 * Reads a plan of heads: `heads`, a list whose entries have a `name` and where wanted `labels` (relative to the plan), `task` and
 * options of the head and of its fit by their names; `defaults`, the same for all heads that do not say otherwise.
 * @throws DataError when the file cannot be read, UsageError with the line for what it holds
 */
export async function readPlan(path: string): Promise<Plan> {
  const file = await YamlFile.read(path);
  const defaults: Entry = { options: {}, fit: {} };
  let list: unknown;
  const top = file.collect(() => file.entries(file.root, 'a plan'));
  for (const entry of top ?? []) {
    const [key, keyNode, value] = entry;
    if (key === 'heads') list = value ?? null;
    else if (key === 'defaults') {
      for (const one of file.collect(() => file.entries(value ?? keyNode, 'defaults')) ?? []) take(file, defaults, one);
    } else file.at(keyNode, () => unknownKey(key, ['heads', 'defaults']));
  }
  if (top === undefined) file.done();
  if (list === undefined) {
    file.at(file.root, () => missing('a plan lists its heads under heads:'));
    file.done();
  }
  const names = new Set<string>();
  const heads = (file.collect(() => file.items(list, 'heads')) ?? []).map((node): PlannedHead => {
    const own: Entry = { options: {}, fit: {} };
    let name: string | undefined;
    for (const entry of file.collect(() => file.entries(node, 'a head')) ?? []) {
      const [key, , value] = entry;
      if (key !== 'name') take(file, own, entry);
      else name = file.at(value, () => checkName(file.text(value, 'name'))) ?? '';
    }
    if (name === undefined) file.at(node, () => missing('a head needs a name'));
    // macOS and Windows would put names that differ in case alone into one folder.
    if (name && names.has(name.toLowerCase())) file.at(node, () => missing(`two heads are called ${name}`));
    names.add((name ?? '').toLowerCase());
    const options = withoutIdleDefaults(defaults.options, own.options);
    const fit = { ...defaults.fit, ...own.fit };
    file.at(node, () => [resolveOptions(options), checkEffect(options), resolveFit(fit)]);
    return { name: name ?? '', ...defaults, ...own, options, fit };
  });
  if (heads.length === 0) file.at(list, () => missing('a plan needs a head at least'));
  file.done();
  return { heads };
}

/** What holds for all heads is left out of those where it has no effect. */
function withoutIdleDefaults(defaults: HeadOptions, own: HeadOptions): HeadOptions {
  const useful = withoutIdle({ ...defaults, ...own });
  return { ...useful, ...own };
}

function missing(message: string): never {
  throw new UsageError(message);
}

const unknownKey = (key: string, known: readonly string[]): never =>
  missing(`${key} is none of ${known.join(' and ')}`);

/**
 * Reads a plan of a sweep: `grid`, option names with lists of values or ranges (`log:1e-5..1e-2:7`); `random`, the number of heads
 * to draw; and, for all heads, `labels`, `task` and options by their names.
 * @throws DataError when the file cannot be read, UsageError with the line for what it holds
 */
export async function readSweepPlan(path: string): Promise<SweepPlan> {
  const file = await YamlFile.read(path);
  const common: Entry = { options: {}, fit: {} };
  let space: Space = {};
  let random: number | undefined;
  for (const entry of file.collect(() => file.entries(file.root, 'a plan of a sweep')) ?? []) {
    const [key, keyNode, value] = entry;
    if (key === 'random') {
      random = file.at(value ?? keyNode, () => checkValue(RANDOM, file.value(value)) as number);
    } else if (key === 'grid') {
      for (const [text, textNode, node] of file.collect(() => file.entries(value ?? keyNode, 'grid')) ?? []) {
        const name = file.at(textNode, () => optionNamed(text));
        const axis = name === undefined ? undefined : axisOf(file, name, node ?? textNode);
        if (name !== undefined && axis !== undefined) space = { ...space, [name]: axis };
      }
    } else {
      take(file, common, entry);
    }
  }
  file.done();
  if (Object.keys(space).length === 0) file.at(file.root, () => missing('a plan of a sweep lists options under grid:'));
  file.done();
  return { ...common, space, ...(random === undefined ? {} : { random }) };
}

function axisOf(file: YamlFile, name: keyof HeadOptions, node: unknown): Axis | undefined {
  const given = file.at(node, () => ({ value: file.value(node) }));
  if (given === undefined) return undefined;
  const { value } = given;
  if (typeof value === 'string') return file.at(node, () => axisFromText(name, value));
  if (!isSeq(node)) return file.at(node, () => ({ values: [checkOption(name, value)] }));
  const items = file.items(node, name);
  if (items.length === 0) return file.at(node, () => missing(`${name} lists no values`));
  return { values: items.map((item) => file.at(item, () => checkOption(name, file.value(item)))) };
}
