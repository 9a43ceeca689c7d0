/**
 * Type guards for values of unknown shape: returned by an app, sent by an upstream, thrown by a driver. None calls a method of the value;
 * `in` and reading a field may throw what a proxy or a getter throws.
 */

/** An object or an array; not a function, not null. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** An object that is not an array, as JSON has it. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return isObject(value) && !Array.isArray(value);
}

/** An object, an array or a function, which can be a key of a `WeakMap`. */
export function isReference(value: unknown): value is object {
  return isObject(value) || typeof value === 'function';
}

/** A shallow copy of an object's own fields; empty for anything that `isRecord` refuses. */
export function toRecord(value: unknown): Record<string, unknown> {
  return isRecord(value) ? { ...value } : {};
}

/** A promise, or anything else that `await` waits for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return isReference(value) && 'then' in value && typeof value.then === 'function';
}

/** An error of the file system that says that there is no such file or directory. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
