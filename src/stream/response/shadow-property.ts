/**
 * Answers for a property of somebody else's object, for a while: the object's own code may go on assigning the
 * truth, which is kept and given back at the end.
 */
import { isObject } from '../../core/values.ts';

/** Shadows `target[name]` with `answer`; the returned function gives the truth back. */
export function cover(target: object, name: string, answer: () => unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(target, name);
  const inherited = own === undefined ? inheritedDescriptor(target, name) : undefined;
  let truth: unknown = own?.value;
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: own?.enumerable ?? false,
    get: answer,
    set: (value: unknown) => {
      truth = value;
      inherited?.set?.call(target, value);
    },
  });
  return () => {
    Reflect.deleteProperty(target, name);
    if (own === undefined) return;
    Object.defineProperty(target, name, 'value' in own ? { ...own, value: truth } : own);
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
