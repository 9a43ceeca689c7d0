import { expect, test } from 'vitest';
import { errorTypeOf } from '../../src/core/errors.ts';

class UpstreamFailure extends Error {}

test.each([
  ['an SQLSTATE', Object.assign(new Error('x'), { code: '57P01' }), '57P01'],
  ['a code of Node', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
  ['a code of lastchunk', Object.assign(new Error('x'), { code: 'not-migrated' }), 'not-migrated'],
  ['a code on an object that is not an error', { code: 'EPIPE' }, 'EPIPE'],
  ['a class with a name of its own', new TypeError('x'), 'TypeError'],
  ['a class that never set its name', new UpstreamFailure('x'), 'UpstreamFailure'],
  ['a DOMException', new DOMException('x', 'InvalidStateError'), 'InvalidStateError'],
  ['a code that could be a sentence', Object.assign(new Error('x'), { code: 'a b\nc' }), 'Error'],
  ['a name that could be a sentence', Object.assign(new Error('x'), { name: 'a b' }), 'Error'],
  ['a name that is no string', Object.assign(new Error('x'), { name: 7 }), 'Error'],
  ['a number as code', Object.assign(new RangeError('x'), { code: 11 }), 'RangeError'],
  ['a text', 'text', '_OTHER'],
  ['nothing', undefined, '_OTHER'],
])('the error type of %s is a short word that no user can have written', (_what, error, type) => {
  expect(errorTypeOf(error)).toBe(type);
});
