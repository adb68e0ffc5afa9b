import assert from 'node:assert/strict';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { FeatureSet } from '../../src/index.js';
import { Random } from '../../src/random.js';
import { permafrost, start } from '../helpers/cli.js';
import { fixture } from '../helpers/fixtures.js';

const work = mkdtempSync(path.join(tmpdir(), 'permafrost-test-'));
after(() => rmSync(work, { recursive: true }));
const json = (text: string) => JSON.parse(text);
const sets = (cache: string): string[] =>
  existsSync(path.join(work, cache))
    ? readdirSync(path.join(work, cache)).filter((name) => /-[0-9a-f]{12}$/.test(name))
    : [];

/** Everything a set maps: hash to vector bits. */
async function contents(dir: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const set = await FeatureSet.open(dir);
  for await (const { rows, keys, vectors } of set.batches()) {
    for (let i = 0; i < rows; i++) {
      const d = set.spec.features;
      const bits = Buffer.from(vectors.slice(i * d, (i + 1) * d).buffer).toString('hex');
      found.set(Buffer.from(keys.subarray(i * 32, (i + 1) * 32)).toString('hex'), bits);
    }
  }
  return found;
}

describe('from pictures to predictions', () => {
  before(async () => {
    const { code, stdout } = await permafrost(['sample', '--json', '--quiet'], work);
    assert.equal(code, 0);
    assert.deepEqual(json(stdout), {
      dir: path.join(work, 'data/sample'),
      images: 400,
      train: 300,
      val: 100,
      classes: ['defect', 'ok'],
    });
  });

  test('features, again, train, predict', async () => {
    const args = ['features', '--data', 'data/sample', '--json'];
    const first = await permafrost(args, work);
    assert.equal(first.code, 0, first.stderr);
    const result = json(first.stdout);
    assert.deepEqual(
      {
        dim: result.dim,
        images: result.images,
        extracted: result.extracted,
        reused: result.reused,
        quarantined: result.quarantined,
      },
      { dim: 512, images: 400, extracted: 400, reused: 0, quarantined: 0 },
    );
    assert.ok(result.imagesPerSecond > 1 && path.isAbsolute(result.dir));
    assert.match(first.stderr, /400 images: 400 extracted/);

    const second = json((await permafrost([...args, '--quiet'], work)).stdout);
    assert.deepEqual([second.extracted, second.reused, second.imagesPerSecond], [0, 400, 0]);
    assert.equal(readdirSync(result.dir).filter((name) => name.endsWith('.arrow')).length, 1);

    // Stage two opens no base: its kept copy may be gone.
    renameSync(path.join(work, 'cache/bases'), path.join(work, 'bases-away'));
    mkdirSync(path.join(work, 'cache/bases'));
    for (const name of readdirSync(path.join(work, 'bases-away')).filter((file) => file.startsWith('_opened'))) {
      copyFileSync(path.join(work, 'bases-away', name), path.join(work, 'cache/bases', name));
    }
    const trained = await permafrost(['train', '--data', 'data/sample', '--name', 'first', '--json'], work);
    assert.equal(trained.code, 0, trained.stderr);
    const head = json(trained.stdout);
    assert.deepEqual(
      [head.head, head.task, head.classes, head.train, head.val],
      ['first', 'binary', ['defect', 'ok'], 300, 100],
    );
    assert.equal(head.majority, 0.5);
    assert.ok(head.metrics.accuracy >= 0.85, `accuracy ${head.metrics.accuracy}`);
    assert.match(trained.stderr, /accuracy 9\d|8\d/);
    // The sample ends by patience at the defaults; nothing says that it would have gone on.
    assert.deepEqual([head.end, head.chosen, head.commonest], ['patience', ['epoch', 'threshold'], 'defect']);
    assert.doesNotMatch(trained.stderr, /not converged/);
    assert.match(trained.stderr, /^splits train 300, val 100 from folders; classes defect, ok$/m);
    assert.match(trained.stderr, /^these images also chose the epoch and the threshold, so expect a little less/m);
    const short = await permafrost(['train', '--data', 'data/sample', '--name', 'short', '--epochs', '3'], work);
    assert.match(short.stderr, /^not converged: the loss was still falling at epoch 3, the last: give more --epochs/m);

    const again = json(
      (await permafrost(['train', '--data', 'data/sample', '--name', 'second', '--json'], work)).stdout,
    );
    assert.deepEqual(again.metrics, head.metrics);
    for (const file of ['head.json', 'head.onnx']) {
      const of = (name: string) => readFileSync(path.join(work, 'cache/heads', name, file));
      assert.deepEqual(of('first'), of('second'), 'the same input gives the same bytes');
    }

    const images = ['data/sample/val/defect/150.jpg', 'data/sample/val/ok'];
    const stored = await permafrost(['predict', ...images, '--head', 'first', '--quiet'], work);
    assert.equal(stored.code, 0, 'vectors that are stored need no base');
    rmSync(path.join(work, 'cache/bases'), { recursive: true });
    renameSync(path.join(work, 'bases-away'), path.join(work, 'cache/bases'));

    const predicted = await permafrost(['predict', ...images, '--head', 'first', '--json', '--quiet'], work);
    assert.equal(predicted.code, 0, predicted.stderr);
    const lines = predicted.stdout.trim().split('\n').map(json);
    assert.equal(lines.length, 51);
    assert.equal(lines[0].path, images[0]);
    const right = lines.slice(1).filter(({ label }) => label === 'ok').length;
    assert.ok(right >= 40, `${right} of 50 ok`);
    for (const { label, score, scores } of lines) {
      assert.deepEqual(
        scores.map((one: { label: string }) => one.label),
        ['defect', 'ok'],
      );
      assert.equal(score, scores.find((one: { label: string }) => one.label === label).score);
      assert.ok(Math.abs(scores[0].score + scores[1].score - 1) < 1e-6);
    }
    const plain = await permafrost(['predict', images[0] as string, '--head', 'cache/heads/first'], work);
    assert.match(plain.stdout, /^data\/sample\/val\/defect\/150\.jpg\t(defect|ok)\t[01]\.\d{4}\n$/);
  });

  test('a moved cache keeps working, an added image costs one run', async () => {
    renameSync(path.join(work, 'cache'), path.join(work, 'moved'));
    copyFileSync(fixture('images/rgb.jpg'), path.join(work, 'data/sample/val/ok/new.jpg'));
    copyFileSync(fixture('images/rgb.jpg'), path.join(work, 'data/sample/val/ok/twin.jpg'));
    const args = ['--data', 'data/sample', '--cache', 'moved', '--json', '--quiet'];
    const missing = await permafrost(['train', ...args], work);
    assert.equal(missing.code, 1);
    assert.match(missing.stderr, /2 of 402 labelled images have no vectors|1 of 402 labelled images have no vectors/);
    assert.match(missing.stderr, /run permafrost features --data data\/sample --base xception-mini --cache moved/);
    const result = json((await permafrost(['features', ...args], work)).stdout);
    assert.deepEqual([result.images, result.extracted, result.reused], [402, 1, 400]);
    assert.equal((await permafrost(['train', ...args], work)).code, 0);
    rmSync(path.join(work, 'data/sample/val/ok/new.jpg'));
    rmSync(path.join(work, 'data/sample/val/ok/twin.jpg'));
    renameSync(path.join(work, 'moved'), path.join(work, 'cache'));
  });

  test('batch size and threads do not change a bit of the vectors', async () => {
    const [name = ''] = sets('cache');
    const whole = await contents(path.join(work, 'cache', name));
    for (const [cache, ...flags] of [
      ['one', '--batch-size', '1', '--threads', '1'],
      ['seven', '--batch-size', '7', '--threads', '2'],
    ]) {
      const result = await permafrost(
        ['features', '--data', 'data/sample/val', '--cache', cache as string, '--quiet', ...flags],
        work,
      );
      assert.equal(result.code, 0, result.stderr);
      const part = await contents(path.join(work, cache as string, name));
      assert.equal(part.size, 100);
      for (const [key, bits] of part) assert.equal(bits, whole.get(key));
    }
  });

  test('kill -9 in the middle, then the same command: a set equal to an undisturbed one', async () => {
    const count = 4000;
    mkdirSync(path.join(work, 'many'));
    const random = new Random('kill');
    for (let i = 0; i < count; i++) {
      const raw = Buffer.from(Array.from({ length: 8 * 8 * 3 }, () => random.below(256)));
      await sharp(raw, { raw: { width: 8, height: 8, channels: 3 } })
        .png()
        .toFile(path.join(work, `many/${i}.png`));
    }
    const args = ['features', '--data', 'many', '--input-size', '48', '--quiet', '--json'];
    const parts = () => {
      const [set] = sets('killed');
      return set === undefined
        ? []
        : readdirSync(path.join(work, 'killed', set)).filter((file) => file.startsWith('part-'));
    };
    // On a slow disk the last part may follow the first at once: then it is done before it can be killed, and is begun again.
    for (let attempt = 0; attempt < 5; attempt++) {
      rmSync(path.join(work, 'killed'), { recursive: true, force: true });
      const child = start([...args, '--cache', 'killed'], work);
      const closed = new Promise((resolve) => child.on('close', resolve));
      while (parts().length < 1 && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 2));
      child.kill('SIGKILL');
      await closed;
      if (child.signalCode === 'SIGKILL' && parts().length < Math.ceil(count / 1024)) break;
    }
    const [set = ''] = sets('killed');
    const dir = path.join(work, 'killed', set);
    const saved = (await contents(dir)).size;
    assert.ok(saved >= 1024 && saved < count, `${saved} saved`);
    const again = json((await permafrost([...args, '--cache', 'killed'], work)).stdout);
    assert.deepEqual([again.extracted, again.reused], [count - saved, saved]);
    const undisturbed = json((await permafrost([...args, '--cache', 'undisturbed'], work)).stdout);
    assert.equal(undisturbed.extracted, count);
    assert.deepEqual(await contents(dir), await contents(undisturbed.dir));
    assert.ok(readdirSync(dir).every((file) => !file.startsWith('_tmp-')));
  });

  test('cache ls and verify: a flipped byte is found, and repaired by extracting its images again', async () => {
    const [set = ''] = sets('cache');
    const listed = await permafrost(['cache', 'ls'], work);
    assert.match(listed.stdout, new RegExp(`^${set}: 40\\d images x 512, \\d parts?, .* onnx `));
    const sound = await permafrost(['cache', 'verify', set], work);
    assert.equal(sound.code, 0, sound.stderr);
    const dir = path.join(work, 'cache', set);
    const before = await contents(dir);
    const merged = json((await permafrost(['cache', 'compact', '--json', '--quiet'], work)).stdout);
    assert.deepEqual([merged[0].set, merged[0].parts], [set, { before: 2, after: 1 }]);
    assert.deepEqual(await contents(dir), before);
    const parts = readdirSync(dir).filter((name) => name.startsWith('part-'));
    const [largest = ''] = parts.sort((a, b) => statSync(path.join(dir, b)).size - statSync(path.join(dir, a)).size);
    const bytes = readFileSync(path.join(dir, largest));
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
    writeFileSync(path.join(dir, largest), bytes);
    const found = await permafrost(['cache', 'verify', '--json'], work);
    assert.equal(found.code, 1);
    assert.match(found.stderr, /to be extracted again: 40\d images.*1 damaged part: permafrost cache verify --repair/s);
    assert.deepEqual(json(found.stdout)[0].damaged[0].part, largest);
    const trained = await permafrost(['train', '--data', 'data/sample'], work);
    assert.equal(trained.code, 1);
    assert.match(trained.stderr, new RegExp(`the part ${largest} is damaged`));
    assert.equal((await permafrost(['cache', 'verify', '--repair'], work)).code, 0);
    await permafrost(['features', '--data', 'data/sample', '--quiet'], work);
    const after = await contents(dir);
    for (const [key, bits] of after) assert.equal(bits, before.get(key));
    assert.ok(after.size >= 400);
    assert.equal((await permafrost(['cache', 'verify'], work)).code, 0);
  });

  test('cache export and import: the same vectors in another cache', async () => {
    const [set = ''] = sets('cache');
    const out = path.join(work, 'set.parquet');
    const exported = await permafrost(['cache', 'export', set, '--out', out, '--json'], work);
    assert.equal(exported.code, 0, exported.stderr);
    const spec = path.join(work, 'cache', set, '_set.json');
    const args = ['cache', 'import', out, '--cache', 'brought', '--name', 'mine', '--spec', spec, '--json'];
    const imported = await permafrost(args, work);
    assert.equal(imported.code, 0, imported.stderr);
    const { added, dir } = json(imported.stdout);
    assert.equal(added, json(exported.stdout).images);
    assert.match(path.basename(dir), /^mine-/);
    assert.deepEqual(await contents(dir), await contents(path.join(work, 'cache', set)));
    assert.match((await permafrost(['cache', 'ls', '--cache', 'brought'], work)).stdout, /import parquet, used 20/);
  });

  test('cache gc shows what would go, and takes it out when told', async () => {
    const shown = await permafrost(['cache', 'gc', '--cache', 'seven', '--max-size', '0kB', '--json'], work);
    assert.equal(shown.code, 0, shown.stderr);
    assert.equal(json(shown.stdout).inUse.length + json(shown.stdout).garbage.length > 0, true);
    const [set = ''] = sets('seven');
    const old = new Date(Date.now() - 3_600_000);
    for (const name of readdirSync(path.join(work, 'seven', set)))
      utimesSync(path.join(work, 'seven', set, name), old, old);
    const dry = await permafrost(['cache', 'gc', '--cache', 'seven', '--older-than', '30m'], work);
    assert.match(dry.stderr, new RegExp(`would go: set ${set}, .*; --yes does it`, 's'));
    assert.deepEqual(sets('seven'), [set]);
    const done = await permafrost(['cache', 'gc', '--cache', 'seven', '--older-than', '30m', '--yes'], work);
    assert.match(done.stderr, /removed: base .* no set and no head needs it/);
    assert.deepEqual(sets('seven'), []);
  });

  for (const [name, exit] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    test(`${name} keeps what is done, says how much, and the next run goes on`, async () => {
      const flags = ['--batch-size', '1', '--threads', '1', '--input-size', '128'];
      const args = ['features', '--data', 'data/sample', '--cache', name, ...flags];
      let said = 0;
      // How far it is after so many milliseconds depends on the machine.
      for (const wait of [600, 1200, 2500, 5000, 300]) {
        rmSync(path.join(work, name), { recursive: true, force: true });
        const child = start(args, work);
        let stderr = '';
        child.stderr.on('data', (chunk) => {
          stderr += chunk;
          if (chunk.toString().includes('features an image')) setTimeout(() => child.kill(name), wait);
        });
        const code = await new Promise((resolve) => child.on('close', resolve));
        if (code === 0) continue;
        assert.equal(code, exit, stderr);
        assert.match(stderr, /stopped: what is done is kept/);
        said = Number(/(\d+) images? of this run stored/.exec(stderr)?.[1]);
        if (said > 0) break;
      }
      const [set = ''] = sets(name);
      assert.ok(said > 0 && said < 400, `${said} stored`);
      assert.equal((await contents(path.join(work, name, set))).size, said);
      const rest = json((await permafrost([...args, '--quiet', '--json'], work)).stdout);
      assert.deepEqual([rest.reused, rest.extracted], [said, 400 - said]);
    });
  }
});

describe('bad input ends in one sentence and the right exit code', () => {
  const make = (name: string, files: Record<string, string | Buffer>): string => {
    for (const [file, content] of Object.entries(files)) {
      const target = path.join(work, name, file);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    }
    mkdirSync(path.join(work, name), { recursive: true });
    return name;
  };
  const picture = (name: string) => readFileSync(fixture(`images/${name}`));
  const tiny = readFileSync(fixture('keras/tiny.h5'));
  const archive = readFileSync(fixture('keras/tiny.keras'));

  const cases: [string, () => string[], number, RegExp][] = [
    ['no command', () => [], 2, /name a command/],
    ['an unknown command', () => ['feature'], 2, /Did you mean features|Unknown argument: feature/],
    ['an unknown flag', () => ['features', '--data', 'x', '--bas', 'xception'], 2, /Unknown argument: bas/],
    ['no data', () => ['features'], 2, /Missing required argument: data/],
    ['an unknown base', () => ['features', '--data', work, '--base', 'exception'], 2, /there is no base "exception"/],
    [
      'a number that is none',
      () => ['features', '--data', work, '--batch-size', 'many'],
      2,
      /--batch-size must be a whole number from 1 to 4096, not "many"/,
    ],
    [
      'an input size out of range',
      () => ['features', '--data', work, '--input-size', '5000'],
      2,
      /--input-size must be N or HxW, whole numbers from 1 to 4096/,
    ],
    [
      'an input size that is none',
      () => ['features', '--data', work, '--input-size', 'big'],
      2,
      /--input-size must be N or HxW/,
    ],
    [
      'a choice that is none',
      () => ['features', '--data', work, '--pooling', 'sum'],
      2,
      /--pooling must be one of avg, max, not "sum"/,
    ],
    [
      'alpha for a base without',
      () => [
        'features',
        '--data',
        make('some', { 'a/a.jpg': picture('rgb.jpg') }),
        '--base',
        'xception',
        '--alpha',
        '0.5',
      ],
      2,
      /xception has no --alpha/,
    ],
    ['no such folder', () => ['features', '--data', 'nowhere'], 1, /nowhere: there is no such folder/],
    ['an empty folder', () => ['features', '--data', make('empty', {})], 1, /empty holds no files/],
    [
      'a folder without images',
      () => ['features', '--data', make('texts', { 'a.txt': 'hello' })],
      1,
      /texts holds no images \(1 other/,
    ],
    [
      'a base file that is not there',
      () => ['features', '--data', 'some', '--base', './none.keras'],
      1,
      /none\.keras does not exist/,
    ],
    [
      'text named .h5',
      () => ['features', '--data', 'some', '--base', `${make('m', { 'text.h5': 'hello' })}/text.h5`],
      1,
      /neither a \.keras archive nor an HDF5/,
    ],
    [
      'a cut .h5',
      () => ['features', '--data', 'some', '--base', `${make('m', { 'cut.h5': tiny.subarray(0, 20_000) })}/cut.h5`],
      1,
      /cut\.h5 is damaged or cut off/,
    ],
    [
      'a cut .keras',
      () => [
        'features',
        '--data',
        'some',
        '--base',
        `${make('m', { 'cut.keras': archive.subarray(0, 30_000) })}/cut.keras`,
      ],
      1,
      /cut\.keras is damaged or cut off/,
    ],
    [
      'weights that do not fit',
      () => ['features', '--data', 'some', '--base', 'mobilenet', '--weights', fixture('keras/flat.h5')],
      1,
      /holds weights of 3 layers, the architecture has 54/,
    ],
    [
      'an unknown preprocessing',
      () => ['features', '--data', 'some', '--base', fixture('keras/tiny.h5'), '--layer', 'maps'],
      2,
      /give --preprocess/,
    ],
    [
      'a device that is absent',
      () => ['features', '--data', 'some', '--device', 'dml'],
      1,
      /device dml is not offered/,
    ],
    [
      'train before features',
      () => [
        'train',
        '--data',
        make('two', { 'a/a.jpg': picture('rgb.jpg'), 'b/b.png': picture('grey.png') }),
        '--cache',
        'fresh',
      ],
      1,
      /there are no features of xception-mini .* run permafrost features --data two/,
    ],
    [
      'one class only',
      () => [
        'train',
        '--data',
        make('single', { 'a/a.jpg': picture('rgb.jpg') }),
        '--features',
        `cache/${sets('cache')[0]}`,
      ],
      1,
      /a only|one class|at least two|only/,
    ],
    [
      'a class without images',
      () => {
        make('two/empty', {});
        return ['train', '--data', 'two', '--features', `cache/${sets('cache')[0]}`];
      },
      1,
      /empty/,
    ],
    ['a shard that is none', () => ['features', '--data', 'some', '--shard', '3/2'], 2, /--shard must be i\/n/],
    ['a sample without images', () => ['cache', 'verify', '--sample', '3'], 2, /--sample needs --data/],
    ['an age that is none', () => ['cache', 'gc', '--older-than', '30'], 2, /--older-than must be 90m, 12h, 30d or 8w/],
    ['labels without what they are for', () => ['cache', 'gc', '--labels', 'x.csv'], 2, /goes with --unreferenced/],
    ['a set that is none', () => ['train', '--data', 'some', '--features', 'some'], 1, /is not a feature set/],
    ['a head that is not there', () => ['predict', 'some', '--head', 'none'], 1, /there is no head "none"/],
    ['an odd name', () => ['train', '--data', 'some', '--name', '../x'], 2, /a head's name is letters/],
  ];
  for (const [name, args, code, message] of cases) {
    test(name, async () => {
      const result = await permafrost(args(), work);
      assert.match(result.stderr, message);
      assert.equal(result.code, code, result.stderr);
      assert.equal(result.stdout, '');
      assert.ok(!/\n\s+at /.test(result.stderr), 'no stack trace');
      assert.equal(
        result.stderr
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('permafrost: ')).length,
        1,
        result.stderr,
      );
      assert.ok(!/unforeseen/.test(result.stderr));
    });
  }

  test('broken images cost only themselves, and are tried again when asked', async () => {
    const bomb = await sharp({
      create: { width: 12_000, height: 9_000, channels: 3, background: 'red' },
      limitInputPixels: false,
    })
      .png()
      .toBuffer();
    const jpeg = picture('rgb.jpg');
    make('mixed', {
      'good.jpg': jpeg,
      'copy.jpeg': jpeg,
      'cut.jpg': jpeg.subarray(0, 700),
      'text.png': 'hello',
      'empty.gif': '',
      'bomb.png': bomb,
      'vector.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
      unnamed: picture('grey.png'),
      'README.txt': 'hello',
      '.DS_Store': 'x',
    });
    const args = ['features', '--data', 'mixed', '--cache', 'mixed-cache', '--json'];
    const result = await permafrost(args, work);
    assert.equal(result.code, 0, result.stderr);
    const { images, extracted, quarantined, ignored, dir } = json(result.stdout);
    assert.deepEqual(
      { images, extracted, quarantined, ignored },
      { images: 8, extracted: 2, quarantined: 5, ignored: 1 },
    );
    const [aside = '', ...others] = readdirSync(dir).filter((name) => /^_quarantine-[0-9a-f]{32}\.jsonl$/.test(name));
    assert.deepEqual(others, []);
    const lines = readFileSync(path.join(dir, aside), 'utf8').trim().split('\n').map(json);
    assert.deepEqual(lines.map(({ path }) => path).sort(), [
      'bomb.png',
      'cut.jpg',
      'empty.gif',
      'text.png',
      'vector.svg',
    ]);
    for (const { stage, message } of lines)
      assert.ok(['read', 'sniff', 'decode'].includes(stage) && message.length > 5);
    const again = json((await permafrost([...args, '--quiet'], work)).stdout);
    assert.deepEqual([again.images, again.extracted, again.reused, again.quarantined], [8, 0, 2, 5]);
    writeFileSync(path.join(work, 'mixed/cut.jpg'), picture('progressive.jpg'));
    const retried = json((await permafrost([...args, '--quiet', '--retry-failed'], work)).stdout);
    assert.deepEqual([retried.images, retried.extracted, retried.reused, retried.quarantined], [8, 1, 2, 4]);
  });
});
