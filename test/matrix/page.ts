/**
 * The page docs/compatibility.md, made from the tables that the tests themselves run: what is on it is shown by them, and
 * what they do not run cannot be on it. `npm run test:matrix` makes it again from what it has found, and fails when that
 * is another page.
 */
import { BUILT_INS } from '../../src/formats/registry.ts';
import { consumerTitles } from '../consumers/rows.ts';
import { ALLOWED_DIFFERENCES } from '../differential/allowed.ts';
import { SMALL_HANDLERS } from '../differential/handlers.ts';
import { PROTOCOLS, STORE_MODES } from '../differential/modes.ts';
import { FRAMEWORKS } from '../frameworks/served.ts';
import { HANDLERS } from '../handlers/handlers.ts';
import { LIMITS, NOTES } from '../handlers/limits.ts';
import { MIDDLEWARE, PLACES } from '../handlers/stacks.ts';
import { SAMPLES } from '../formats/samples.ts';
import { PEER_CASES, PEER_GUARDS } from '../peers/table.ts';
import { HANDLER_STYLES } from '../support/handler-styles.ts';
import { allCells, CLIENTS, EXPRESSES, keys, LOWEST, NODES, PG, SDKS, titleOf } from './cells.ts';
import { MODEL_CLIENTS } from './clients.ts';
import type { Finding } from './jobs.ts';

type Row = readonly string[];

/** The whole page as Markdown; `matrix` is what the matrix promises, or what a run of it has found. */
export function compatibilityPage(matrix: readonly Finding[]): string {
  return [
    '# Compatibility',
    '<!-- Made by `npm run generate` from the tables of the tests. -->',
    'Every entry is a row of a table that a test runs: real packages, unchanged handlers, and a model provider that fails in the ways that providers do. What is not on this page was not tested.',
    '## What works',
    ...versions(matrix),
    ...consumers(),
    ...handlers(),
    ...surroundings(),
    ...formats(),
    ...heldResponses(),
    ...peers(),
    '## What works, with a note',
    table(['What', 'Note'], notes()),
    '## What does not work, and why',
    table(['What', 'Why'], refusals(matrix)),
  ]
    .join('\n\n')
    .concat('\n');
}

function versions(matrix: readonly Finding[]): readonly string[] {
  const found = new Map(matrix.map((finding) => [finding.what, finding]));
  const combinations = keys(SDKS).flatMap((sdk) =>
    keys(CLIENTS).map((prometheus) => ({ sdk, prometheus })),
  );
  const rows = NODES.map((node) => [
    node,
    ...combinations.map((cell) => {
      const here = allCells().filter(
        (one) => one.node === node && one.sdk === cell.sdk && one.prometheus === cell.prometheus,
      );
      return here.map((one) => mark(found.get(titleOf(one)), `Express ${one.express}`)).join(', ');
    }),
  ]);
  const titles = allCells().map(titleOf);
  const others = matrix.filter(({ what, ok }) => ok !== null && !titles.includes(what));
  return [
    '### Versions',
    'Each combination runs twice: as ES modules under `lastchunk/register`, and by `require()` with an SDK of its own. Three clients ask for an answer: one stays, one leaves, one stops it. Rows, metrics and spans have to show the same outcomes.',
    table(
      ['Node', ...combinations.map(({ sdk, prometheus }) => `SDK ${sdk}, ${prometheus}`)],
      rows,
    ),
    `With ${[...Object.values(SDKS), ...Object.values(EXPRESSES), ...Object.values(CLIENTS), [PG]].map((packages) => packages.map((name) => `\`${name}\``).join(' ')).join('; ')}. The lowest versions are ${LOWEST.map((name) => `\`${name}\``).join(' ')}. The TypeScript apps compile as ES modules and as CommonJS, with declarations checked.`,
    list(others.map((finding) => mark(finding, finding.what))),
  ];
}

function consumers(): readonly string[] {
  return [
    '### Loading',
    'Each tool compiles, loads or bundles an app with the packed package: a guarded route that keeps a message, the store and a scrape. After a compiler stand its `module` and, if set, its `moduleResolution`. A bundle runs where nothing is installed; the app passes `pg` and `prom-client`.',
    list(consumerTitles()),
  ];
}

function handlers(): readonly string[] {
  const clients = MODEL_CLIENTS.filter(({ note }) => note === undefined);
  const plain = HANDLERS.filter(({ note }) => note === undefined);
  return [
    '### Handlers',
    'These handlers run unchanged under the guard. The stored text is the whole answer if the stream completes, or if its client leaves under `finish`. It is the text up to that moment if the client leaves under `keep`, if the stream is stopped, and if the provider breaks off the connection. The right column is the outcome of the last case.',
    table(
      ['Handler', 'Provider lost'],
      [...plain, ...clients].map(({ name, onCut }) => [code(name), `\`${onCut}\``]),
    ),
    'Handlers that do one of these do not notice a client that leaves under `finish`, and under no policy does one of them wait for ever:',
    list(HANDLER_STYLES.filter(({ sheltered }) => sheltered).map(({ name }) => code(name))),
  ];
}

function surroundings(): readonly string[] {
  const middleware = MIDDLEWARE.map(([name]) => name).filter((name) => name !== 'nothing');
  return [
    '### Around the handler',
    list([
      `On Express 4 and 5, behind ${middleware.map((name) => (name.includes(' ') ? name : `\`${name}\``)).join(', ')}`,
      ...Object.values(PLACES),
    ]),
    '### Frameworks',
    'In each, a handler ends in seven ways: it completes, its client closes the connection, it throws late, early or at once, it fails before the first token, and its body is not read.',
    list(Object.keys(FRAMEWORKS)),
  ];
}

function formats(): readonly string[] {
  const markers = new Map(BUILT_INS.map(({ name, finishMarker }) => [name, finishMarker]));
  const without = { needed: '`truncated`', accepted: '`completed`', none: '`completed`' } as const;
  const outcomeOf = (format: string): string => without[markers.get(format) ?? 'none'];
  return [
    '### Formats',
    'The format is detected from the content, and is read in the same way wherever a chunk boundary is. The right column is the outcome of an answer that ends without its finish marker.',
    table(
      ['Stream', 'Format', 'Without its finish marker'],
      SAMPLES.map(({ name, format }) => [name, `\`${format}\``, outcomeOf(format)]),
    ),
  ];
}

function heldResponses(): readonly string[] {
  return [
    '### Held responses',
    `${SMALL_HANDLERS.length} small handlers run bare and under a guard, over ${PROTOCOLS.join(', ')}, with a store that ${STORE_MODES.map(({ name }) => name).join(', ')}. These are the same with and without the guard: the bytes that clients get, return values, events and callbacks and their order, and the timers, connections and listeners that remain. The exceptions are the boundaries of HTTP chunks, the headers \`X-Stream-Id\` and \`X-Message-Id\`, and these:`,
    table(
      ['What differs', 'Why', 'Over'],
      ALLOWED_DIFFERENCES.map(({ what, why, protocols = PROTOCOLS }) => [
        what,
        why,
        protocols.join(', '),
      ]),
    ),
  ];
}

function peers(): readonly string[] {
  const names = [...new Set(PEER_CASES.map(({ peer }) => peer))];
  const guards = PEER_GUARDS.map((guard) => `\`${guard}\``).join(', ');
  return [
    '### Other packages',
    `${PEER_CASES.length} behaviours that these packages document, each as a small app with the package itself (npm brings their code, not their tests). Each app runs without lastchunk and with ${guards} in front of it, with a store that needs 20 ms. Status, head, body, the state of the connection, and the content of callbacks, events and log lines are the same.`,
    table(
      ['Package', 'What was run'],
      names.map((name) => [
        `\`${name}\``,
        PEER_CASES.filter(({ peer }) => peer === name)
          .map(({ shows }) => shows)
          .join('; '),
      ]),
    ),
  ];
}

function notes(): readonly Row[] {
  const named = [...HANDLERS, ...MODEL_CLIENTS].flatMap(({ name, note, onCut }) =>
    note === undefined ? [] : [[code(name), `${note} Provider lost: \`${onCut}\`.`]],
  );
  return [...named, ...Object.values(NOTES).map(({ what, why }) => [what, why])];
}

function refusals(matrix: readonly Finding[]): readonly Row[] {
  const exposed = HANDLER_STYLES.filter(({ sheltered }) => !sheltered);
  return [
    ...matrix.filter(({ ok }) => ok === null).map(({ what, note }) => [what, `${note}.`]),
    ...exposed.map(({ name }) => [
      code(name),
      'lastchunk cannot hide the raw socket: the handler notices that its client has left, and the text up to that moment is stored.',
    ]),
    ...Object.values(LIMITS).map(({ what, why }) => [what, why]),
  ];
}

/** What a finding says of something. */
function mark(finding: Finding | undefined, what: string): string {
  if (finding?.ok === true) return what;
  return finding?.ok === null ? '–' : `FAILED: ${what}`;
}

/** A call, whose arguments may hold spaces and calls, or names joined by dots. */
const CALL_OR_PATH =
  /(?<![^ ])(?:(?:[^ (]*\((?:[^()]|\([^()]*\))*\))+|[a-z][\w$]*(?:\.[\w$]+)+)(?=[ :,]|$)/g;

/** What is code in a name as code: `res.write`, but waiting for drain. */
function code(name: string): string {
  return name.replaceAll(CALL_OR_PATH, (text) => `\`${text}\``);
}

function table(head: Row, rows: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  // Rows are too long for columns that line up.
  const start = '<!-- prettier-ignore -->';
  return [start, line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}
