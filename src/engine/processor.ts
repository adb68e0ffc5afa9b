import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** What kernels are chosen by. */
export interface Processor {
  readonly model: string;
  /** Its instruction sets, as Linux names them, in order; empty where the system does not tell. */
  readonly flags: readonly string[];
}

let known: Processor | undefined;

/** The processor that this process runs on. */
export function processor(): Processor {
  known ??= { model: `${process.platform} ${process.arch} ${cpus()[0]?.model ?? ''}`.trim(), flags: flags() };
  return known;
}

function flags(): string[] {
  try {
    const [, list = ''] = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1')) ?? [];
    return list.split(' ').sort();
  } catch {
    return [];
  }
}
