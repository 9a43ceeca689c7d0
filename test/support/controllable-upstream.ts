/** A source of chunks that a test controls: the test decides what the model sends, and when. */

/** An async iterable that is filled by hand. */
export interface ControllableUpstream extends AsyncIterable<string> {
  push(...chunks: readonly string[]): void;
  end(): void;
  fail(error: unknown): void;
  /** True once its reader has called `return()`: the upstream was cancelled. */
  readonly cancelled: boolean;
}

/** Creates an upstream that stores pushed chunks until they are read. */
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

/** A promise, and the function that resolves it. */
export interface Gate<T = void> {
  readonly promise: Promise<Awaited<T>>;
  open(value: T): void;
}

/** Creates a gate: a handler waits for the promise, and the test opens it. */
export function createGate<T = void>(): Gate<T> {
  let open: (value: T) => void = () => undefined;
  const promise = new Promise<Awaited<T>>((resolve) => {
    // The types differ only because a promise that is resolved with a promise waits for it.
    open = resolve as (value: T) => void;
  });
  return { promise, open: (value) => open(value) };
}
