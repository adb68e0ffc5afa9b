import type { Engine, LoadOptions, OnnxProgram, Runner } from '../engine/engine.js';
import { compile } from '../engine/onnx/compile.js';
import { EngineError } from '../errors.js';
import { OWN_IMPORTS } from '../formats/onnx/write.js';
import type { Graph, Op } from '../graph/graph.js';
import { append, prepend, resize } from '../graph/passes.js';
import { int8Program } from '../quantize/index.js';
import { type Base, layerGraph } from './base.js';
import { splice } from './onnx/index.js';
import { preprocessingOps } from './preprocess.js';

/** What stands before a base and after it: preprocessing and pooling, as layers. */
export function surroundings({ spec }: Base) {
  const pooled = spec.pooling === 'max' ? 'GlobalMaxPooling2D' : 'GlobalAveragePooling2D';
  const after: { name: string; op: Op }[] =
    spec.pooling === null ? [] : [{ name: '\0pooling', op: { kind: pooled, keepdims: false } }];
  const modes = preprocessingOps(spec.preprocess, spec.input.channels);
  return { before: modes.map(({ name, op }) => ({ name: `\0${name}`, op })), after };
}

/**
 * The graph that stage one runs: raw pixels (0 to 255, `[n, height, width, channels]`) in, one vector an image out.
 * @throws ModelError when the spec does not fit the graph, or the base is an ONNX model
 */
export function vectorGraph(base: Base): Graph {
  const { height, width } = base.spec.input;
  const { before, after } = surroundings(base);
  return append(prepend(resize(layerGraph(base), height, width), before), after);
}

/**
 * The ONNX program of a base: raw pixels in, vectors out.
 * @param optimize whether an int8 program is one that runs faster and gives the same. Default true.
 * @throws CacheError where its int8 calibration belongs to another program
 */
export function onnxProgram(base: Base, input: 'float32' | 'uint8', optimize = true): OnnxProgram {
  const program = floatProgram(base, input);
  return base.calibration === undefined ? program : int8Program(program, base.calibration, optimize);
}

/** As `onnxProgram`, in float32 whatever the precision of the base. */
export function floatProgram(base: Base, input: 'float32' | 'uint8'): OnnxProgram {
  if (base.model.kind === 'layers') {
    return { graph: compile(vectorGraph(base), { input }).graph, imports: OWN_IMPORTS, batched: true };
  }
  const { before, after } = surroundings(base);
  return splice(base.model.onnx, before, after, input);
}

/**
 * Loads a base in an engine: raw pixels in, vectors out.
 * @throws EngineError where the engine cannot run such a base, or its device is absent
 */
export async function loadBase(
  base: Base,
  engine: Engine,
  options: LoadOptions & { readonly input: 'float32' | 'uint8' },
): Promise<Runner> {
  const isInt8 = base.calibration !== undefined;
  if (base.model.kind === 'layers' && !isInt8) return engine.load(vectorGraph(base), options);
  if (!engine.loadOnnx) {
    const what = isInt8 ? `int8 bases` : `ONNX models`;
    throw new EngineError(`the ${engine.name} engine does not run ${what} such as ${base.name}: use --engine onnx`);
  }
  return engine.loadOnnx(onnxProgram(base, options.input, options.optimize), options);
}
