import { basename, dirname, resolve } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { DataError, UsageError } from '../errors.js';
import { readNamed, whyUnreadable } from '../files/index.js';
import type { Task } from '../labels/targets.js';
import { TASKS } from '../labels/task.js';
import type { HeadOptions } from '../train/option-rules.js';
import { checkOption, resolveOptions } from '../train/options.js';
import { checkFit, FIT_RULES, type FitOptions, resolveFit } from './fit-options.js';
import { type Axis, axisFromText, optionNamed, type Space } from './space.js';

/** Bytes of the largest plan that is read. */
const LARGEST = 2 ** 24;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

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
  if (NAME.test(name)) return name;
  throw new UsageError(
    `a head's name is letters, digits, dots, hyphens and underscores, found ${JSON.stringify(name)}; a folder goes with --out`,
  );
}

/** A YAML file whose faults are told with their lines. */
class YamlFile {
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
    const document = parseDocument(bytes.toString('utf8'), { lineCounter: lines, uniqueKeys: true });
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

  fault(node: unknown, message: string): UsageError {
    const { range } = (node ?? this.root ?? {}) as { range?: readonly number[] | null };
    return new UsageError(`${this.name} line ${this.lines.linePos(range?.[0] ?? 0).line}: ${message}`);
  }

  /** Runs a check; what it throws as wrong use gets the line of a node. */
  at<T>(node: unknown, check: () => T): T {
    try {
      return check();
    } catch (error) {
      if (error instanceof UsageError) throw this.fault(node, error.message);
      throw error;
    }
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

  /** @returns the plain value of a node */
  value(node: unknown): unknown {
    const followed = this.follow(node);
    return followed === null || followed === undefined ? null : (followed as Node).toJS(this.document);
  }

  text(node: unknown, what: string): string {
    const value = this.value(node);
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    throw this.fault(node, `${what} must be text, not ${JSON.stringify(value)}`);
  }

  private follow(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.document) : node;
  }
}

interface Entry {
  labels?: string;
  task?: Task;
  options: HeadOptions;
  fit: FitOptions;
}

/** Takes one entry that is common to heads and sweeps. @throws UsageError with its line */
function take(file: YamlFile, into: Entry, [key, keyNode, value]: [string, unknown, unknown]): void {
  if (key === 'labels') {
    into.labels = resolve(file.folder, file.text(value, 'labels'));
  } else if (key === 'task') {
    const task = file.text(value, 'task');
    if (!TASKS.includes(task as Task)) throw file.fault(value, `task must be one of ${TASKS.join(', ')}, not ${task}`);
    into.task = task as Task;
  } else if (Object.hasOwn(FIT_RULES, key)) {
    const name = key as keyof FitOptions;
    into.fit = { ...into.fit, [name]: file.at(value ?? keyNode, () => checkFit(name, file.value(value))) };
  } else {
    const name = file.at(keyNode, () => optionNamed(key));
    into.options = { ...into.options, [name]: file.at(value ?? keyNode, () => checkOption(name, file.value(value))) };
  }
}

/**
 * Reads a plan of heads: `heads`, a list whose entries have a `name` and where wanted `labels` (relative to the plan), `task` and
 * options of the head and of its fit by their names; `defaults`, the same for all heads that do not say otherwise.
 * @throws DataError when the file cannot be read, UsageError with the line for what it holds
 */
export async function readPlan(path: string): Promise<Plan> {
  const file = await YamlFile.read(path);
  const defaults: Entry = { options: {}, fit: {} };
  let list: unknown;
  for (const entry of file.entries(file.root, 'a plan')) {
    const [key, keyNode, value] = entry;
    if (key === 'heads') list = value;
    else if (key === 'defaults') for (const one of file.entries(value, 'defaults')) take(file, defaults, one);
    else throw file.fault(keyNode, `${key} is none of heads and defaults`);
  }
  if (list === undefined) throw file.fault(file.root, 'a plan lists its heads under heads:');
  const names = new Set<string>();
  const heads = file.items(list, 'heads').map((node): PlannedHead => {
    const head: Entry = { ...defaults };
    let name: string | undefined;
    for (const entry of file.entries(node, 'a head')) {
      const [key, , value] = entry;
      if (key !== 'name') take(file, head, entry);
      else name = file.at(value, () => checkName(file.text(value, 'name')));
    }
    if (name === undefined) throw file.fault(node, 'a head needs a name');
    if (names.has(name)) throw file.fault(node, `two heads are called ${name}`);
    names.add(name);
    file.at(node, () => [resolveOptions(head.options), resolveFit(head.fit)]);
    return { name, ...head };
  });
  if (heads.length === 0) throw file.fault(list, 'a plan needs a head at least');
  return { heads };
}

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
  for (const entry of file.entries(file.root, 'a plan of a sweep')) {
    const [key, , value] = entry;
    if (key === 'random') {
      const count = file.value(value);
      if (!Number.isInteger(count) || (count as number) < 1)
        throw file.fault(value, 'random must be a whole number from 1');
      random = count as number;
    } else if (key === 'grid') {
      for (const [text, keyNode, node] of file.entries(value, 'grid')) {
        const name = file.at(keyNode, () => optionNamed(text));
        space = { ...space, [name]: axisOf(file, name, node) };
      }
    } else {
      take(file, common, entry);
    }
  }
  if (Object.keys(space).length === 0) throw file.fault(file.root, 'a plan of a sweep lists options under grid:');
  return { ...common, space, ...(random === undefined ? {} : { random }) };
}

function axisOf(file: YamlFile, name: keyof HeadOptions, node: unknown): Axis {
  const value = file.value(node);
  if (typeof value === 'string') return file.at(node, () => axisFromText(name, value));
  if (!isSeq(node)) return { values: [file.at(node, () => checkOption(name, value))] };
  const values = file.items(node, name).map((item) => file.at(item, () => checkOption(name, file.value(item))));
  if (values.length === 0) throw file.fault(node, `${name} lists no values`);
  return { values };
}
