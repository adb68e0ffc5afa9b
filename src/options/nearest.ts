/** How many letters must be changed, put in or left out (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Letters and digits alone, so that `ResNet50V2` is `resnet50-v2`. */
const plain = (name: string): string =>
  name
    .slice(0, 64)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, '');

/** @returns up to `count` of the names, those first that are most like `name` */
export function nearestNames(name: string, names: readonly string[], count = 3): string[] {
  const like = new Map(names.map((other) => [other, distance(plain(name), plain(other))]));
  const sorted = [...names].sort((a, b) => (like.get(a) ?? 0) - (like.get(b) ?? 0));
  const [first = ''] = sorted;
  return like.get(first) === 0 ? [first] : sorted.slice(0, count);
}
