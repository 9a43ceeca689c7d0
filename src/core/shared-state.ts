/**
 * State of a process that all copies of this version share: an app may load the package as an ES module and as CommonJS, and
 * a bundle may hold a copy beside the installed one.
 */
import { VERSION } from './version.ts';

/**
 * The value under `name`, created by the first copy that requests it. Separate for each version, because another version may have a value
 * of another shape.
 */
export function sharedState<T extends object>(name: string, make: () => T): T {
  const key = Symbol.for(`lastchunk.${name}@${VERSION}`);
  const present: unknown = Reflect.get(globalThis, key);
  // The value under this key was created by this function, in this version, with the same `name`.
  if (present !== undefined) return present as T;
  const made = make();
  Reflect.set(globalThis, key, made);
  return made;
}
