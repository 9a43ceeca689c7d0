/** Elements of the page. Text is put in as text, never as markup: there is nothing to escape. */

/** The element of page.html with this id. */
export function byId(id) {
  return document.getElementById(id);
}

function make(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Of HTML. Attributes and children that are `undefined` are left out. */
export function el(name, attributes = {}, ...children) {
  return make(document.createElement(name), attributes, children);
}

/** Of SVG. */
export function svg(name, attributes = {}, ...children) {
  return make(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children);
}

/** What was drawn last, by place. */
const drawn = new Map();

/** Fills a place; where its data are the same again, what is there stays, with focus and selection. */
export function draw(id, data, render) {
  const key = JSON.stringify(data);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  byId(id).replaceChildren(...[render(data)].flat());
}

/** To the page of a runbook, which the address of this page answers too. */
export function runbookLink(name, words = 'Runbook') {
  const link = el('a', { href: `?runbook=${encodeURIComponent(name)}` }, words);
  if (words !== name) link.setAttribute('aria-label', `Runbook ${name}`);
  return link;
}

/** A quiet sentence. */
export function note(words) {
  return el('p', { class: 'note' }, words);
}

/** Columns are `[title, cell, class]`. On a phone each row becomes a card, which takes roles away: they are said. */
export function table(caption, columns, rows) {
  const head = columns.map(([title, , kind]) =>
    el('th', { scope: 'col', role: 'columnheader', class: kind }, title),
  );
  const body = rows.map((row) =>
    el(
      'tr',
      { role: 'row' },
      ...columns.map(([title, cell, kind]) =>
        el('td', { role: 'cell', class: kind, 'data-label': title }, ...[cell(row)].flat()),
      ),
    ),
  );
  return el(
    'table',
    { role: 'table', 'aria-label': caption },
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...head)),
    el('tbody', { role: 'rowgroup' }, ...body),
  );
}

/** Pairs of `[name, value, isBad]` for a list of facts; those without a value are left out. */
export function facts(pairs) {
  return pairs
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value, isBad]) => [
      el('dt', {}, name),
      el('dd', { class: isBad ? 'bad' : undefined }, value),
    ]);
}
