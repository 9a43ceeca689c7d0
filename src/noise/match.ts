/** Does this thing look like that row? Reads nothing but what it is asked for, from objects that nobody vouches for. */
import type { Look } from './rows.ts';
import { isReference } from '../core/values.ts';

/** True when everything that `look` names agrees. May throw what a getter or a proxy throws. */
export function looksLike(error: object, look: Look): boolean {
  const { code, name, className, message, syscall, type, stack } = look;
  return (
    agrees(code, error, 'code') &&
    agrees(name, error, 'name') &&
    agrees(message, error, 'message') &&
    agrees(type, error, 'type') &&
    agrees(stack, error, 'stack') &&
    (syscall === undefined || syscall === (property(error, 'syscall') !== undefined)) &&
    (className === undefined || isOfClass(error, className))
  );
}

/** A class of this name is in the prototype chain: a package may be installed twice, so identity would not do. */
export function isOfClass(error: object, className: string): boolean {
  let prototype: unknown = Object.getPrototypeOf(error);
  // Real chains are short; a proxy's may have no end.
  for (let depth = 0; depth < 10 && isReference(prototype); depth += 1) {
    const made = property(prototype, 'constructor');
    if (typeof made === 'function' && made.name === className) return true;
    prototype = Object.getPrototypeOf(prototype);
  }
  return false;
}

export function property(of: object, key: string): unknown {
  return Reflect.get(of, key);
}

function agrees(wanted: string | number | RegExp | undefined, error: object, key: string): boolean {
  if (wanted === undefined) return true;
  const value = property(error, key);
  if (wanted instanceof RegExp) return typeof value === 'string' && wanted.test(value);
  return value === wanted;
}
