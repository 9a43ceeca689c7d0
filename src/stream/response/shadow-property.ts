/**
 * Properties and methods that are put on an object of Node's or of the app's, and taken away again; and what is known of
 * such an object by a map, also through an object that inherits from it.
 */
import { isObject } from '../../core/values.ts';

/**
 * Shadows `target[name]` with `answer`. The object's own code may go on assigning values; the returned function restores
 * the property with the last of them.
 */
export function shadowProperty(target: object, name: string, answer: () => unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  const inherited = own === undefined ? inheritedDescriptor(target, name) : undefined;
  let assigned: unknown = own?.value;
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    get: answer,
    set: (value: unknown) => {
      assigned = value;
      inherited?.set?.call(target, value);
    },
  });
  return () => {
    Reflect.deleteProperty(target, name);
    if (own === undefined) return;
    Object.defineProperty(target, name, 'value' in own ? { ...own, value: assigned } : own);
  };
}

function inheritedDescriptor(target: object, name: string): PropertyDescriptor | undefined {
  let prototype: unknown = Object.getPrototypeOf(target);
  while (isObject(prototype)) {
    const found = Object.getOwnPropertyDescriptor(prototype, name);
    if (found !== undefined) return found;
    prototype = Object.getPrototypeOf(prototype);
  }
  return undefined;
}

/** Puts `methods` in front of those that `target` has and lets be shadowed; the returned function takes them away. */
export function shadowMethods(
  target: object,
  methods: Readonly<Record<string, unknown>>,
): () => void {
  const own = Object.keys(methods)
    .filter((name) => methodOf(target, name) !== undefined)
    .map((name) => ({ name, before: Object.getOwnPropertyDescriptor(target, name) }))
    .filter(({ before }) => before?.configurable !== false);
  for (const { name } of own) putMethod(target, name, methods[name]);
  return () => {
    for (const { name, before } of own) {
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    }
  };
}

/** The method of that name, its own or an inherited one; undefined where there is none. */
export function methodOf(
  target: object,
  name: string,
): ((...args: unknown[]) => unknown) | undefined {
  const method: unknown = Reflect.get(target, name);
  // The typings leave open what a function takes.
  return typeof method === 'function' ? (method as (...args: unknown[]) => unknown) : undefined;
}

/**
 * Gives `target` a method of its own. By assignment, as other middleware does: under Express each response has a hidden class of
 * its own, and five definitions took 46 us there, five assignments 10 (Node 20).
 */
export function putMethod(target: object, name: string, value: unknown): void {
  // Whatever was there is replaced.
  (target as Record<string, unknown>)[name] = value;
  if (Object.hasOwn(target, name)) return;
  // An accessor of its class took it.
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
}

/** Finds what belongs to an object, or to one that it inherits from: some hand on `Object.create(res)`. */
export function findInPrototypeChain<Found>(
  map: WeakMap<object, Found>,
  object: object,
): Found | undefined {
  let from: unknown = object;
  while (isObject(from)) {
    const found = map.get(from);
    if (found !== undefined) return found;
    from = Object.getPrototypeOf(from);
  }
  return undefined;
}
