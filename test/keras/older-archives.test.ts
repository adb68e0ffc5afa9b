import assert from 'node:assert/strict';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, describe, test } from 'node:test';
import * as h5wasm from 'h5wasm/node';
import yazl from 'yazl';
import { ModelError } from '../../src/errors.js';
import { withArchive } from '../../src/keras/archive.js';
import { loadWeights, readModel } from '../../src/keras/index.js';
import { fixture } from '../helpers/fixtures.js';
import { assertRefusal } from '../helpers/refusals.js';

const folder = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(folder, { recursive: true }));

/** How a version of Keras calls the groups of layers: keras/src/saving/saving_lib.py of 2.12 to 2.15. */
interface Layout {
  readonly container: string;
  /** Whether a layer with weights takes two numbers of its class. */
  readonly gaps: boolean;
  /** Between the parts of a path: `\` on Windows, where all groups then stand in the first one. */
  readonly separator: string;
}

const holdsWeights = (group: h5wasm.Group): boolean =>
  group.keys().some((key) => {
    const inner = group.get(key);
    return inner instanceof h5wasm.Dataset || (inner instanceof h5wasm.Group && holdsWeights(inner));
  });

/** The weights of a file of Keras 3, called as an older version calls them. */
function rename(from: string, to: string, { container, gaps, separator }: Layout): void {
  const source = new h5wasm.File(from, 'r');
  const target = new h5wasm.File(to, 'w');
  const copy = (group: h5wasm.Group, at: string): void => {
    const made = at === '' ? target : target.create_group(at);
    const vars = group.get('vars');
    if (vars instanceof h5wasm.Group) {
      const own = made.create_group('vars');
      for (const name of vars.keys()) {
        const { value, shape } = vars.get(name) as h5wasm.Dataset;
        own.create_dataset({ name, data: value as Float32Array, shape: shape ?? [] });
      }
    }
    const layers = group.get('layers');
    if (!(layers instanceof h5wasm.Group)) return;
    const stem = (name: string): string => name.replace(/_\d+$/, '');
    const number = (name: string): number => Number(/_(\d+)$/.exec(name)?.[1] ?? 0);
    const within = at === '' ? container : `${at}${separator}${container}`;
    if (separator === '/') target.create_group(within);
    const used = new Map<string, number>();
    for (const name of layers.keys().sort((a, b) => number(a) - number(b))) {
      const layer = layers.get(name) as h5wasm.Group;
      const count = used.get(stem(name)) ?? 0;
      used.set(stem(name), count + (gaps && holdsWeights(layer) ? 2 : 1));
      copy(layer, `${within}${separator}${stem(name)}${count === 0 ? '' : `_${count}`}`);
    }
  };
  copy(source, '');
  target.close();
  source.close();
}

/** A `.keras` file with its weights called otherwise. */
async function rewritten(name: string, layout: Layout): Promise<string> {
  const file = path.join(folder, `${layout.container}${layout.gaps}${layout.separator === '/' ? '' : 'w'}_${name}`);
  await withArchive(fixture(`keras/${name}`), async ({ config, metadata, weights }) => {
    rename(weights, `${file}.h5`, layout);
    const zip = new yazl.ZipFile();
    zip.addBuffer(Buffer.from(config), 'config.json');
    zip.addBuffer(Buffer.from(metadata ?? '{}'), 'metadata.json');
    zip.addBuffer(readFileSync(`${file}.h5`), 'model.weights.h5');
    zip.end();
    await pipeline(zip.outputStream, createWriteStream(file));
  });
  return file;
}

const LAYOUTS: Record<string, Layout> = {
  '2.13': { container: '_layer_checkpoint_dependencies', gaps: true, separator: '/' },
  '2.13 on Windows': { container: '_layer_checkpoint_dependencies', gaps: true, separator: '\\' },
  '2.14': { container: '_layer_checkpoint_dependencies', gaps: false, separator: '/' },
  '2.14 on Windows': { container: '_layer_checkpoint_dependencies', gaps: false, separator: '\\' },
  '2.15': { container: 'layers', gaps: false, separator: '/' },
  '2.15 on Windows': { container: 'layers', gaps: false, separator: '\\' },
};

await h5wasm.ready;

describe('.keras files that call their weights as Keras 2 does', () => {
  for (const [version, layout] of Object.entries(LAYOUTS)) {
    test(`${version}: models within models, layers of one class with weights and without`, async () => {
      for (const name of ['tiny.keras', 'flat.keras']) {
        const [own, old] = [await readModel(fixture(`keras/${name}`)), await readModel(await rewritten(name, layout))];
        assert.deepEqual(
          old.nodes.map(({ weights }) => weights),
          own.nodes.map(({ weights }) => weights),
        );
      }
    });

    test(`${version}: as weights of an architecture`, async () => {
      const whole = await readModel(fixture('keras/flat.keras'));
      const empty = { ...whole, nodes: whole.nodes.map((node) => ({ ...node, weights: [] })) };
      const { nodes } = await loadWeights(empty, await rewritten('flat.keras', layout));
      assert.deepEqual(
        nodes.map(({ weights }) => weights),
        whole.nodes.map(({ weights }) => weights),
      );
    });
  }

  test('one layer too many of a class is refused, as its place cannot be told', async () => {
    const file = await rewritten('flat.keras', LAYOUTS['2.13'] as Layout);
    const more = new h5wasm.File(`${file}.h5`, 'a');
    more.create_group('_layer_checkpoint_dependencies/conv2d_7');
    more.close();
    const whole = await readModel(fixture('keras/flat.keras'));
    const empty = { ...whole, nodes: whole.nodes.map((node) => ({ ...node, weights: [] })) };
    await assert.rejects(loadWeights(empty, `${file}.h5`), /needs \d weights and the file holds 0/);
    await assert.rejects(readModel(`${file}.h5`), (error: Error) => {
      assertRefusal(error);
      return error instanceof ModelError;
    });
  });
});
