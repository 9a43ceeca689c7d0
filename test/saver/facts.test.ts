/** What is a refusal, what may be said about an error, how large a message is. */
import { expect, test } from 'vitest';
import { refusalOf, refuse } from '../../src/core/refusal.ts';
import { LastchunkError } from '../../src/core/errors.ts';
import { describeError } from '../../src/core/error-words.ts';
import { sizeOf } from '../../src/saver/batcher.ts';
import { messageOf, openedStream, sqlError } from './fakes.ts';

test.each([
  ['22001', true, 'a value too long'],
  ['22021', true, 'an invalid byte sequence'],
  ['22P05', true, 'an untranslatable character'],
  ['23502', true, 'a null where none may be'],
  ['23503', true, 'a foreign key'],
  ['23514', true, 'a check'],
  ['54000', true, 'a program limit'],
  ['23505', true, 'a unique violation'],
  ['54001', false, 'a statement too complex'],
  ['40001', false, 'a serialization failure'],
  ['42P01', false, 'a missing table'],
  ['53100', false, 'a full disk'],
  ['57P01', false, 'a shutdown'],
  ['25006', false, 'a read-only replica'],
  ['28P01', false, 'a wrong password'],
])('SQLSTATE %s is a refusal of the message: %s (%s)', (code, isRefused) => {
  expect(refusalOf(sqlError(code)) === code).toBe(isRefused);
});

test('an error without an SQLSTATE is not a refusal', () => {
  for (const error of [new Error('x'), { code: 22001 }, 'no', null, undefined, { code: '2200' }]) {
    expect(refusalOf(error)).toBeUndefined();
  }
  expect(refusalOf(Object.assign(new Error('x'), { code: 'EPIPE' }))).toBeUndefined();
});

test('a refusal is found in the causes of an error, first by refuse(), then by SQLSTATE', () => {
  const wrapped = new Error('Failed query', {
    cause: new Error('x', { cause: sqlError('23503') }),
  });
  expect(refusalOf(wrapped)).toBe('23503');
  expect(refusalOf(Object.assign(wrapped, { code: 'P2003' }))).toBe('23503');
  expect(refusalOf(new Error('Failed query', { cause: sqlError('57P01') }))).toBeUndefined();
  expect(refusalOf(refuse(sqlError('57P01'), 'too-large'))).toBe('too-large');
  expect(refusalOf(new Error('wrapped', { cause: refuse('no', 'too-large') }))).toBe('too-large');
  expect(refusalOf(refuse(Object.freeze(new Error('x')), 'duplicate_key'))).toBe('duplicate_key');
  expect(refusalOf(refuse(new Error('x'), 'the text of a user'))).toBe('refused');
  const cyclic = new Error('x');
  cyclic.cause = cyclic;
  expect(refusalOf(cyclic)).toBeUndefined();
});

test('only an error that cannot repeat a value is described by its own message', () => {
  expect(describeError(sqlError('22P02'))).toBeUndefined();
  expect(describeError(sqlError('23505'))).toBeUndefined();
  expect(describeError(new Error('anything'))).not.toContain('anything');
  expect(describeError(sqlError('42P01'))).toContain('42P01');
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { syscall: 'connect' });
  expect(describeError(refused)).toBe('connect ECONNREFUSED');
  expect(describeError(new LastchunkError('not-migrated', 'run migrate'))).toBe('run migrate');
});

test('the size of a message with events includes the body from which they were read', () => {
  const opened = openedStream();
  const plain = sizeOf(messageOf(opened, { text: 'x'.repeat(1_000) }));
  const withEvents = sizeOf(
    messageOf(opened, { text: 'x'.repeat(1_000), events: [{}], bytes: 9_000, droppedBytes: 1_000 }),
  );
  expect(withEvents - plain).toBe(8_000);
});
