/** The parts of the page, each drawn from its part of the status. */
import { byId, draw, el, facts, note, runbookLink, svg, table } from './elements.js';
import { drawPlot } from './plot.js';
import { bytes, clock, count, many, percent, PHASES, span, TELLS, VERDICTS } from './words.js';

/** Draws what has changed. `staleSince`: nothing was heard of the instance since then; `undefined` while it talks. */
export function drawStatus(status, objectives, staleSince) {
  const { health, instance, history, streams, failures, pools, relay } = status;
  drawState(status, staleSince);
  drawInstance(instance);
  drawSaves(health, history, objectives.saved);
  drawPlot(status, objectives.saved);
  draw('store', storeFacts(health, instance), facts);
  draw('journal', journalFacts(health.journal, instance), facts);
  byId('relay-section').hidden = relay === undefined;
  if (relay !== undefined) draw('relay', relayFacts(health.relay, relay), facts);
  draw('streams', streams, streamParts);
  draw('failures', failures, failureTable);
  draw('pools', [pools, health.pool], poolParts);
}

function drawState({ at, health: { status, saveRate }, reasons }, staleSince) {
  const isStale = staleSince !== undefined;
  const verdict = isStale ? `Unknown since ${clock(staleSince)}` : VERDICTS[status];
  byId('state').dataset.state = isStale ? 'unknown' : status;
  document.title = `${verdict} · ${percent(saveRate.oneHour)} % · lastchunk`;
  draw('verdict', verdict, () => verdict);
  draw('connection', isStale ? 'no connection' : `live, ${clock(at)}`, (words) => words);
  const unknown = `The instance does not answer. It was ${status}; all that follows is from then.`;
  const healthy = 'Messages are saved as they become due.';
  const why = reasons.length === 0 ? [{ words: healthy }] : reasons;
  draw('reasons', isStale ? [{ words: unknown }] : why, (all) =>
    all.map(({ words, runbook }) => {
      const sentence = `${words[0].toUpperCase()}${words.slice(1)}`;
      return el('li', {}, sentence, ...(runbook ? [' · ', runbookLink(runbook)] : []));
    }),
  );
}

function drawInstance({ host, pid, version, node, startedAt }) {
  const since = new Date(startedAt).toLocaleString('sv-SE');
  const rest = ` · process ${pid} since ${since} · lastchunk ${version} · Node ${node.slice(1)}`;
  draw('instance', [host, rest], () => [el('b', {}, host), rest]);
}

function drawSaves({ saveRate, pending, oldestPendingSeconds }, history, goal) {
  const { oneHour, fiveMinutes } = saveRate;
  draw('figure', percent(oneHour), (words) =>
    words === '–' ? words : [words, el('small', {}, '%')],
  );
  const isMet = oneHour >= goal ? 'met' : 'missed';
  const hour = oneHour === undefined ? 'no message was due' : isMet;
  const minutes = fiveMinutes === undefined ? 'nothing due' : `${percent(fiveMinutes)} %`;
  draw('objective', [hour, minutes], () => [
    `objective ${percent(goal)} %: ${hour}`,
    el('br'),
    `last 5 minutes: ${minutes}`,
  ]);
  const sum = (read) => history.reduce((total, slot) => total + read(slot), 0);
  const results = [
    ['saved', 'Saved', sum(({ results: { saved } }) => saved)],
    ['journaled', 'Journaled', sum(({ results: { journaled } }) => journaled)],
    ['plain', 'Replayed', sum(({ replayed }) => replayed)],
    ['failed', 'Lost', sum(({ results: { lost } }) => lost)],
    ['failed', 'No result', sum(({ results: { missing } }) => missing)],
    ['failed', 'Refused', sum(({ refused }) => refused)],
    ['plain', 'Pending now', pending, pending > 0 ? `oldest ${span(oldestPendingSeconds)}` : ''],
  ];
  draw('results', results, () =>
    results.map(([kind, name, number, aside = '']) =>
      el(
        'div',
        { class: number === 0 ? `${kind} zero` : kind },
        el('dt', {}, name),
        el('dd', {}, count(number), ...(aside === '' ? [] : [' ', el('small', {}, aside)])),
      ),
    ),
  );
}

function storeFacts({ store, capture }, { store: address }) {
  if (store === undefined) return [['None', 'Streams are observed, and nothing is saved.']];
  const { reachable, circuit, lastSuccess, lastFailure } = store;
  const answers = reachable ? 'yes' : 'no';
  const isOpen = circuit === 'open';
  return [
    ['Answers', reachable === undefined ? 'not asked yet' : answers, reachable === false],
    ['Address', address ?? 'a store of the app’s own'],
    ['Circuit', isOpen ? 'open: tried again, less and less often' : 'closed', isOpen],
    ['Last success', lastSuccess === undefined ? 'none yet' : clock(lastSuccess)],
    ['Last failure', lastFailure && `${clock(lastFailure.at)}, ${lastFailure.errorType}`],
    ['Live answers', capture && `${bytes(capture.bytes)} of ${bytes(capture.maxBytes)} in memory`],
  ];
}

function journalFacts(journal, { journal: path }) {
  if (journal === undefined) {
    return [['None', 'What the store does not take waits in memory only.']];
  }
  const { entries, degraded, oldestEntrySeconds, fileSystem, problems } = journal;
  const attention = Object.entries(problems).map(([kind, number]) => `${number} ${kind}`);
  const isWaiting = oldestEntrySeconds > 0;
  return [
    ['Usable', degraded === undefined ? 'yes' : `no: ${degraded}`, degraded !== undefined],
    ['Directory', `${path} (${fileSystem})`],
    ['Holds', entries === 0 ? 'nothing' : many(entries, 'message'), false],
    [
      'Backlog',
      isWaiting ? `waits for the store, oldest ${span(oldestEntrySeconds)}` : 'none',
      isWaiting,
    ],
    ['Size', `${bytes(journal.bytes)} of ${bytes(journal.capacityBytes)}`],
    ['Attention', attention.length === 0 ? undefined : attention.join(', '), true],
  ];
}

function relayFacts({ up, lagSeconds, streams, dropped }, { lease, following }) {
  const told = lagSeconds === 0 ? 'all told' : `${span(lagSeconds)} behind`;
  return [
    ['Answers', up ? 'yes' : 'no', !up],
    ['This instance', lease ?? 'holds no lease', lease === undefined],
    ['Its streams', `${count(streams)}, ${told}`],
    ['Reads here', following.length === 0 ? 'no stream of others' : following.join(', ')],
    ['Dropped', dropped === 0 ? undefined : many(dropped, 'ended stream'), true],
  ];
}

function streamParts({ total, oldest }) {
  if (total === 0) return note('No stream is on its way.');
  const columns = [
    ['Route', ({ route, id }) => [el('code', {}, route), el('small', {}, id)], 'wide'],
    ...('conversationId' in oldest[0]
      ? [['Conversation', ({ conversationId }) => el('code', {}, conversationId ?? '–')]]
      : []),
    ['Phase', ({ phase }) => PHASES[phase]],
    ...('readers' in oldest[0] ? [['Read by', ({ readers }) => readersOf(readers)]] : []),
    ['Age', ({ ageSeconds }) => span(ageSeconds), 'number'],
    ['Chunks', ({ chunks }) => count(chunks), 'number'],
    ['Size', (stream) => bytes(stream.bytes), 'number'],
  ];
  const rest = `The ${oldest.length} oldest of ${count(total)}.`;
  return [table('Live streams', columns, oldest), total > oldest.length ? note(rest) : ''];
}

function readersOf({ here, elsewhere }) {
  const others = elsewhere ? 'other instances' : '';
  return [here > 0 ? `${here} here` : '', others].filter(Boolean).join(', ') || 'its client';
}

function failureTable(failures) {
  if (failures.length === 0) return note('Nothing has failed since this process began.');
  const columns = [
    ['What', ({ words, detail, route }) => [words, aside(detail, route)], 'wide'],
    ['Times', (failure) => count(failure.count), 'number'],
    ['Last', ({ lastAt }) => clock(lastAt), 'number'],
    ['What to do', ({ runbook }) => runbookLink(runbook)],
  ];
  return table('Last failures', columns, failures);
}

function aside(detail, route) {
  return el('small', {}, [detail, route && `route ${route}`].filter(Boolean).join(' · '));
}

function poolParts([watched, own]) {
  const owned =
    own === null || own === undefined ? [] : [{ name: 'lastchunk', ...own, holders: [] }];
  const hint =
    'No pool of the app is watched. With keep.watchPool(pool, { name }) the lines that hold connections stand here.';
  return [...[...owned, ...watched].map(poolPart), watched.length === 0 ? note(hint) : ''];
}

function poolPart({ name, total, idle, waiting, max, holders }) {
  const active = total - idle;
  const words = `${active} of ${max} in use, ${idle} idle, ${many(waiting, 'caller')} waiting`;
  const size = { height: 1, y: 0 };
  const meter = svg(
    'svg',
    { class: 'meter', viewBox: '0 0 100 1', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svg('rect', { ...size, width: 100 }),
    svg('rect', { ...size, width: Math.min(100, (100 * active) / Math.max(1, max)) }),
  );
  const lines =
    holders.length === 0 ? undefined : table(`Lines that hold ${name}`, HOLDER_COLUMNS, holders);
  const about = el('p', {}, el('b', {}, name), name === 'lastchunk' ? ', for saves' : '');
  const use = el('p', { class: waiting > 0 ? 'bad' : 'note' }, words);
  return el('div', { class: 'pool' }, about, use, meter, lines);
}

const HOLDER_COLUMNS = [
  ['Held by', ({ place, route }) => [el('code', {}, place), aside(undefined, route)], 'wide'],
  ['Connections', ({ clients }) => count(clients), 'number'],
  ['Longest', ({ heldSeconds }) => span(heldSeconds), 'number'],
];

/** The alerts of the rules, once: they do not change. */
export function drawAlerts(alerts) {
  const names = new Set(alerts.map(({ name }) => name));
  draw(
    'alerts-words',
    `${names.size} alerts watch this; Prometheus evaluates them, not this process`,
    (words) => words,
  );
  const what = ({ name, summary, expr }) => [
    runbookLink(name, name),
    el('small', {}, summary),
    el('details', {}, el('summary', {}, 'threshold'), el('pre', {}, expr)),
  ];
  const columns = [
    ['Alert', what, 'wide'],
    ['Tells', ({ severity }) => TELLS[severity]],
    ['After', ({ wait }) => wait ?? 'at once', 'number'],
  ];
  draw('alerts', alerts, () => table('Alerts and their thresholds', columns, alerts));
}
