import { describe, expect, it } from 'vitest';
import {
  describeError,
  markSayable,
  maskCredentials,
  maskValue,
} from '../../src/core/error-words.ts';
import { LastchunkError } from '../../src/core/errors.ts';

const TEXT = 'what a user wrote';

/** An error as `pg` makes it. */
function sqlError(code: string, fields: object = {}): Error {
  return Object.assign(new Error(`it says: ${TEXT}`), { severity: 'ERROR', code, ...fields });
}

const HERE = /error-words\.test\.ts:\d+/;

describe('the words of an error that only a server or a driver can have written', () => {
  it.each([
    ['no TLS', new Error('The server does not support SSL connections')],
    [
      'a password that is no string',
      new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'),
    ],
    ['a pool without a free connection', new Error('timeout exceeded when trying to connect')],
    [
      'a certificate',
      Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }),
    ],
    ['a broken connection', new Error('Connection terminated unexpectedly')],
    [
      'a socket',
      Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { syscall: 'connect' }),
    ],
    ['a message of lastchunk', new LastchunkError('closed', 'the store is closed')],
    [
      'an expired token',
      markSayable(new Error('The security token included in the request is expired')),
    ],
    ['a bug', new TypeError("Cannot read properties of undefined (reading 'rows')")],
  ])('are repeated: %s', (_name, error) => {
    expect(describeError(error)).toContain(error.message);
    expect(describeError(new Error(TEXT, { cause: error }))).toContain(error.message);
    expect(describeError(new Error(TEXT, { cause: error }))).not.toContain(TEXT);
  });

  it('are those of the first address if a host has several', () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED ::1:1'), { syscall: 'connect' });
    expect(describeError(new AggregateError([refused]))).toBe('connect ECONNREFUSED ::1:1');
  });

  it('are repeated for a missing table, but not for a RAISE with the same code', () => {
    expect(describeError(sqlError('42P01'))).toBe(`it says: ${TEXT}`);
    const where = 'PL/pgSQL function public.check_answer() line 3 at RAISE';
    expect(describeError(sqlError('42P01', { routine: 'exec_stmt_raise', where }))).toBe(
      `SQLSTATE 42P01: ${where}`,
    );
  });
});

describe('any other error', () => {
  it('is described by names of the catalogue for a value that the database refused', () => {
    const fields = { constraint: 'one_answer', schema: 'chat', table: 'answers', detail: TEXT };
    expect(describeError(sqlError('23505', fields))).toBe(
      'SQLSTATE 23505: constraint one_answer, schema chat, table answers',
    );
    expect(describeError(sqlError('23502', { table: 'answers', column: 'owner' }))).toBe(
      'SQLSTATE 23502: table answers, column owner',
    );
    expect(describeError(sqlError('23505', { constraint: TEXT }))).toBeUndefined();
    expect(describeError(sqlError('22P02'))).toBeUndefined();
  });

  it('is described by the database function that raised it', () => {
    const where = `PL/pgSQL function check_answer(text) line 7 at RAISE\nSQL statement "${TEXT}"`;
    const raised = sqlError('P0001', { routine: 'exec_stmt_raise', where });
    expect(describeError(raised)).toBe(
      'SQLSTATE P0001: PL/pgSQL function check_answer(text) line 7 at RAISE',
    );
  });

  it.each([
    ['an error', new Error(TEXT)],
    ['a value in a TypeError', new TypeError(`Cannot create property 'x' on string '${TEXT}'`)],
    ['a SyntaxError', new SyntaxError(`Unexpected token 'w', "${TEXT}" is not valid JSON`)],
  ])('is described by its type and the line of the app: %s', (_name, error) => {
    expect(describeError(error)).toMatch(HERE);
    expect(describeError(error)).toContain(error.name);
    expect(describeError(error)).not.toContain(TEXT);
  });

  it('is not described by a stack frame that its message forges', () => {
    const forged = new Error(`x\n    at ${TEXT} (/secret.ts:1:1)`);
    expect(describeError(forged)).toBeUndefined();
  });

  it.each(['text', undefined, null, 7, {}])('is not described if it is %j', (value) => {
    expect(describeError(value)).toBeUndefined();
  });

  it('is described without the parameters that a query builder puts into its message', () => {
    const cause = sqlError('23503', { constraint: 'fk' });
    const wrapper = Object.assign(new Error(`Failed query: insert … params: ${TEXT}`), { cause });
    expect(describeError(wrapper)).toContain('constraint fk');
    expect(describeError(wrapper)).not.toContain(TEXT);
  });
});

describe('a password', () => {
  it.each([
    ['postgres://user:secret@host/db', 'postgres://***@host/db'],
    ['at postgresql://u:se@cr/et@host:5432/db?x=1', 'at postgresql://***@host:5432/db?x=1'],
    ['"redis://:secret@host"', '"redis://***@host"'],
    ['host=h password=secret dbname=d', 'host=h password=*** dbname=d'],
    ["password='a b' x", 'password=*** x'],
    ['password = secret dbname=d', 'password=*** dbname=d'],
    ['at postgres://user:sec ret"s@host/db', 'at postgres://***@host/db'],
    ['https://example.com/a?b=c', 'https://example.com/a?b=c'],
  ])('is hidden in %s', (text, masked) => {
    expect(maskCredentials(text)).toBe(masked);
  });

  it.each([
    ['postgres://user:sec/r e"t\nx@host/db', 'postgres://***@host/db'],
    ['//user:secret@host', '//***@host'],
    ['postgres:\\\\user:secret@host', 'postgres:\\\\***@host'],
    ['user:secret@host/db', '***@host/db'],
    ['postgres://user:secret', 'postgres://***'],
    ['postgres://user:12secret/x', 'postgres://***'],
    ['host=h password=secret', 'host=h password=***'],
    ['postgres://host:5432/db', 'postgres://host:5432/db'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['maxPendingByts', 'maxPendingByts'],
  ])('is hidden in a value: %j', (value, masked) => {
    expect(maskValue(value)).toBe(masked);
  });

  it('is hidden in the description of an error', () => {
    const error = markSayable(new Error('cannot reach postgres://app:secret@db/chat'));
    expect(describeError(error)).not.toContain('secret');
  });
});
