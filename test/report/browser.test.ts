import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { evaluate, features, report, sample, train } from '../../src/index.js';
import { needsChromium, openBrowser, openFile } from '../helpers/browser.js';
import { needsShared, shared } from '../helpers/fixtures.js';
import { long } from '../helpers/long.js';
import { BASE, trainAll, type World, world } from '../helpers/report-world.js';

/** Pictures of every page at every size, to be looked at, where this names a folder. */
const shots = process.env.PERMAFROST_SHOTS;
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const CLASSES = 200;

/** What axe-core finds serious or worse. */
async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run(options: object): Promise<{ violations: unknown[] }> } }).axe.run({
      resultTypes: ['violations'],
    }),
  );
  return (violations as { id: string; impact: string; nodes: { html: string }[] }[])
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

/** The files that a cell shows. */
const shownFiles = (page: Page): Promise<string[]> =>
  page.$$eval('[data-cell-images] [data-path]', (items) =>
    items.map((item) => (item as HTMLElement).dataset.path ?? ''),
  );

describe('a report, opened from disk in Chromium', needsChromium, () => {
  const root = mkdtempSync(
    path.join(tmpdir(), 'permafrostReportInAFolderWithANameSoLongThatNoNarrowScreenHoldsItWhole'),
  );
  let made: World;
  let browser: Browser;
  const files = new Map<string, string>();

  before(async () => {
    made = await world(root, CLASSES);
    await trainAll(made);
    browser = await openBrowser();
    const { data, cache, labels, plan } = made;
    for (const [name, heads, file] of [
      ['many', 'many', undefined],
      ['binary', 'binary', 'binary'],
      ['odd', 'odd', 'odd'],
      ['multilabel', 'multilabel', 'multilabel'],
      ['ages', 'ages', 'ages'],
      ['sweep', 'wide', 'binary'],
      ['plan', plan, 'binary'],
      ['bare', 'binary', null],
    ] as const) {
      const out = path.join(root, `${name}.html`);
      const given =
        file === null ? {} : { data, bootstrap: 50, ...(file === undefined ? {} : { labels: labels(file) }) };
      await report({ heads: [heads], cache, out, ...given });
      files.set(name, out);
    }
  });
  after(async () => {
    await browser?.close();
    rmSync(root, { recursive: true, force: true });
  });

  /** Nothing is complained of, nothing asked for, nothing wider than the page, and access has no serious fault. */
  async function looksRight(name: string, file: string): Promise<void> {
    assert.ok(statSync(file).size <= 3_000_000);
    const { page: open } = await openFile(browser, file, { isOpen: true });
    const { page, complaints } = await openFile(browser, file);
    for (const colorScheme of ['light', 'dark'] as const) {
      // Colours are the same on every page: in the dark two pages tell.
      if (colorScheme === 'light' || long || name === 'binary' || name === 'sweep') {
        await open.emulateMedia({ colorScheme });
        assert.deepEqual(await faults(open), [], colorScheme);
      }
      await page.emulateMedia({ colorScheme });
      for (const width of [390, 1280, 1920]) {
        await page.setViewportSize({ width, height: 900 });
        const found = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(found <= width, `${found} pixels at ${width}`);
        if (shots === undefined) continue;
        await page.screenshot({ path: path.join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
    assert.deepEqual(complaints, []);
    for (const one of [open, page]) await one.context().close();
  }

  for (const name of ['many', 'binary', 'odd', 'multilabel', 'ages', 'sweep', 'plan', 'bare']) {
    test(`${name}: it looks right, and asks for nothing`, () => looksRight(name, files.get(name) as string));
  }

  test('the sample: it looks right', async () => {
    const [data, cache, out] = [path.join(root, 'sample'), path.join(root, 'sample-cache'), path.join(root, 's.html')];
    await sample(data, { perClass: 20 });
    await features({ data, cache, base: 'xception-mini' });
    await train({ data, cache, base: 'xception-mini', name: 'sample', bootstrap: 50 });
    await report({ heads: ['sample'], data, cache, out, bootstrap: 50 });
    await looksRight('sample', out);
  });

  test('ants and bees: it looks right', needsShared, async () => {
    const [cache, out] = [path.join(root, 'real-cache'), path.join(root, 'real.html')];
    const weights = shared('real/mobilenet/mobilenet_2_5_224_tf_no_top.h5');
    const base = { data: shared('real/hymenoptera'), cache, base: 'mobilenet', alpha: 0.25, weights };
    await features(base);
    await train({ ...base, name: 'insects', bootstrap: 50 });
    await report({ heads: ['insects'], data: base.data, cache, out, bootstrap: 50 });
    await looksRight('insects', out);
  });

  test('a cell shows exactly its files, in a small matrix and in a large one', async () => {
    const { data, cache, valOf } = made;
    for (const name of ['binary', 'many']) {
      const { page } = await openFile(browser, files.get(name) as string);
      const labels = name === 'binary' ? { labels: valOf('binary') } : {};
      const at = name === 'binary' ? data : path.join(data, 'val');
      const { classes, wrong, confusion } = await evaluate({ path: at, head: name, cache, bootstrap: 0, ...labels });
      const buttons = await page.$$eval('[data-cell]', (all) =>
        all.map((one) => (one as HTMLElement).dataset.cell ?? ''),
      );
      assert.ok(buttons.length >= 4);
      for (const cell of buttons.slice(0, 12)) {
        const [is = 0, said = 0] = cell.split('-').map(Number);
        await page.click(`[data-cell="${cell}"]`);
        const shown = await shownFiles(page);
        assert.equal(shown.length, confusion?.[is]?.[said], `${name} ${cell}`);
        if (is === said) continue;
        const expected = wrong.filter((one) => one.is === classes[is] && one.label === classes[said]);
        const prefix = name === 'binary' ? '' : 'val/';
        assert.deepEqual([...shown].sort(), expected.map((one) => `${prefix}${one.path}`).sort(), `${name} ${cell}`);
      }
      await page.context().close();
    }
  });

  test('of several labels an image, the cells of each label hold its files', async () => {
    const { page } = await openFile(browser, files.get('multilabel') as string);
    const truth = new Map(
      readFileSync(made.valOf('multilabel'), 'utf8')
        .trim()
        .split('\n')
        .slice(1)
        .map((line) => line.split(',') as [string, string]),
    );
    const names = await page.$$eval('[data-choose=label] option', (all) => all.map((one) => one.textContent ?? ''));
    assert.deepEqual(names, ['blue', 'green', 'red']);
    for (const [k, name] of names.entries()) {
      await page.selectOption('[data-choose=label]', String(k));
      for (const step of [null, 20, 90]) {
        if (step !== null) {
          await page.$eval(
            'input[type=range]',
            (range, value) => {
              (range as HTMLInputElement).value = String(value);
              range.dispatchEvent(new Event('input'));
            },
            step,
          );
        }
        const counts = await page.$$eval('.confusion .matrix .count', (all) =>
          all.map((one) => Number(one.textContent)),
        );
        const seen: string[] = [];
        for (const [at, count] of counts.entries()) {
          const [is, said] = [Math.floor(at / 2), at % 2];
          await page.click(`[data-cell="${is}-${said}"]`);
          const shown = await shownFiles(page);
          assert.equal(shown.length, count, `${name} ${is}-${said}`);
          for (const file of shown) assert.equal(Number(truth.get(file)?.split('|').includes(name)), is, file);
          seen.push(...shown);
        }
        assert.deepEqual(seen.sort(), [...truth.keys()].sort());
      }
    }
    await page.context().close();
  });

  test('the slider says what evaluate says at the same threshold, and its cells hold those files', async () => {
    const { data, cache, valOf } = made;
    const { page } = await openFile(browser, files.get('binary') as string);
    const said = (name: string): Promise<string | null> => page.textContent(`[data-rate="${name}"]`);
    for (const step of [0, 123, 500, 777, 1000]) {
      await page.$eval(
        'input[type=range]',
        (range, value) => {
          (range as HTMLInputElement).value = String(value);
          range.dispatchEvent(new Event('input'));
        },
        step,
      );
      const threshold = step / 1000;
      const { metrics, confusion, wrong, images, classes } = await evaluate({
        path: data,
        head: 'binary',
        cache,
        labels: valOf('binary'),
        bootstrap: 0,
        threshold,
      });
      assert.ok('confusion' in metrics);
      const [, yes] = metrics.classes;
      assert.equal(await page.textContent('[data-threshold]'), threshold.toFixed(3));
      assert.equal(await said('accuracy'), `${(metrics.accuracy * 100).toFixed(1)} %`);
      assert.equal(await said('precision'), yes?.precision.toFixed(3));
      assert.equal(await said('recall'), yes?.recall.toFixed(3));
      assert.equal(await said('F1'), yes?.f1.toFixed(3));
      assert.equal(await said('said'), `${(confusion?.[0]?.[1] ?? 0) + (confusion?.[1]?.[1] ?? 0)} of ${images}`);
      const counts = await page.$$eval('.matrix .count', (all) => all.map((one) => Number(one.textContent)));
      assert.deepEqual(counts, confusion?.flat());
      await page.click('[data-cell="0-1"]');
      const expected = wrong.filter((one) => one.label === classes[1]).map((one) => one.path);
      assert.deepEqual((await shownFiles(page)).sort(), expected.sort());
    }
    await page.context().close();
  });

  test('where a linear head looks lies over its mistakes until it is taken away; of others the page says why not', async () => {
    const { page } = await openFile(browser, files.get('binary') as string);
    const shown = (): Promise<number> => page.locator('#h0-mistakes .heat-over:visible').count();
    const pictures = await page.locator('#h0-mistakes .gallery li').count();
    assert.ok(pictures > 0);
    assert.equal(await shown(), pictures);
    const boxes = await page.$$eval('#h0-mistakes .shown', (all) =>
      all.map((one) => [...one.querySelectorAll('img')].map((image) => image.getBoundingClientRect().x)),
    );
    for (const [under, over] of boxes) assert.equal(over, under);
    await page.uncheck('#h0-mistakes .look input');
    assert.equal(await shown(), 0);
    await page.context().close();
    const hidden = path.join(root, 'hidden.html');
    const { data, cache, labels } = made;
    await train({
      ...BASE,
      data,
      cache,
      labels: labels('binary'),
      name: 'hidden',
      hidden: [4],
      epochs: 3,
      bootstrap: 0,
    });
    await report({ heads: ['hidden'], cache, out: hidden, data, labels: labels('binary'), bootstrap: 0 });
    assert.match(readFileSync(hidden, 'utf8'), /Where it looks is not shown: this head has hidden layers \(4\)/);
  });

  test('a table is sorted by a click, numbers by size and back', async () => {
    const { page } = await openFile(browser, files.get('sweep') as string);
    const names = await page.$$eval('#sweep thead th', (all) => all.map((one) => one.textContent));
    const k = names.indexOf('accuracy') + 1;
    assert.ok(k > 0, names.join());
    const column = (): Promise<number[]> =>
      page.$$eval(`#sweep tbody tr > :nth-child(${k})`, (all) =>
        all.map((one) => Number((one as HTMLElement).dataset.value)),
      );
    const before = await column();
    assert.equal(before.length, 64);
    for (const [order, sign] of [
      ['descending', -1],
      ['ascending', 1],
    ] as const) {
      await page.click(`#sweep thead th:nth-child(${k}) button`);
      assert.deepEqual(
        await column(),
        [...before].sort((a, b) => sign * (a - b)),
      );
      assert.equal(await page.getAttribute(`#sweep thead th:nth-child(${k})`, 'aria-sort'), order);
    }
    await page.context().close();
  });

  test('pointing at a vector shows its picture and name', async () => {
    const { page } = await openFile(browser, files.get('binary') as string);
    const drawing = page.locator('.map > svg');
    await drawing.scrollIntoViewIfNeeded();
    const points = JSON.parse((await page.textContent('[data-points]')) ?? '[]') as number[][];
    assert.equal(points.length, CLASSES);
    const box = await drawing.boundingBox();
    assert.ok(box);
    const [, x = 0, y = 0] = points[5] ?? [];
    await page.mouse.move(box.x + (x / 800) * box.width, box.y + (y / 460) * box.height);
    assert.match((await page.textContent('.tip')) ?? '', /^val\/class-\d+\/2\.png$/);
    assert.equal(await page.locator('.tip img').count(), 1);
    await page.context().close();
  });

  test('a report without images has neither pictures nor sliders', async () => {
    const { page } = await openFile(browser, files.get('bare') as string);
    assert.equal(await page.locator('img, [data-cell], input').count(), 0);
    assert.equal(await page.locator('.matrix td').count(), 4);
    await page.context().close();
  });
});
