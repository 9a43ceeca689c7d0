/** The streams of a process are shared by all copies of the package, also of other versions. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { expect, it, vi } from 'vitest';

const KEY = Symbol.for('lastchunk.current');

it('adds the fields that it needs to the shared state that a copy of another version has made', async () => {
  const older = { storage: new AsyncLocalStorage(), places: new WeakMap(), ofTheOther: 1 };
  const before: unknown = Reflect.get(globalThis, KEY);
  Reflect.set(globalThis, KEY, older);
  try {
    vi.resetModules();
    const { isSaveError, isStopReason, markSaveError, markStopReason, streamPlaces } =
      await import('../../src/core/current-stream.ts');
    const [failed, reason] = [new Error('save'), new Error('stop')];
    markSaveError(failed);
    markStopReason(reason);
    expect([isSaveError(failed), isStopReason(reason)]).toEqual([true, true]);
    expect(streamPlaces()).toBe(older.places);
    expect(Reflect.get(globalThis, KEY)).toBe(older);
    expect(older.ofTheOther).toBe(1);
  } finally {
    Reflect.set(globalThis, KEY, before);
  }
});
