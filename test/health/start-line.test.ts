/** What an instance says at its start: one sentence for each thing that may be so. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
import { safeLogger } from '../../src/core/logger.ts';
import { markSayable } from '../../src/core/error-words.ts';
import { startLine, type StoreAtStart, tellStart } from '../../src/health/start-line.ts';
import type { JournalState } from '../../src/journal/port.ts';
import { createLogbook } from '../support/logbook.ts';

const STATE: JournalState = {
  entries: 0,
  bytes: 0,
  capacityBytes: 1000,
  oldestEntryMs: 0,
  degraded: undefined,
  corruptRecords: 0,
  fileSystem: 'disk',
  ephemeral: false,
};
const JOURNAL = { path: '/app/.lastchunk', state: STATE };
const UNUSABLE = { path: '/app/.lastchunk', state: { ...STATE, degraded: 'read-only' } };
const ADDRESS = 'postgres://db:5432/chat';
const HERE = 'journal in /app/.lastchunk, on disk';

function failing(error: Error): StoreAtStart {
  return { address: ADDRESS, answer: { error: markSayable(error) } };
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

describe('the line of the start', () => {
  it.each<[string, Parameters<typeof startLine>[0], string]>([
    [
      `${HERE}; store ${ADDRESS} reachable`,
      { journal: JOURNAL, hasRelay: false, store: { address: ADDRESS, answer: 'reachable' } },
      'info',
    ],
    [
      `${HERE}; store of the app's own`,
      { journal: JOURNAL, hasRelay: false, store: { address: undefined, answer: 'unasked' } },
      'info',
    ],
    [
      `no journal; store ${ADDRESS} reachable`,
      { journal: undefined, hasRelay: false, store: { address: ADDRESS, answer: 'reachable' } },
      'info',
    ],
    [
      'no store: streams are observed, and nothing is saved',
      { journal: undefined, hasRelay: false, store: undefined },
      'info',
    ],
    [
      `journal in /app/.lastchunk cannot be used (read-only): \`npx lastchunk doctor --journal /app/.lastchunk\` says what to do; store ${ADDRESS} reachable`,
      { journal: UNUSABLE, hasRelay: false, store: { address: ADDRESS, answer: 'reachable' } },
      'error',
    ],
    [
      `${HERE}; store ${ADDRESS} has not answered for 5 s; until then messages wait in the journal`,
      { journal: JOURNAL, hasRelay: false, store: { address: ADDRESS, answer: 'silent' } },
      'warn',
    ],
    [
      `${HERE}; store ${ADDRESS} cannot be used: the table chat has not been made: run it; until then messages wait in the journal`,
      {
        journal: JOURNAL,
        hasRelay: false,
        store: failing(
          new LastchunkError('not-migrated', 'the table chat has not been made: run it'),
        ),
      },
      'warn',
    ],
    [
      `no journal; store ${ADDRESS} not reachable: connect ECONNREFUSED 10.0.0.1:5432 (is PostgreSQL running there, and is that the port?); until then messages wait in memory only`,
      {
        journal: undefined,
        hasRelay: false,
        store: failing(coded('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:5432')),
      },
      'error',
    ],
    [
      `no journal, but a relay; store ${ADDRESS} reachable`,
      { journal: undefined, hasRelay: true, store: { address: ADDRESS, answer: 'reachable' } },
      'info',
    ],
    [
      `no journal, but a relay; store ${ADDRESS} has not answered for 5 s; until then messages wait in the relay`,
      { journal: undefined, hasRelay: true, store: { address: ADDRESS, answer: 'silent' } },
      'warn',
    ],
    [
      `journal in /app/.lastchunk cannot be used (read-only): \`npx lastchunk doctor --journal /app/.lastchunk\` says what to do; store ${ADDRESS} has not answered for 5 s; until then messages wait in memory only`,
      { journal: UNUSABLE, hasRelay: true, store: { address: ADDRESS, answer: 'silent' } },
      'error',
    ],
  ])('reads: %s', (line, facts, level) => {
    expect(startLine(facts)).toEqual({ level, line });
  });

  it.each([
    ['ENOTFOUND', 'getaddrinfo ENOTFOUND db', 'no such host: look at the address'],
    [
      'ETIMEDOUT',
      'connect ETIMEDOUT',
      'nothing answers there: look at the address and at firewalls',
    ],
    [
      '28P01',
      'password authentication failed for user "chat"',
      'look at user, password and pg_hba.conf',
    ],
    [
      '28000',
      'no pg_hba.conf entry for host "10.0.0.9", user "chat", database "chat", no encryption',
      'the server wants TLS: add `?sslmode=require` to the address, or `ssl: true`',
    ],
    [
      '',
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string',
      'look at the password: it is missing or no string',
    ],
    ['3D000', 'database "chat" does not exist', 'make the database, or look at its name'],
    [
      '',
      'The server does not support SSL connections',
      'leave out `ssl` and `sslmode`, or turn TLS on at the server',
    ],
    [
      'SELF_SIGNED_CERT_IN_CHAIN',
      'self-signed certificate in certificate chain',
      'give the authority with `ssl: { ca }`, or `sslrootcert` in the address',
    ],
    [
      '42501',
      'permission denied for table chat',
      'grant the user SELECT, INSERT and UPDATE on the table',
    ],
    ['53300', 'sorry, too many clients already', 'the server has no connection left'],
  ])('of a store that answers %s names the remedy', (code, words, todo) => {
    const error = code === '' ? new Error(words) : coded(code, words);
    expect(startLine({ journal: JOURNAL, hasRelay: false, store: failing(error) }).line).toBe(
      `${HERE}; store ${ADDRESS} not reachable: ${words} (${todo}); until then messages wait in the journal`,
    );
  });

  it('of a host with several addresses has the error of the first address', () => {
    const errors = ['::1', '127.0.0.1'].map((host) =>
      coded('ECONNREFUSED', `connect ECONNREFUSED ${host}:5432`),
    );
    const { line } = startLine({
      journal: JOURNAL,
      hasRelay: false,
      store: { address: ADDRESS, answer: { error: new AggregateError(errors, '') } },
    });
    expect(line).toContain('not reachable');
    expect(line).toContain('is PostgreSQL running there, and is that the port?');
  });
});

/** A promise that the test settles. */
function pending() {
  let [resolve, reject]: [() => void, (error: Error) => void] = [() => {}, () => {}];
  const promise = new Promise<void>((fulfil, refuse) => {
    [resolve, reject] = [fulfil, refuse];
  });
  return { promise, resolve: () => resolve(), reject: (error: Error) => reject(error) };
}

/** A start whose store answers as it is told to. */
function createBench(answer: () => Promise<unknown>, isClosing = false) {
  const logbook = createLogbook();
  const told = new WeakSet<object>();
  const reachable: (() => void)[] = [];
  const telling = tellStart({
    logger: logbook.logger,
    journal: () => JOURNAL,
    hasRelay: false,
    store: { address: ADDRESS },
    ask: answer,
    whenReachable: (tell) => void reachable.push(tell),
    told,
    isClosing: () => isClosing,
  });
  const lines = (): readonly string[] => logbook.lines.map(({ level, text }) => `${level} ${text}`);
  return { telling, told, reachable, lines };
}

describe('logging the line of the start', () => {
  afterEach(() => void vi.useRealTimers());

  it('remembers the error in it, so that no other part logs it again', async () => {
    const error = new Error('away');
    const { telling, told, lines } = createBench(() => Promise.reject(error));
    await telling;
    expect(told.has(error)).toBe(true);
    expect(lines()).toEqual([expect.stringMatching(/^warn /)]);
  });

  it('logs nothing for an instance that is already closed', async () => {
    const { telling, lines } = createBench(() => Promise.reject(new Error('closed')), true);
    await telling;
    expect(lines()).toEqual([]);
  });

  it('waits five seconds for a store that does not answer', async () => {
    vi.useFakeTimers();
    const { lines } = createBench(() => new Promise(() => {}));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(lines().join('')).toContain(
      'has not answered for 5 s; until then messages wait in the journal',
    );
  });

  it('logs an error that comes after the line', async () => {
    vi.useFakeTimers();
    const late = pending();
    const { telling, lines } = createBench(() => late.promise);
    await vi.advanceTimersByTimeAsync(5_000);
    late.reject(markSayable(coded('28P01', 'password authentication failed for user "chat"')));
    await telling;
    expect(lines().slice(1)).toEqual([
      `warn {"about":"store"} lastchunk: store ${ADDRESS} not reachable: password authentication failed for user "chat" (look at user, password and pg_hba.conf); until then messages wait in the journal`,
    ]);
  });

  it('logs that the store answers after all', async () => {
    vi.useFakeTimers();
    const late = pending();
    const { telling, lines, reachable } = createBench(() => late.promise);
    await vi.advanceTimersByTimeAsync(5_000);
    late.resolve();
    await telling;
    expect(lines().slice(1)).toEqual([
      `info {"about":"store","event":"recovered"} lastchunk: store ${ADDRESS} reachable`,
    ]);
    expect(reachable).toEqual([]);
  });

  it('logs that an unreachable store has become reachable, when another part reports it', async () => {
    const { telling, lines, reachable } = createBench(() => Promise.reject(new Error('away')));
    await telling;
    for (const tell of reachable) tell();
    expect(lines().slice(1)).toEqual([
      `info {"about":"store","event":"recovered"} lastchunk: store ${ADDRESS} reachable`,
    ]);
  });

  it('writes one line, whatever the error of the store contains', () => {
    const error = markSayable(new Error('no\nlastchunk info: journal in /x'));
    const { line } = startLine({
      journal: JOURNAL,
      hasRelay: false,
      store: { address: ADDRESS, answer: { error } },
    });
    const said: string[] = [];
    const at = (_fields: object, message: string): void => void said.push(message);
    safeLogger({ debug: at, info: at, warn: at, error: at }).warn({}, line);
    expect(said.join('').split('\n')).toHaveLength(1);
  });
});
