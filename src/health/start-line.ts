/**
 * The log line of an instance at its start: where the journal is and whether the store answers, or what is wrong and what to do about it.
 * It never contains a password.
 */
import { systemClock, within } from '../core/clock.ts';
import { unwrapAggregate, wordsOfError } from '../core/error-words.ts';
import { errorCodeOf, errorTypeOf, LastchunkError, sqlstateOf } from '../core/errors.ts';
import { type Logger, RECOVERED_FIELDS, START_FIELDS } from '../core/logger.ts';
import { isObject } from '../core/values.ts';
import type { JournalState } from '../journal/port.ts';

/** How long the line waits for the store: longer than the default timeout of a connection. */
const PATIENCE_MS = 5_000;

/** What is known at the start. */
export interface StartFacts {
  /** `undefined` where the app has none. */
  readonly journal: { readonly path: string; readonly state: JournalState } | undefined;
  /** Without a journal, the relay keeps the messages that the store does not take. */
  readonly hasRelay: boolean;
  /** `undefined` without a store. */
  readonly store: StoreAtStart | undefined;
}

/** The store: its address, and its answer to a ping. */
export interface StoreAtStart {
  /** Without a password; `undefined` for a store of the app's own. */
  readonly address: string | undefined;
  /** `silent`: it has not answered yet; `unasked`: it cannot be pinged. */
  readonly answer: 'reachable' | 'silent' | 'unasked' | { readonly error: unknown };
}

/** The parts that `tellStart` uses. */
export interface StartParts {
  readonly logger: Logger;
  readonly journal: () => StartFacts['journal'];
  readonly hasRelay: boolean;
  /** `undefined` without a store. */
  readonly store: { readonly address?: string } | undefined;
  /** Pings the store once; `undefined` where it cannot be pinged. Rejects with the error. */
  readonly ask: (() => Promise<unknown>) | undefined;
  /** Calls `tell` once, when the store answers next. */
  readonly whenReachable: (tell: () => void) => void;
  /** Errors that are in the line already: the one that the store rejected with is added. */
  readonly told: WeakSet<object>;
  /** True: the instance is closing, and logs nothing. */
  readonly isClosing: () => boolean;
}

/** Pings the store and logs the line; later logs when the store answers or fails after all. Never rejects. */
export async function tellStart(parts: StartParts): Promise<void> {
  const { logger, journal, hasRelay, store, ask, told, whenReachable, isClosing } = parts;
  const asked = ask?.().then(
    (): Answer => 'reachable',
    (error: unknown): Answer => {
      if (isObject(error)) told.add(error);
      return { error };
    },
  );
  const answer = asked === undefined ? 'unasked' : await within(systemClock, PATIENCE_MS, asked);
  if (isClosing()) return;
  const factsWith = (now: Answer): StartFacts => ({
    journal: journal(),
    hasRelay,
    store: store && { address: store.address, answer: now },
  });
  const { level, line } = startLine(factsWith(answer ?? 'silent'));
  logger[level](START_FIELDS, `lastchunk: ${line}`);
  const tellReachable = (): void => {
    const reached = storeWords({ address: store?.address, answer: 'reachable' });
    logger.info({ about: 'store', ...RECOVERED_FIELDS }, `lastchunk: ${reached}`);
  };
  // This is the only place that logs an error of this ping.
  const late = answer === undefined ? await asked : undefined;
  if (isClosing()) return;
  if (late === 'reachable') return tellReachable();
  if (late !== undefined) {
    const now = storeLine(factsWith(late));
    logger[now.level]({ about: 'store' }, `lastchunk: ${now.line}`);
  }
  if (isFailure(late ?? answer)) whenReachable(tellReachable);
}

type Answer = StoreAtStart['answer'];
type Level = 'info' | 'warn' | 'error';

function isFailure(answer: Answer | undefined): boolean {
  return isObject(answer);
}

/** The line and its level: `warn` while journal or relay takes the messages that the store does not, `error` when nothing does. */
export function startLine(facts: StartFacts): { level: Level; line: string } {
  const { journal, hasRelay, store } = facts;
  if (store === undefined) {
    return { level: 'info', line: 'no store: streams are observed, and nothing is saved' };
  }
  const { level, line } = storeLine(facts);
  const isBroken = journal !== undefined && !isUsable(journal);
  return { level: isBroken ? 'error' : level, line: `${journalWords(journal, hasRelay)}; ${line}` };
}

/** The part of the line about the store, and about where messages wait while it does not take them. */
function storeLine({ journal, hasRelay, store }: StartFacts): { level: Level; line: string } {
  const words = storeWords(store ?? { address: undefined, answer: 'unasked' });
  if (store === undefined || store.answer === 'reachable' || store.answer === 'unasked') {
    return { level: 'info', line: words };
  }
  const place = waitingPlace(journal, hasRelay);
  const level = place === 'memory only' ? 'error' : 'warn';
  return { level, line: `${words}; until then messages wait in ${place}` };
}

function waitingPlace(journal: StartFacts['journal'], hasRelay: boolean): string {
  if (journal === undefined) return hasRelay ? 'the relay' : 'memory only';
  return isUsable(journal) ? 'the journal' : 'memory only';
}

function isUsable(journal: NonNullable<StartFacts['journal']>): boolean {
  return journal.state.degraded === undefined;
}

function journalWords(journal: StartFacts['journal'], hasRelay: boolean): string {
  if (journal === undefined) return hasRelay ? 'no journal, but a relay' : 'no journal';
  const { path, state } = journal;
  if (isUsable(journal)) return `journal in ${path}, on ${state.fileSystem}`;
  const mend = `\`npx lastchunk doctor --journal ${path}\` says what to do`;
  return `journal in ${path} cannot be used (${state.degraded}): ${mend}`;
}

function storeWords({ address, answer }: StoreAtStart): string {
  const store = address === undefined ? "store of the app's own" : `store ${address}`;
  if (answer === 'unasked') return store;
  if (answer === 'reachable') return `${store} reachable`;
  if (answer === 'silent') return `${store} has not answered for ${PATIENCE_MS / 1000} s`;
  const { error } = answer;
  const words = wordsOfError(error) ?? errorTypeOf(error);
  // The text of our own errors already says what to do.
  if (error instanceof LastchunkError) return `${store} cannot be used: ${words}`;
  const advice = adviceFor(error, words);
  return `${store} not reachable: ${words}${advice === undefined ? '' : ` (${advice})`}`;
}

/** Advice for the error of the driver or the server. */
function adviceFor(error: unknown, words: string): string | undefined {
  const first = unwrapAggregate(error);
  const code = sqlstateOf(first) ?? errorCodeOf(first) ?? '';
  return ADVICE.find(({ says }) => says.test(code) || says.test(words))?.todo;
}

const ADVICE: readonly { readonly says: RegExp; readonly todo: string }[] = [
  { says: /^ECONNREFUSED$/, todo: 'is PostgreSQL running there, and is that the port?' },
  { says: /^(?:ENOTFOUND|EAI_AGAIN)$/, todo: 'no such host: look at the address' },
  {
    says: /^(?:ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$|connection timeout|timeout exceeded/,
    todo: 'nothing answers there: look at the address and at firewalls',
  },
  {
    says: /no encryption$|SSL off$/,
    todo: 'the server wants TLS: add `?sslmode=require` to the address, or `ssl: true`',
  },
  { says: /^(?:28P01|28000)$/, todo: 'look at user, password and pg_hba.conf' },
  { says: /^SASL: /, todo: 'look at the password: it is missing or no string' },
  { says: /^3D000$/, todo: 'make the database, or look at its name' },
  {
    says: /does not support SSL/,
    todo: 'leave out `ssl` and `sslmode`, or turn TLS on at the server',
  },
  {
    says: /certificate/,
    todo: 'give the authority with `ssl: { ca }`, or `sslrootcert` in the address',
  },
  { says: /^42501$/, todo: 'grant the user SELECT, INSERT and UPDATE on the table' },
  { says: /^53300$/, todo: 'the server has no connection left' },
];
