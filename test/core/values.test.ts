import { describe, expect, it } from 'vitest';
import {
  isMissing,
  isObject,
  isRecord,
  isReference,
  isThenable,
  toRecord,
} from '../../src/core/values.ts';

const VALUES: readonly (readonly [string, unknown, string])[] = [
  ['an object', {}, 'object record reference'],
  ['an object without prototype', Object.create(null), 'object record reference'],
  ['an array', [], 'object reference'],
  ['a function', () => 1, 'reference'],
  ['null', null, ''],
  ['undefined', undefined, ''],
  ['a string', 'text', ''],
  ['a number', 0, ''],
];

describe('isObject, isRecord and isReference', () => {
  it.each(VALUES)('classify %s', (_name, value, expected) => {
    const kinds = [
      isObject(value) && 'object',
      isRecord(value) && 'record',
      isReference(value) && 'reference',
    ];
    expect(kinds.filter(Boolean).join(' ')).toBe(expected);
  });
});

describe('isThenable', () => {
  it.each([
    ['a promise', Promise.resolve(), true],
    ['an object with then', Object.create(Promise.prototype), true],
    ['a function with then', Object.setPrototypeOf(() => 1, Promise.prototype), true],
    ['an object whose then is no function', JSON.parse('{"then":1}'), false],
    ['a plain object', {}, false],
    ['null', null, false],
  ])('classifies %s', (_name, value, expected) => {
    expect(isThenable(value)).toBe(expected);
  });
});

it('copies the fields of an object; from any other value it copies nothing', () => {
  const value = { a: 1 };
  expect(toRecord(value)).toEqual({ a: 1 });
  expect(toRecord(value)).not.toBe(value);
  expect([toRecord([1]), toRecord(null), toRecord('text')]).toEqual([{}, {}, {}]);
});

it('distinguishes a missing file from other errors', () => {
  const withCode = (code: string): Error => Object.assign(new Error(code), { code });
  expect(isMissing(withCode('ENOENT'))).toBe(true);
  expect([isMissing(withCode('EACCES')), isMissing({ code: 'ENOENT' })]).toEqual([false, false]);
});
