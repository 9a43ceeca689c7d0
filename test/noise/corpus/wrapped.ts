/** Errors around errors, errors that only sound like it, saves, and things that are hardly errors at all. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Case, Scene, Stage } from './case.ts';
import { abortAfter, ours, rejection, upstream } from './provoke.ts';

const ONLY_WITHOUT_CLIENT: Partial<Record<Scene, boolean>> = {
  left: true,
  stopped: true,
  there: false,
};
const NEVER: Partial<Record<Scene, boolean>> = { left: false, stopped: false, there: false };

/** What a fetch rejects with whose client is gone. */
async function cancelled(stage: Stage): Promise<unknown> {
  const url = await upstream('silent');
  return abortAfter(stage, (signal) => fetch(url, { signal }));
}

/** A real failure of an upstream, whoever is there. */
async function broken(): Promise<unknown> {
  const url = await upstream('hangingUp');
  return rejection(fetch(url));
}

const causes: readonly Case[] = [
  {
    what: 'an error of the app around a cancellation',
    source: 'causes',
    look: 'Error Error -',
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => new Error('no answer', { cause: await cancelled(stage) }),
  },
  {
    what: 'an error of the app around a failure',
    source: 'causes',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      await stage.depart();
      return new Error('aborted', { cause: await broken() });
    },
  },
  {
    what: 'a cancellation at the bottom of a deep chain',
    source: 'causes',
    look: 'Error Error -',
    noise: { left: false },
    provoke: async (stage) => {
      let error = await cancelled(stage);
      for (let i = 0; i < 6; i += 1) error = new Error(`layer ${i}`, { cause: error });
      return error;
    },
  },
  {
    what: 'a cycle of causes with a cancellation in it',
    source: 'causes',
    look: 'Error Error -',
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const inner = await brokenOffTimer(stage);
      const outer = new Error('no answer', { cause: inner });
      inner.cause = outer;
      return outer;
    },
  },
  {
    what: 'a cycle of causes without one',
    source: 'causes',
    look: 'Error Error -',
    noise: { left: false, there: false },
    provoke: async (stage) => {
      const [one, other] = [new Error('aborted'), new Error('terminated')];
      one.cause = other;
      other.cause = one;
      await stage.depart();
      return one;
    },
  },
  {
    what: 'several requests of which all were cancelled',
    source: 'AggregateError',
    look: 'AggregateError AggregateError -',
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, (signal) =>
        Promise.any([fetch(url, { signal }), delay(60_000, undefined, { signal })]),
      );
    },
  },
  {
    what: 'several requests of which one failed',
    source: 'AggregateError',
    look: 'AggregateError AggregateError -',
    noise: NEVER,
    provoke: async (stage) => {
      const [silent, hangingUp] = [await upstream('silent'), await upstream('hangingUp')];
      return abortAfter(stage, (signal) =>
        Promise.any([fetch(silent, { signal }), fetch(hangingUp)]),
      );
    },
  },
  {
    what: 'several requests of which one timed out',
    source: 'AggregateError',
    look: 'AggregateError AggregateError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, (signal) =>
        Promise.any([fetch(url, { signal }), fetch(url, { signal: AbortSignal.timeout(0) })]),
      );
    },
  },
  {
    what: 'undefined in place of an error',
    source: 'AggregateError',
    look: 'AggregateError AggregateError -',
    noise: { left: false },
    provoke: async (stage) => {
      await stage.depart();
      return rejection(Promise.any([]));
    },
  },
];

/** A timer's abort, whose cause can be changed. */
async function brokenOffTimer(stage: Stage): Promise<Error> {
  const error = await abortAfter(stage, (signal) => delay(60_000, undefined, { signal }));
  // timers/promises reject with an Error.
  return error as Error;
}

/** Made by hand, as apps make them. */
const byHand = (what: string, look: string, make: () => unknown): Case => ({
  what,
  source: 'app',
  look,
  noise: NEVER,
  provoke: async (stage) => {
    await stage.depart();
    return make();
  },
});

const sounding: readonly Case[] = [
  byHand('an error that says aborted', 'Error Error -', () => new Error('aborted')),
  byHand('an error with a code by hand', 'Error Error ECONNRESET', () =>
    Object.assign(new Error('aborted'), { code: 'ECONNRESET' }),
  ),
  byHand('an error with a name by hand', 'Error AbortError -', () =>
    Object.assign(new Error('give up, do not retry'), { name: 'AbortError' }),
  ),
  byHand('a bug', 'TypeError TypeError -', () => {
    try {
      return (undefined as unknown as { text: string }).text;
    } catch (error) {
      return error;
    }
  }),
  byHand(
    'a TypeError that says terminated',
    'TypeError TypeError -',
    () => new TypeError('terminated'),
  ),
  byHand('a string', 'string', () => 'aborted'),
  byHand('nothing', 'undefined', () => undefined),
];

const strange: readonly Case[] = [
  {
    what: 'an object whose getters throw',
    source: 'app',
    look: 'Object - -',
    noise: { left: false },
    provoke: async (stage) => {
      await stage.depart();
      const get = (): never => {
        throw new Error('no');
      };
      return Object.defineProperties({}, { cause: { get }, message: { get } });
    },
  },
  {
    what: 'a save of the app that fails as if it had been cancelled',
    source: 'saves',
    look: 'AbortError AbortError ABORT_ERR',
    noise: { left: false, stopped: false, there: false },
    provoke: (stage) =>
      abortAfter(stage, (signal) =>
        stage.keep.track(stage.res, delay(60_000, undefined, { signal })),
      ),
  },
  {
    what: "a save of the app that the stream's own signal breaks off",
    source: 'saves',
    look: 'AbortError AbortError ABORT_ERR',
    noise: { left: false, stopped: false },
    provoke: (stage) =>
      ours(stage, (signal) => stage.keep.track(stage.res, delay(60_000, undefined, { signal }))),
  },
];

export const WRAPPED: readonly Case[] = [...causes, ...sounding, ...strange];
