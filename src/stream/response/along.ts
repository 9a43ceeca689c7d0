/** Finds what belongs to an object, or to the one that it inherits from: some hand on `Object.create(res)`. */
import { isObject } from '../../core/values.ts';
export function along<Found>(map: WeakMap<object, Found>, object: object): Found | undefined {
  let from: unknown = object;
  while (isObject(from)) {
    const found = map.get(from);
    if (found !== undefined) return found;
    from = Object.getPrototypeOf(from);
  }
  return undefined;
}
