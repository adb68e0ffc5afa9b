import { type Arguments, parse } from '../../pipeline/arguments.js';
import type { CommandName } from '../../src/options/commands.js';

/** @returns what a command reads of the words behind it */
export const readArguments = (command: CommandName, words: readonly string[]): Arguments =>
  parse([...command.split(' '), ...words]).read();
