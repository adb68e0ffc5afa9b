import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { train } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { FeatureSet } from '../../src/store/index.js';
import { fixture } from '../helpers/fixtures.js';
import { classOf, IMAGES, LABEL_KINDS, type LabelKind, type Says } from '../helpers/label-kinds.js';
import { folder, MAKER, spec } from '../helpers/store.js';

const D = 8;
const picture = readFileSync(fixture('images/rgb.jpg'));
/** Bytes after the end of a JPEG make another content of it. */
const bytesOf = (image: string): Buffer => Buffer.concat([picture, Buffer.from(image)]);

async function cacheIn(dir: string): Promise<{ cache: string; features: string }> {
  const cache = path.join(dir, 'cache');
  const set = await FeatureSet.create(cache, 'kinds', spec(D));
  const writer = set.writer(MAKER);
  const random = new Random('label kinds');
  for (const image of IMAGES) {
    const x = Float32Array.from({ length: D }, () => random.normal() + (classOf(image) === 'ants' ? 1 : 0));
    await writer.add(createHash('sha256').update(bytesOf(image)).digest(), x);
  }
  await writer.close();
  return { cache, features: set.dir };
}

function layOut(dir: string, { files = {}, place = (image) => image }: LabelKind): void {
  const write = (name: string, bytes: string | Uint8Array): void => {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    writeFileSync(path.join(dir, name), bytes);
  };
  for (const image of IMAGES) write(place(image), bytesOf(image));
  for (const [name, bytes] of Object.entries(files)) write(name, bytes);
}

test(`${LABEL_KINDS.length} kinds of labels: those that say the same end in the same head, and each says how it was understood`, async (t) => {
  const dir = await folder(t);
  const stored = await cacheIn(dir);
  const heads = new Map<Says, { kind: string; identity: unknown; model: string; classes: unknown }>();
  for (const [i, kind] of LABEL_KINDS.entries()) {
    const data = path.join(dir, `data ${i}`);
    layOut(data, kind);
    const [file] = Object.keys(kind.files ?? {});
    const told: string[] = [];
    const { dir: head } = await train({
      ...stored,
      data,
      out: path.join(dir, `head ${i}`),
      ...(kind.found || file === undefined ? {} : { labels: path.join(data, file) }),
      optimizer: 'lbfgs',
      l2: 0.1,
      bootstrap: 0,
      onLabels: (line) => told.push(line),
      ...kind.options,
    }).catch((error: unknown) => {
      throw new Error(`${kind.name}: ${error}`, { cause: error });
    });
    assert.equal(told.length, 1, kind.name);
    const info = JSON.parse(readFileSync(path.join(head, 'head.json'), 'utf8'));
    const model = createHash('sha256')
      .update(readFileSync(path.join(head, 'head.onnx')))
      .digest('hex');
    const found = { identity: info.identity, model, classes: info.classes };
    const first = heads.get(kind.says);
    if (first === undefined) heads.set(kind.says, { kind: kind.name, ...found });
    else assert.deepEqual({ kind: first.kind, ...found }, first, `${kind.name}: ${told[0]}`);
  }
  assert.equal(new Set([...heads.values()].map(({ model }) => model)).size, 4);
  assert.ok(LABEL_KINDS.length >= 40);
});
