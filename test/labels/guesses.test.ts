import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelReader, refused } from '../helpers/label-files.js';

const ages = Array.from({ length: 40 }, (_, i) => `${i}.jpg`);
const read = labelReader('a.jpg', 'b.jpg', 'c.jpg', 'd.jpg');
const readAges = labelReader(...ages);
const agesWith = (cell: string, row = (i: number) => `${20 + i}.5`) =>
  `path,age\n${ages.map((name, i) => `${name},${i === 7 ? cell : row(i)}`).join('\n')}\n`;

test('words for nothing are no labels, whatever the task', async () => {
  for (const word of ['NA', 'N/A', 'nan', 'NaN', 'null', 'None', '-', '']) {
    await refused(
      readAges(agesWith(word)),
      /^labels.csv line 9: no label, as in 1 of 40 rows: .*--missing skip.*--missing-words none/,
    );
    const data = await readAges(agesWith(word), { missing: 'skip' });
    assert.deepEqual([data.task, data.examples.length], ['regression', 39]);
    assert.match(data.warnings.join(), /1 of 40 rows have no label \(the first labels.csv line 9\): left out/);
    const names = `path,label\na.jpg,x\nb.jpg,y\nc.jpg,${word}\nd.jpg,x\n`;
    await refused(read(names), /line 4: no label/);
    assert.deepEqual((await read(names, { missing: 'skip' })).classes, ['x', 'y']);
    if (word === '') continue;
    assert.deepEqual((await read(names, { missingWords: 'none' })).classes, [word, 'x', 'y'].sort());
  }
  const own = await read('path,label\na.jpg,x\nb.jpg,y\nc.jpg,?\nd.jpg,NA\n', { missing: 'skip', missingWords: '?' });
  assert.deepEqual(own.classes, ['NA', 'x', 'y']);
  assert.deepEqual((await read('path,label\na.jpg,none\nb.jpg,y\n')).classes, ['none', 'y']);
  const nulls = '[{"path":"a.jpg","label":null},{"path":"b.jpg","label":"x"},{"path":"c.jpg","label":"y"}]';
  await refused(read(nulls, {}, 'l.json'), /^l.json item 1: no label, as in 1 of 3 rows/);
});

test('an empty cell is none of the labels where an image has several, a word for nothing is not', async () => {
  const several = (cell: string) => `path,label\na.jpg,x|y\nb.jpg,${cell}\nc.jpg,y\n`;
  assert.deepEqual(
    (await read(several(''))).examples.map(({ label }) => label),
    ['x|y', '', 'y'],
  );
  await refused(read(several('nan')), /line 3: no label/);
  assert.equal((await read(several('nan'), { missing: 'skip' })).examples.length, 2);
});

test('one word among measurements is named with its line, and nothing is trained', async () => {
  await refused(
    readAges(agesWith('33.7 yrs')),
    /^labels.csv line 9: "33.7 yrs" is no number, while others are \(20.5, labels.csv line 2\): .*--task multiclass/,
  );
  await refused(
    readAges(
      agesWith('33 yrs', (i) => `${20 + i}`),
      { task: 'regression' },
    ),
    /line 9: a regression needs/,
  );
  assert.equal((await readAges(agesWith('33.7 yrs'), { task: 'multiclass' })).classes.length, 40);
  const whole = await readAges(agesWith('33 yrs', (i) => `${20 + i}`));
  assert.match(
    whole.warnings.join(),
    /39 whole numbers are taken .*, beside "33 yrs" \(labels.csv line 9\): use --task/,
  );
});

test('whole numbers: ratings are told, 1.0 is 1, two of them are nothing to tell', async () => {
  const rated = await read('path,label\na.jpg,1\nb.jpg,2\nc.jpg,3\nd.jpg,1.0\n');
  assert.deepEqual(rated.classes, ['1', '2', '3']);
  assert.match(
    rated.warnings.join(),
    /the whole numbers 1 to 3 are taken for names of 3 classes: use --task regression/,
  );
  const two = await read('path,label\na.jpg,0\nb.jpg,1\nc.jpg,007\nd.jpg,1\n', { task: 'multiclass' });
  assert.deepEqual(two.classes, ['0', '007', '1']);
  assert.deepEqual(
    (await read('path,label\na.jpg,0\nb.jpg,1\n')).warnings.filter((one) => one.includes('whole')),
    [],
  );
});

test('labels are trimmed and composed; those that differ by case only are told', async () => {
  const data = await read('path,label\na.jpg, caf\u00E9 \nb.jpg,cafe\u0301\nc.jpg,Tea\nd.jpg,tea\n');
  assert.deepEqual(data.classes, ['Tea', 'caf\u00E9', 'tea']);
  assert.match(data.warnings.join(), /differ by case only \(Tea and tea\)/);
});

test('a separator of labels is guessed where the file is plain, else told', async () => {
  const phrases = await read('path,label\na.jpg,golden retriever\nb.jpg,labrador retriever\nc.jpg,"ant, worker"\n');
  assert.deepEqual(
    [phrases.task, phrases.classes],
    ['multiclass', ['ant, worker', 'golden retriever', 'labrador retriever']],
  );
  assert.match(phrases.warnings.join(), /1 labels hold commas and are taken as names: use --label-separator ','/);
  const plural = await read('path,tags\na.jpg,"x, y"\nb.jpg,"x, z"\n');
  assert.deepEqual([plural.task, plural.classes], ['multilabel', ['x', 'y', 'z']]);
  assert.match(plural.understood, /label from tags \(several, between commas\)/);
  await refused(
    read('path,label\na.jpg,x+y\nb.jpg,x++y\n', { labelSeparator: '+' }),
    /line 3: "x\+\+y" holds an empty label/,
  );
});

test('what Excel writes: its separator in a first line, decimal commas; what may be a list is refused', async () => {
  const data = await read('sep=;\r\npath;label\r\na.jpg;x, y\r\nb.jpg;z\r\n;\r\n;\r\n');
  assert.deepEqual(data.classes, ['x, y', 'z']);
  assert.match(data.understood, /^labels.csv: CSV with ;, path from path/);
  const numbers = await read('path;label\na.jpg;1,5\nb.jpg;2\n');
  assert.deepEqual(
    numbers.examples.map(({ label }) => label),
    ['1.5', '2'],
  );
  const unsure = 'path,label\na.jpg,2\nb.jpg,"1,5"\n';
  await refused(
    read(unsure),
    /line 3: "1,5" may be a number or two labels: write numbers with points, or use --label-sep/,
  );
  assert.deepEqual((await read(unsure, { labelSeparator: ',' })).classes, ['1', '2', '5']);
  assert.equal((await read('path,label,split\na.jpg,x,train\nb.jpg,y,NA\n')).examples[1]?.split, undefined);
});

test('which column says what: by content, then by name, else asked; group only by its name', async () => {
  const ids = await read('id,image,patient,label,site\n1,a.jpg,p1,x,s\n2,b.jpg,p1,y,s\n');
  assert.match(ids.understood, /path from image, label from label; not used: id, patient, site; classes x, y/);
  assert.equal(ids.examples[0]?.group, undefined);
  const asked = await read('image,patient,label\na.jpg,p1,x\nb.jpg,p2,y\n', { groupColumn: 'patient' });
  assert.deepEqual(
    asked.examples.map(({ group }) => group),
    ['p1', 'p2'],
  );
  assert.match(asked.understood, /group from patient/);
  await refused(
    read('image,lesion,dx,sex\na.jpg,l1,mel,f\nb.jpg,l2,nv,m\n'),
    /^labels.csv: which column holds the label, lesion, dx, sex\? Give --label-column/,
  );
  await refused(
    read('image,dx\na.jpg,mel\n', { labelColumn: 'diagnosis' }),
    /has no column diagnosis for --label-column: it has image, dx/,
  );
  const dx = await read('image,lesion,dx\na.jpg,l1,mel\nb.jpg,l2,nv\n', { labelColumn: 'DX' });
  assert.deepEqual(dx.classes, ['mel', 'nv']);
  await refused(read('image,x,y1\na.jpg,0,1\nb.jpg,1,2\n'), /which column holds the label, x, y1/);
  await refused(
    read('path,label,split\na.jpg,x,train\nb.jpg,y,\nc.jpg,z,test\n'),
    /test has the class z, which train lacks/,
  );
});

test('numbers from 0 to 1 beside other columns are measurements, not classes', async () => {
  const xray = 'Image Index,Finding Labels,Follow-up #,Age,Spacing[x,y],\n';
  const rows = 'a.jpg,Mass,0,57,0.143,0.143,\nb.jpg,Mass|Edema,1,58,0.143,0.143,\nc.jpg,No Finding,0,80,0.171,0.171,\n';
  const named = await read(xray + rows);
  assert.deepEqual([named.task, named.classes], ['multilabel', ['Edema', 'Mass', 'No Finding']]);
  await refused(
    read(xray.replace('Finding Labels', 'Findings') + rows),
    /which column holds the label, Findings, Follow-up #/,
  );
  const many = await read('uid,p,q,r,patient\na,1,0,0,p1\nb,0,1,0,p2\nc,0,1,0,p3\n');
  assert.deepEqual([many.task, many.classes], ['binary', ['p', 'q']]);
  assert.match(many.warnings.join(), /no image is of r: left out/);
});

test('columns of classes: several ones are several labels, a gap is no label', async () => {
  const text = 'image,x,y,z\na.jpg,1,0,1\nb.jpg,0,0,0\nc.jpg,0,1,0\nd.jpg,0,1,0\n';
  const several = await read(text);
  assert.deepEqual(
    several.examples.map(({ label }) => label),
    ['x|z', '', 'y', 'y'],
  );
  await refused(read(text.replace('0,0,0', '0,,0')), /line 3: no label/);
  const shares = await read('image,x,y\na.jpg,0.9,0.8\nb.jpg,0.2,0.7\n');
  assert.deepEqual([shares.task, shares.examples[0]?.label], ['multilabel', 'x|y']);
  assert.match(shares.understood, /labels \(2 columns of shares, above 0.5 counts\)/);
});

test('annotators who disagree contradict each other; an export of boxes is refused', async () => {
  const task = (image: string, ...names: string[]) => ({
    data: { image },
    annotations: names.map((name) => ({
      was_cancelled: name === 'skip',
      result: [{ type: 'choices', from_name: 'c', value: { choices: [name] } }],
    })),
  });
  const tasks = [task('a.jpg', 'x', 'x'), task('b.jpg', 'x', 'y'), task('c.jpg', 'y', 'skip'), task('d.jpg', 'x')];
  const data = await read(JSON.stringify(tasks), {}, 'project.json');
  assert.deepEqual(
    data.examples.map(({ path, label }) => [path, label]),
    [
      ['a.jpg', 'x'],
      ['c.jpg', 'y'],
      ['d.jpg', 'x'],
    ],
  );
  assert.match(data.warnings.join(), /1 content with contradictory labels dropped/);
  const boxes = [{ data: { image: 'a.jpg' }, annotations: [{ result: [{ type: 'rectanglelabels', value: {} }] }] }];
  await refused(
    read(JSON.stringify(boxes), {}, 'project.json'),
    /a Label Studio export of rectanglelabels, .* expected choices/,
  );
});
