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
    'Every line is a row of a table that a test runs: real packages, unchanged handlers, and a model provider that does what providers do on bad days. What is not on this page was not tried.',
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
    'Each combination runs twice, as ES modules under `lastchunk/register` and by `require()` under an SDK of its own: three answers to clients that stay, leave and stop, told alike by rows, metrics and spans.',
    table(
      ['Node', ...combinations.map(({ sdk, prometheus }) => `SDK ${sdk}, ${prometheus}`)],
      rows,
    ),
    `With ${[...Object.values(SDKS), ...Object.values(EXPRESSES), ...Object.values(CLIENTS), [PG]].map((packages) => packages.map((name) => `\`${name}\``).join(' ')).join('; ')}. The lowest versions are ${LOWEST.map((name) => `\`${name}\``).join(' ')}. The TypeScript consumers compile as ES modules and as CommonJS, with declarations checked.`,
    list(others.map((finding) => mark(finding, finding.what))),
  ];
}

function consumers(): readonly string[] {
  return [
    '### Loading',
    'What compiles against the packed package, loads it or bundles it, with a guarded route that keeps a message, the store and a scrape. `module` and `moduleResolution` of a compiler as named; a bundle runs where nothing is installed, with `pg` and `prom-client` handed in.',
    list(consumerTitles()),
  ];
}

function handlers(): readonly string[] {
  const clients = MODEL_CLIENTS.filter(({ note }) => note === undefined);
  const plain = HANDLERS.filter(({ note }) => note === undefined);
  return [
    '### Handlers',
    'Unchanged under the guard. The text that is stored is the whole answer when the stream completes and when its client leaves under `finish`; what was said until then under `keep`, when it is stopped, and when the provider drops the connection. The right column is the outcome of the last.',
    table(
      ['Handler', 'Provider lost'],
      [...plain, ...clients].map(({ name, onCut }) => [code(name), `\`${onCut}\``]),
    ),
    'Handlers that do one of these notice nothing of a client that leaves under `finish`, and none is left waiting under any policy:',
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
    'Each ends a handler in seven ways: it completes, its client hangs up, it throws late, early or at once, it fails before the first token, and its body is not read.',
    list(Object.keys(FRAMEWORKS)),
  ];
}

function formats(): readonly string[] {
  const markers = new Map(BUILT_INS.map(({ name, finishMarker }) => [name, finishMarker]));
  const without = { needed: '`truncated`', accepted: '`completed`', none: '`completed`' } as const;
  const outcomeOf = (format: string): string => without[markers.get(format) ?? 'none'];
  return [
    '### Formats',
    'Found by content, read the same wherever a chunk boundary falls. The right column is the outcome of an answer that ends without its finish marker.',
    table(
      ['Stream', 'Format', 'Without its finish marker'],
      SAMPLES.map(({ name, format }) => [name, `\`${format}\``, outcomeOf(format)]),
    ),
  ];
}

function heldResponses(): readonly string[] {
  return [
    '### Held responses',
    `${SMALL_HANDLERS.length} small handlers run bare and under a guard, over ${PROTOCOLS.join(', ')}, with a store that ${STORE_MODES.map(({ name }) => name).join(', ')}. What their clients are sent, what they are answered, what they are told, in which order, and which timers, connections and listeners they leave behind is the same, but for the cuts of the chunked coding, the headers \`X-Stream-Id\` and \`X-Message-Id\`, and for this:`,
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
    '### Packages of others',
    `${PEER_CASES.length} behaviours that these packages document, as small apps on the packages themselves (npm brings their code, not their tests). Each runs bare and with ${guards} between the server and it, over a store that needs 20 ms: status, head, body, the state of the connection, and what callbacks, events and log lines say are the same.`,
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
      'Nothing hides the raw socket: the handler notices that its client has left, and what it has written until then is stored.',
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
