const box = document.getElementById('rows'), rows = [...box.children];
const pick = (id) => document.getElementById(id)?.value ?? '';
const scores = new Map(rows.map((row) => [row, JSON.parse(row.dataset.scores)]));

function show() {
  const tag = pick('class'), by = pick('by'), order = pick('order');
  const key = tag && String(Number(tag) + 1); // the classes of IoU count the background
  const score = (row, column) => (scores.get(row)[column] ?? {})[key];
  for (const row of rows) {
    row.hidden = tag && !row.dataset.tags.split(' ').includes(tag);
    for (const part of row.querySelectorAll('[data-class]')) part.hidden = tag && part.dataset.class !== tag;
    for (const part of row.querySelectorAll('[data-column]')) {
      const found = score(row, part.dataset.column);
      part.textContent = found === undefined ? '' : `IoU ${found.toFixed(1)}`;
    }
  }
  const sign = order === 'best' ? -1 : 1;
  const value = (row) => sign * (score(row, by) ?? Infinity * sign);
  const sorted = order === 'worst' || order === 'best' ? [...rows].sort((a, b) => value(a) - value(b) || 0) : rows;
  box.replaceChildren(...sorted);
  document.getElementById('count').textContent = rows.filter((row) => !row.hidden).length;
}

for (const control of document.querySelectorAll('select')) control.addEventListener('change', show);
show();
