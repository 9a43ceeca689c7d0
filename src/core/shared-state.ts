/**
 * State of a process that all copies of this version share: an app may load the package as an ES module and as CommonJS, and
 * a bundle may hold a copy beside the installed one.
 */
import { VERSION } from './version.ts';

/**
 * The value under `name`, made by the first copy that asks. By version, because a copy of another version has values of
 * another make.
 */
export function sharedState<T extends object>(name: string, make: () => T): T {
  const key = Symbol.for(`lastchunk.${name}@${VERSION}`);
  const present: unknown = Reflect.get(globalThis, key);
  // What stands under our own key was made by this function, in this version, from the same call.
  if (present !== undefined) return present as T;
  const made = make();
  Reflect.set(globalThis, key, made);
  return made;
}
