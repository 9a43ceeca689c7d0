/** What an instance says at its start: one sentence for each thing that may be so. */
import { describe, expect, it, vi } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
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
      { journal: JOURNAL, store: { address: ADDRESS, answer: 'reachable' } },
      'info',
    ],
    [
      `${HERE}; store of the app's own`,
      { journal: JOURNAL, store: { address: undefined, answer: 'unasked' } },
      'info',
    ],
    [
      `no journal; store ${ADDRESS} reachable`,
      { journal: undefined, store: { address: ADDRESS, answer: 'reachable' } },
      'info',
    ],
    [
      'no store: streams are observed, and nothing is saved',
      { journal: undefined, store: undefined },
      'info',
    ],
    [
      `journal in /app/.lastchunk cannot be used (read-only): \`npx lastchunk doctor --journal /app/.lastchunk\` says what to do; store ${ADDRESS} reachable`,
      { journal: UNUSABLE, store: { address: ADDRESS, answer: 'reachable' } },
      'error',
    ],
    [
      `${HERE}; store ${ADDRESS} has not answered for 5 s; until then messages wait in the journal`,
      { journal: JOURNAL, store: { address: ADDRESS, answer: 'silent' } },
      'warn',
    ],
    [
      `${HERE}; store ${ADDRESS} cannot be used: the table chat has not been made: run it; until then messages wait in the journal`,
      {
        journal: JOURNAL,
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
        store: failing(coded('ECONNREFUSED', 'connect ECONNREFUSED 10.0.0.1:5432')),
      },
      'error',
    ],
  ])('says: %s', (line, facts, level) => {
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
  ])('of a store that answers %s says what to do', (code, words, todo) => {
    const error = code === '' ? new Error(words) : coded(code, words);
    expect(startLine({ journal: JOURNAL, store: failing(error) }).line).toBe(
      `${HERE}; store ${ADDRESS} not reachable: ${words} (${todo}); until then messages wait in the journal`,
    );
  });

  it('says of a host with several addresses what the first of them says', () => {
    const errors = ['::1', '127.0.0.1'].map((host) =>
      coded('ECONNREFUSED', `connect ECONNREFUSED ${host}:5432`),
    );
    const { line } = startLine({
      journal: JOURNAL,
      store: { address: ADDRESS, answer: { error: new AggregateError(errors, '') } },
    });
    expect(line).toContain('not reachable');
    expect(line).toContain('is PostgreSQL running there, and is that the port?');
  });
});

describe('telling it', () => {
  it('remembers the error that it told, so that nobody tells it again', async () => {
    const logbook = createLogbook();
    const told = new WeakSet<object>();
    const error = new Error('away');
    await tellStart({
      logger: logbook.logger,
      journal: () => JOURNAL,
      store: { address: ADDRESS },
      ask: () => Promise.reject(error),
      told,
      isClosing: () => false,
    });
    expect(told.has(error)).toBe(true);
    expect(logbook.lines.map(({ level }) => level)).toEqual(['warn']);
  });

  it('says nothing of an instance that is closed by then', async () => {
    const logbook = createLogbook();
    await tellStart({
      logger: logbook.logger,
      journal: () => JOURNAL,
      store: {},
      ask: () => Promise.reject(new Error('the store is closed')),
      told: new WeakSet(),
      isClosing: () => true,
    });
    expect(logbook.lines).toEqual([]);
  });

  it('waits five seconds for a store that says nothing', async () => {
    vi.useFakeTimers();
    try {
      const logbook = createLogbook();
      const telling = tellStart({
        logger: logbook.logger,
        journal: () => JOURNAL,
        store: { address: ADDRESS },
        ask: () => new Promise(() => {}),
        told: new WeakSet(),
        isClosing: () => false,
      });
      await vi.advanceTimersByTimeAsync(5_000);
      await telling;
      expect(logbook.lines.map(({ text }) => text).join('')).toContain(
        'has not answered for 5 s; until then messages wait in the journal',
      );
    } finally {
      vi.useRealTimers();
    }
  });
});
