/**
 * Properties and methods that are put on an object of Node or of the app, and removed again; and the lookup of an object, or of
 * one that inherits from it, in a `WeakMap`.
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

/** Shadows the methods that `target` has, unless they are not configurable; the returned function restores them. */
export function shadowMethods(
  target: object,
  methods: Readonly<Record<string, unknown>>,
): () => void {
  const own = Object.keys(methods)
    .filter((name) => methodOf(target, name) !== undefined)
    .map((name) => ({ name, before: Object.getOwnPropertyDescriptor(target, name) }))
    .filter(({ before }) => before?.configurable !== false);
  for (const { name } of own) define(target, name, methods[name]);
  return () => {
    for (const { name, before } of own) {
      if (before === undefined) Reflect.deleteProperty(target, name);
      else Object.defineProperty(target, name, before);
    }
  };
}

/** The method of that name, own or inherited; undefined where there is none. */
export function methodOf(
  target: object,
  name: string,
): ((...args: unknown[]) => unknown) | undefined {
  const method: unknown = Reflect.get(target, name);
  // The typings leave open what a function takes.
  return typeof method === 'function' ? (method as (...args: unknown[]) => unknown) : undefined;
}

/**
 * Gives a response a method of its own, by assignment, as other middleware does. Under Express each response has its own hidden
 * class, and there five calls of `defineProperty` took 46 us, five assignments 10 us (Node 20).
 */
export function putMethod(res: object, name: string, value: unknown): void {
  const isAssigned = Reflect.set(res, name, value);
  // A read-only property of its prototype refuses the assignment, and a setter may do anything with it.
  if (isAssigned && Object.hasOwn(res, name) && Reflect.get(res, name) === value) return;
  define(res, name, value);
}

function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
}

/** Finds the entry of an object, or of one that it inherits from: some frameworks pass on `Object.create(res)`. */
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
