/** The sentences of the status, and the runbook for each. No sentence contains text of a user or a model. */
import type { HealthReason } from '../health/health.ts';

/** A sentence, and the name of the runbook that says what to do. */
export interface Advice {
  readonly words: string;
  /** An alert's name; `undefined` where there is nothing to do. */
  readonly runbook: string | undefined;
}

/** Why an instance is not healthy. */
export const REASONS: Readonly<Record<HealthReason, Advice>> = {
  closing: { words: 'it is shutting down and takes no new streams', runbook: undefined },
  'message-lost': {
    words: 'a message was lost in the last 5 minutes',
    runbook: 'LastchunkMessagesLost',
  },
  'message-missing': {
    words: 'a save gave no answer in the last 5 minutes',
    runbook: 'LastchunkSavesStalled',
  },
  'answers-cut': {
    words: 'answers took too much memory, and the largest were cut',
    runbook: 'LastchunkCapturesCut',
  },
  'message-refused': {
    words: 'the store refused a message permanently; it is in refused/ of the journal',
    runbook: 'LastchunkMessagesLost',
  },
  'nothing-saved': {
    words: 'messages were due, and none of them is safe',
    runbook: 'LastchunkSavesAllFailing',
  },
  'store-away': {
    words: 'the store does not answer',
    runbook: 'LastchunkJournalBacklogOld',
  },
  'journal-degraded': {
    words: 'the journal cannot be relied on',
    runbook: 'LastchunkJournalDegraded',
  },
  'journal-ephemeral': {
    words: 'the journal is lost when its container is deleted',
    runbook: 'LastchunkJournalDegraded',
  },
  'journal-attention': {
    words: 'the journal has files that need an operator',
    runbook: 'LastchunkJournalCorrupt',
  },
  'relay-away': {
    words: 'the relay is away: no other instance can resume or finish these streams',
    runbook: 'LastchunkRelayDown',
  },
};

/** The kinds of failures. */
export type FailureKind = keyof typeof FAILURE_WORDS;

/** The sentence and the runbook of each kind of failure. */
export const FAILURE_WORDS = {
  lost: {
    words: 'A message was lost: neither store nor journal took it.',
    runbook: 'LastchunkMessagesLost',
  },
  missing: { words: 'A save gave no answer in time.', runbook: 'LastchunkSavesStalled' },
  journaled: {
    words: 'The store did not take a message in time; it waits in the journal.',
    runbook: 'LastchunkJournalBacklogOld',
  },
  refused: {
    words: 'The store refused a message permanently; it is in refused/ of the journal.',
    runbook: 'LastchunkMessagesLost',
  },
  attempt: {
    words: 'A write to the store failed, and is tried again.',
    runbook: 'LastchunkSaveTimelinessBudgetBurn',
  },
  unconfirmed: {
    words: 'A client received the end of its answer before the message was safe.',
    runbook: 'LastchunkHoldsUnconfirmed',
  },
  unnamed: {
    words: 'A message is kept without a conversation.',
    runbook: 'LastchunkMessagesUnnamed',
  },
  unknown: {
    words: 'An answer has parts that its format does not know; they are kept as payloads.',
    runbook: 'LastchunkTextUnknown',
  },
  cut: {
    words: 'An answer was cut, because it is too large to be kept whole.',
    runbook: 'LastchunkCapturesCut',
  },
  'finish-refused': {
    words: 'An answer whose client had left was not read to its end: a budget was spent.',
    runbook: 'LastchunkFinishRefused',
  },
  'across-stream': {
    words: 'A database connection was held while a stream was written.',
    runbook: 'LastchunkPoolHeldAcrossStreams',
  },
  long: {
    words: 'A database connection is held for a long time.',
    runbook: 'LastchunkPoolSaturated',
  },
  leaked: {
    words: 'A database connection was lost without being released.',
    runbook: 'LastchunkPoolLeaked',
  },
  internal: { words: 'Something inside lastchunk failed.', runbook: 'LastchunkInternalErrors' },
} as const satisfies Readonly<Record<string, Advice>>;

/** The most frequent error codes of stores, in plain words: codes of Node's sockets and SQLSTATEs of PostgreSQL's Appendix A. */
const CODES: Readonly<Record<string, string>> = {
  timeout: 'no answer in time',
  ECONNREFUSED: 'no server listens at its address',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'its host name is unknown',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'no answer from its address',
  '08006': 'the connection broke',
  '25006': 'it is read-only: a replica',
  '28P01': 'the password is wrong',
  '40001': 'a conflict with another transaction',
  '40P01': 'a deadlock',
  '42501': 'a permission is missing',
  '42P01': 'the table does not exist',
  '53100': 'its disk is full',
  '53300': 'it has no connection left',
  '57014': 'the statement was cancelled',
  '57P01': 'the server was shut down',
  '57P03': 'the server is starting up',
};

/** A code with its meaning, if that is known: `57P01, the server was shut down`. */
export function codeInWords(code: string): string {
  const words = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  return words === undefined ? code : `${code}, ${words}`;
}

/** A line of the app as `file:line`, relative to the working directory if it is below it. */
export function placeInWords(place: string): string {
  return place.startsWith(`${process.cwd()}/`) ? place.slice(process.cwd().length + 1) : place;
}
