import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { features, sample, train } from '../src/index.js';
import { tell } from './tables.js';

// A report of a head on 5,000 labelled images that it has not seen: seconds of the whole command, which makes the small pictures the first
// time, and megabytes of the page.

const cli = path.join(path.dirname(fileURLToPath(import.meta.url)), '../pipeline/cli.js');
const IMAGES = Number(process.env.IMAGES ?? 5000);
const RUNS = 4;

const root = mkdtempSync(path.join(tmpdir(), 'permafrost-report-'));
try {
  const [known, data, cache, out] = ['known', 'data', 'cache', 'report.html'].map((name) => path.join(root, name)) as [
    string,
    string,
    string,
    string,
  ];
  await sample(known, { perClass: 100, seed: 1 });
  await sample(data, { perClass: IMAGES / 2, seed: 2 });
  for (const one of [known, data]) await features({ data: one, cache, base: 'xception-mini' });
  await train({ data: known, cache, base: 'xception-mini', name: 'head' });
  const [times, sizes]: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run++) {
    const started = performance.now();
    const args = ['report', 'head', '--data', data, '--cache', cache, '--out', out];
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    times.push((performance.now() - started) / 1000);
    sizes.push(statSync(out).size / 1e6);
  }
  const common = { command: 'node dist/bench/report.js', over: [], versions: {} };
  const text = 'A head judged on images that it has not seen, whose vectors are stored.';
  const name = `${IMAGES.toLocaleString('en')} images`;
  const [first, ...others] = times as [number, ...number[]];
  const rows = [
    { name: `${name}, the small pictures made by it`, values: [first] },
    { name: `${name}, the small pictures ready`, values: others },
  ];
  tell({ ...common, title: 'A report', text, unit: 's', rows });
  tell({ ...common, title: 'Its page', text: 'The HTML file.', unit: 'MB', rows: [{ name, values: sizes }] });
} finally {
  rmSync(root, { recursive: true, force: true });
}
