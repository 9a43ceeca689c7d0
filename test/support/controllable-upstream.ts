/** A source of chunks under the test's control: what a model would say, when the test wants it said. */

/** An async iterable that is filled by hand. */
export interface ControllableUpstream extends AsyncIterable<string> {
  push(...chunks: readonly string[]): void;
  end(): void;
  fail(error: unknown): void;
  /** True once its reader gave up (`return()` was called): an upstream that was cancelled. */
  readonly cancelled: boolean;
}

/** Creates a controlled that holds what is pushed until it is read. */
export function createControllableUpstream(): ControllableUpstream {
  const waiting: string[] = [];
  let over: { readonly error?: unknown } | undefined;
  let cancelled = false;
  let wake: (() => void) | undefined;
  const nudge = (): void => {
    wake?.();
    wake = undefined;
  };
  const next = async (): Promise<IteratorResult<string, undefined>> => {
    for (;;) {
      const value = waiting.shift();
      if (value !== undefined) return { done: false, value };
      if (over !== undefined) {
        if ('error' in over) throw over.error;
        return { done: true, value: undefined };
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return {
    push: (...chunks) => {
      waiting.push(...chunks);
      nudge();
    },
    end: () => {
      over ??= {};
      nudge();
    },
    fail: (error) => {
      over ??= { error };
      nudge();
    },
    get cancelled() {
      return cancelled;
    },
    [Symbol.asyncIterator]: () => ({
      next,
      return: () => {
        cancelled = true;
        over ??= {};
        waiting.length = 0;
        nudge();
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
}

/** A promise with its two ends. */
export interface Gate<T = void> {
  readonly promise: Promise<Awaited<T>>;
  open(value: T): void;
}

/** Something a handler waits for until the test lets it go on. */
export function createGate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<Awaited<T>>((resolve) => {
    // A promise that is resolved with a promise waits for it.
    open = resolve as (value: T) => void;
  });
  return { promise, open: (value) => open(value) };
}
