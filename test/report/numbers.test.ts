import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { evaluate, headInfo, type Metrics, report } from '../../src/index.js';
import { headsTable } from '../../src/report/page/compare.js';
import { permafrost } from '../helpers/cli.js';
import { trainAll, world } from '../helpers/report-world.js';
import { folder } from '../helpers/store.js';

/** What a page says a metric is: of each column of a table, the number behind the text. */
function told(page: string, section: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const [, part = ''] = page.split(`<section id="h0-${section}">`);
  const [body = ''] = part.split('</section>');
  for (const [, metric = '', value = ''] of body.matchAll(/data-metric="([^"]+)" data-value="([^"]*)"/g)) {
    found.set(metric, [...(found.get(metric) ?? []), value]);
  }
  return found;
}

const flat = (metrics: Metrics): Map<string, number | null> => {
  const all = new Map<string, number | null>();
  for (const [name, value] of Object.entries(metrics)) {
    if (typeof value === 'number' || value === null) all.set(name, value as number | null);
  }
  if ('classes' in metrics) {
    for (const [k, one] of metrics.classes.entries())
      for (const [name, value] of Object.entries(one)) all.set(`${k}.${name}`, value);
  }
  all.delete('intervals');
  return all;
};

test('a report, evaluate and head.json say the same numbers, of every kind of head; the same bytes twice', async (t) => {
  const made = await world(await folder(t), 24);
  await trainAll(made);
  const { data, cache, labels, valOf, root } = made;
  for (const [name, file] of [
    ['binary', 'binary'],
    ['many', null],
    ['odd', 'odd'],
    ['multilabel', 'multilabel'],
    ['ages', 'ages'],
  ] as const) {
    const { metrics: saved } = await headInfo(name, cache);
    assert.ok(saved);
    const common = { cache, bootstrap: 50, head: name };
    const on = file === null ? { path: path.join(data, 'val') } : { path: data, labels: valOf(file) };
    const { metrics } = await evaluate({ ...common, ...on });
    assert.deepEqual(metrics, saved, `${name}: evaluate and head.json`);
    const out = path.join(root, `${name}.html`);
    const given = {
      heads: [name],
      data,
      cache,
      bootstrap: 50,
      out,
      ...(file === null ? {} : { labels: labels(file) }),
    };
    const { bytes, images } = await report(given);
    assert.equal(images, 24);
    const page = readFileSync(out, 'utf8');
    assert.equal(Buffer.byteLength(page), bytes);
    const [numbers, classes] = [told(page, 'numbers'), told(page, 'classes')];
    let compared = 0;
    for (const [metric, value] of flat(metrics)) {
      const found = numbers.get(metric) ?? classes.get(metric);
      if (found === undefined) continue;
      compared += 1;
      for (const one of found) assert.equal(one, value === null ? '' : String(value), `${name}: ${metric}`);
    }
    assert.ok(compared >= 3, `${name}: ${compared} numbers`);
    assert.equal(numbers.get(name === 'ages' ? 'r2' : 'accuracy')?.length, 2, 'here, and at training');
    if ('confusion' in metrics && metrics.confusion.length <= 20) {
      const counts = [...page.matchAll(/<span class="count">([\d,]+)<\/span>/g)].map(([, count]) => Number(count));
      assert.deepEqual(counts, metrics.confusion.flat());
    }
    await report({ ...given, out: path.join(root, 'again.html') });
    assert.ok(readFileSync(path.join(root, 'again.html')).equals(Buffer.from(page)), `${name}: the same bytes`);
  }

  for (const [subject, name] of [
    ['wide', 'sweep'],
    [made.plan, 'plan'],
  ] as const) {
    const given = { heads: [subject], data, cache, bootstrap: 20, labels: labels('binary') };
    const [one, two] = [1, 2].map((turn) => path.join(root, `${name}-${turn}.html`)) as [string, string];
    await report({ ...given, out: one });
    await report({ ...given, out: two });
    assert.ok(readFileSync(one).equals(readFileSync(two)), `${name}: the same bytes`);
  }

  // Without images the page says what head.json says.
  const bare = path.join(root, 'bare.html');
  await report({ heads: ['binary'], cache, out: bare });
  const { metrics: saved } = await headInfo('binary', cache);
  assert.deepEqual(told(readFileSync(bare, 'utf8'), 'numbers').get('auc'), [
    String(saved !== null && 'auc' in saved ? saved.auc : ''),
  ]);

  // Numbers that were measured at different places are told apart, and none of them is the best.
  const info = await headInfo('binary', cache);
  const tables = [info, { ...info, testMetrics: info.metrics }].map((other) => {
    const heads = [info, other].map((one, i) => ({ name: `${i}`, sets: [], info: one, onData: null }));
    return headsTable(heads, [null, null]).text;
  });
  const placesOf = (text: string) => text.match(/(?:validation|test), at training/g);
  assert.deepEqual(tables.map(placesOf), [
    ['validation, at training', 'validation, at training'],
    ['validation, at training', 'test, at training'],
  ]);
  assert.deepEqual(
    tables.map((text) => text.includes('best')),
    [true, false],
  );
  const heads = Array.from({ length: 13 }, (_, k) => (k < 8 ? `plan-${k}` : `copy-${k}`));
  for (const name of heads.slice(8)) {
    cpSync(path.join(cache, 'heads/binary'), path.join(cache, 'heads', name), { recursive: true });
  }
  const bunch = path.join(root, 'bunch.html');
  await report({ heads, data, cache, out: bunch, bootstrap: 0, labels: labels('binary') });
  const [, table = ''] = readFileSync(bunch, 'utf8').split('<section id="heads">');
  assert.equal(table.match(/<td>here<\/td>/g)?.length, 12);
  assert.match(
    readFileSync(bunch, 'utf8'),
    /<p>The first 12 heads are measured on [^<]+; of the others the table has /,
  );

  // Nothing that is named can be read as markup, or leave the page.
  const odd = readFileSync(path.join(root, 'odd.html'), 'utf8');
  assert.ok(!odd.includes('</script><b>'));
  assert.ok(odd.includes('&lt;/script&gt;&lt;b&gt;'));
  assert.deepEqual(odd.match(/\bon[a-z]+="|\bstyle="|https?:(?!\/\/www\.w3\.org)/g), null);
  assert.match(odd, /<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; img-src data:; /);
});

test('wrong use of report is told in a sentence, and what a folder lacks', async (t) => {
  const root = await folder(t);
  const made = await world(root, 6);
  await trainAll(made);
  const run = (...args: string[]) => permafrost(['report', ...args], root);
  const none = await run('nothing');
  assert.equal(none.code, 1);
  assert.match(none.stderr, /there is no head "nothing" in cache\/heads: train one/);
  const idle = await run('binary', '--labels', 'binary.csv');
  assert.equal(idle.code, 2);
  assert.match(idle.stderr, /--labels belongs to --data, whose images are measured: give that too/);
  const twice = await run('binary', 'binary');
  assert.equal(twice.code, 2);
  assert.match(twice.stderr, /binary is given twice/);
  const place = await run('binary', '--out', 'data');
  assert.equal(place.code, 1);

  const both = await run('binary', 'ages', '--json');
  assert.equal(both.code, 0, both.stderr);
  assert.deepEqual(JSON.parse(both.stdout).heads, ['binary', 'ages']);
  const alike = await run('binary', 'plan-0', '--data', 'data', '--labels', 'binary.csv');
  assert.equal(alike.code, 0, alike.stderr);
  assert.equal(alike.stderr.match(/binary\.csv: CSV/g)?.length, 1, 'what two heads read alike is told once');
  assert.match(alike.stderr, /\n2 heads on 6 images, 6 pictures: 0\.\d MB -> report\.html\n$/);
  rmSync(path.join(root, 'cache/heads/plan-3'), { recursive: true });
  const plan = await run('plan.yaml', '--out', 'plan.html');
  assert.equal(plan.code, 0, plan.stderr);
  assert.match(readFileSync(path.join(root, 'plan.html'), 'utf8'), /Of this plan these are not trained yet: plan-3\./);
  rmSync(path.join(root, 'cache/heads/wide'), { recursive: true });
  const sweep = await run('wide', '--out', 'sweep.html');
  assert.equal(sweep.code, 0, sweep.stderr);
  assert.match(
    readFileSync(path.join(root, 'sweep.html'), 'utf8'),
    /The best head of this sweep is not in the cache any more/,
  );
});
