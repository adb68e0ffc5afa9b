import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  ClassifyOptions,
  CompactSetsOptions,
  CompareOptions,
  EstimateOptions,
  EvaluateOptions,
  ExplainOptions,
  ExportOptions,
  ExportSetOptions,
  FeaturesOptions,
  GcOptions,
  ImportSetOptions,
  MapsOptions,
  MigrateOptions,
  PredictOptions,
  ReportOptions,
  SampleOptions,
  SummaryOptions,
  SweepOptions,
  TrainOptions,
  TrainPlanOptions,
  VerifyOptions,
  WorkerOptions,
} from '../../src/index.js';
import type { CommandName } from '../../src/options/commands.js';
import type { Option } from '../../src/options/table.js';

/** Options of a command by the table. Written out, so that a row without a member, or a member without a row, does not compile. */
type RowsOf<Command extends CommandName, Row = Option> = Row extends { readonly commands: readonly (infer C)[] }
  ? Command extends C
    ? Row extends { readonly only: 'command line' }
      ? never
      : Row
    : never
  : never;
type NameOf<Row> = Row extends { readonly name: infer Name } ? Name : never;

/** What a rule of the table makes of a value; `unknown` where the interface says more. */
type ValueOf<Row> = Row extends { readonly type: 'number' | 'duration' | 'bytes' }
  ? number
  : Row extends { readonly type: 'switch' }
    ? boolean
    : Row extends { readonly type: 'text' }
      ? string
      : Row extends { readonly type: 'choice'; readonly choices: readonly (infer Choice)[] }
        ? Choice | (Row extends { readonly orShare: true } ? number : never)
        : unknown;
type Null<Row> = Row extends { readonly nullable: true } ? null : never;

type Same<A, B> = [A] extends [B]
  ? [B] extends [A]
    ? true
    : { readonly extra: Exclude<B, A> }
  : { readonly extra: Exclude<A, B> };
/** true where names are the same and each value has the type that its row gives it. */
type Agrees<Command extends CommandName, Options> =
  Same<NameOf<RowsOf<Command>>, keyof Options> extends true
    ? {
        [Name in keyof Options]-?: unknown extends ValueOf<Extract<RowsOf<Command>, { readonly name: Name }>>
          ? true
          : Same<
              | ValueOf<Extract<RowsOf<Command>, { readonly name: Name }>>
              | Null<Extract<RowsOf<Command>, { readonly name: Name }>>,
              Exclude<Options[Name], undefined>
            >;
      }[keyof Options]
    : Same<NameOf<RowsOf<Command>>, keyof Options>;

test('the table and the interfaces of the library have the same options of the same types', () => {
  const agrees: {
    readonly sample: Agrees<'sample', SampleOptions>;
    readonly features: Agrees<'features', FeaturesOptions>;
    readonly train: Agrees<'train', TrainOptions>;
    readonly plan: Agrees<'train plan', TrainPlanOptions>;
    readonly sweep: Agrees<'sweep', SweepOptions>;
    readonly predict: Agrees<'predict', PredictOptions>;
    readonly evaluate: Agrees<'evaluate', EvaluateOptions>;
    readonly explain: Agrees<'explain', ExplainOptions>;
    readonly compareHeads: Agrees<'heads compare', CompareOptions>;
    readonly report: Agrees<'report', ReportOptions>;
    readonly worker: Agrees<'worker', WorkerOptions>;
    readonly estimate: Agrees<'estimate', EstimateOptions>;
    readonly classify: Agrees<'classify', ClassifyOptions>;
    readonly maps: Agrees<'maps', MapsOptions>;
    readonly summary: Agrees<'summary', SummaryOptions>;
    readonly export: Agrees<'export', ExportOptions>;
    readonly verify: Agrees<'cache verify', VerifyOptions>;
    readonly compact: Agrees<'cache compact', CompactSetsOptions>;
    readonly gc: Agrees<'cache gc', GcOptions>;
    readonly exportSet: Agrees<'cache export', ExportSetOptions>;
    readonly importSet: Agrees<'cache import', ImportSetOptions>;
    readonly migrate: Agrees<'cache migrate', MigrateOptions>;
  } = {
    ...{
      sample: true,
      features: true,
      train: true,
      plan: true,
      sweep: true,
      predict: true,
      evaluate: true,
      explain: true,
      compareHeads: true,
      report: true,
      worker: true,
      estimate: true,
      classify: true,
      maps: true,
    },
    ...{ summary: true, export: true, verify: true, compact: true, gc: true, exportSet: true, importSet: true },
    migrate: true,
  };
  assert.ok(Object.values(agrees).every((one) => one === true));
});
