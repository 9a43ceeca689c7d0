/** The plot of the last hour: above the share of messages that are safe, below how many there were, by result. */
import { byId, draw, svg } from './elements.js';
import { clock, count, many, minute, percent } from './words.js';

const HOUR_MS = 3_600_000;
const SLOT_MS = 30_000;
const HEIGHT = 200;
const LEFT = 46;
/** The rate above, the counts below. */
const RATE = { top: 8, bottom: 96 };
const COUNTS = { top: 120, bottom: 176 };

/** Draws it, if anything of it has changed; `status` is the whole of it, `goal` the objective, 0 to 1. */
export function drawPlot({ at, history, instance }, goal) {
  const plot = byId('plot');
  const width = Math.max(240, plot.clientWidth);
  const nowMs = Math.floor(Date.parse(at) / 10_000) * 10_000;
  const share = (time) => (time - (nowMs - HOUR_MS)) / HOUR_MS;
  // The half minute of now is not over.
  const x = (time) => LEFT + Math.max(0, Math.min(1, share(time))) * (width - LEFT);
  const slots = history.filter(({ startMs }) => startMs > nowMs - HOUR_MS - SLOT_MS);
  const rates = slots.map(rateOf).filter((rate) => rate !== undefined);
  const lowest = Math.min(1, ...rates);
  // As fine as it can be with the lowest rate in it.
  const floor = [0.99, 0.9, 0.5, 0].find((bound) => lowest >= bound);
  const most = Math.max(1, ...slots.map(sumOf));
  plot.setAttribute('viewBox', `0 0 ${width} ${HEIGHT}`);
  plot.setAttribute('aria-label', wordsOf(slots, lowest));
  draw('plot', [history, width, nowMs], () => [
    ...before(Date.parse(instance.startedAt), { nowMs, x }),
    ...axes({ width, floor, most, goal }),
    ...times({ nowMs, width, x }),
    ...slots.flatMap((slot) => bars(slot, x, most)),
    ...rateLine(slots, x, floor),
    ...slots.map((slot) => hover(slot, x)),
    ...(slots.length === 0 ? [svg('text', middle(LEFT, width), 'No message was due.')] : []),
  ]);
}

function errorsOf({ results, refused, errors }) {
  return Math.max(errors, results.lost + results.missing + refused);
}

function sumOf(slot) {
  return slot.results.saved + slot.results.journaled + errorsOf(slot);
}

/** As the objective counts; `undefined` where nothing was due. */
function rateOf({ results, errors }) {
  const due = results.saved + results.journaled + results.lost + results.missing;
  return due + errors === 0 ? undefined : Math.max(0, 1 - errors / Math.max(due, errors));
}

/** The same for who does not see it. */
function wordsOf(slots, lowest) {
  const lowestSlot = slots.find((slot) => rateOf(slot) === lowest);
  if (lowestSlot === undefined) return 'Save rate of the last hour: no message was due.';
  const low =
    lowest === 1
      ? 'never below 100 percent'
      : `lowest ${percent(lowest)} percent at ${minute(lowestSlot.startMs)}`;
  const messages = slots.reduce((sum, slot) => sum + sumOf(slot), 0);
  return `Save rate of the last hour in half minutes: ${low}; ${many(messages, 'message')}.`;
}

function middle(left, right) {
  return { class: 'nothing', x: (left + right) / 2, y: (RATE.top + RATE.bottom) / 2 + 4 };
}

/** The time of which this process knows nothing is not a time without messages. */
function before(startMs, { nowMs, x }) {
  const end = x(startMs);
  if (startMs <= nowMs - HOUR_MS || end <= LEFT) return [];
  const [y, height] = [RATE.top, COUNTS.bottom - RATE.top];
  const area = svg('rect', { class: 'before', x: LEFT, y, width: end - LEFT, height });
  const isWide = end - LEFT > 150;
  return isWide ? [area, svg('text', middle(LEFT, end), 'before this process')] : [area];
}

function axes({ width, floor, most, goal }) {
  const line = (y, kind = 'axis') =>
    svg('line', { class: kind, x1: LEFT, x2: width, y1: y, y2: y });
  const text = (y, words) => svg('text', { x: LEFT - 6, y: y + 4, 'text-anchor': 'end' }, words);
  const y = (rate) => rateY(rate, floor);
  return [
    line(y(1)),
    line(y(floor)),
    line(COUNTS.bottom),
    ...(goal >= floor ? [line(y(goal), 'goal')] : []),
    text(y(1), '100 %'),
    text(y(floor), `${floor * 100} %`),
    text(COUNTS.top, count(most)),
    text(COUNTS.bottom, '0'),
  ];
}

function times({ nowMs, width, x }) {
  const step = width < 420 ? 20 : 10;
  const marks = [];
  const begin = Math.ceil((nowMs - HOUR_MS) / 60_000) * 60_000;
  for (let time = begin; time <= nowMs; time += 60_000) {
    if (new Date(time).getMinutes() % step !== 0) continue;
    const at = x(time);
    const anchor = at < LEFT + 16 ? 'start' : at > width - 18 ? 'end' : 'middle';
    const [y1, y2] = [COUNTS.bottom, COUNTS.bottom + 4];
    marks.push(
      svg('line', { class: 'axis', x1: at, x2: at, y1, y2 }),
      svg('text', { x: at, y: HEIGHT - 6, 'text-anchor': anchor }, minute(time)),
    );
  }
  return marks;
}

function rateY(rate, floor) {
  return RATE.bottom - ((rate - floor) / (1 - floor)) * (RATE.bottom - RATE.top);
}

/** A step for each half minute; where nothing was due, there is no line. */
function rateLine(slots, x, floor) {
  let path = '';
  let endMs = 0;
  for (const slot of slots) {
    const rate = rateOf(slot);
    if (rate === undefined) continue;
    const y = rateY(rate, floor);
    const isNext = path !== '' && slot.startMs - endMs < SLOT_MS / 2;
    path += isNext ? `V${y}` : `M${x(slot.startMs)} ${y}`;
    endMs = slot.startMs + SLOT_MS;
    path += `H${x(endMs)}`;
  }
  return path === '' ? [] : [svg('path', { class: 'rate', d: path })];
}

function bars(slot, x, most) {
  const left = x(slot.startMs);
  const width = Math.max(1, x(slot.startMs + SLOT_MS) - left - 0.75);
  const parts = [
    ['saved', slot.results.saved],
    ['journaled', slot.results.journaled],
    ['failed', errorsOf(slot)],
  ];
  let y = COUNTS.bottom;
  return parts
    .filter(([, number]) => number > 0)
    .map(([kind, number]) => {
      // A single failure among thousands is still to be seen.
      const least = kind === 'failed' ? 3 : 1;
      const height = Math.max(least, (number / most) * (COUNTS.bottom - COUNTS.top));
      y -= height;
      return svg('rect', { class: kind, x: left, y, width, height });
    });
}

function hover(slot, x) {
  const { results, refused, startMs } = slot;
  const parts = [
    [results.saved, 'saved'],
    [results.journaled, 'journaled'],
    [results.lost, 'lost'],
    [results.missing, 'without a result'],
    [refused, 'refused'],
  ];
  const words = parts.filter(([number]) => number > 0).map(([number, what]) => `${number} ${what}`);
  const left = x(startMs);
  const size = { width: x(startMs + SLOT_MS) - left, height: COUNTS.bottom - RATE.top };
  const title = svg('title', {}, `${clock(startMs)}: ${words.join(', ')}`);
  return svg('rect', { class: 'hover', x: left, y: RATE.top, ...size }, title);
}
