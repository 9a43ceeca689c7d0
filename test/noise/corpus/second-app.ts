/** What apps make of errors: they wrap them, gather them, throw other things, and have signals of their own. */
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import pg from 'pg';
import type { Case, Stage } from './case.ts';
import { abortAfter, meanwhile, nobody, ours, upstream } from './provoke.ts';
import {
  beforehand,
  called,
  cancelled,
  CONSEQUENCE,
  FAILURE,
  FAILURE_ANYHOW,
  neighbour,
  reasonOf,
} from './second-scenery.ts';

/** An answer of a provider under a signal; it never comes. */
async function answer(signal?: AbortSignal): Promise<Response> {
  return fetch(await upstream('silent'), signal === undefined ? {} : { signal });
}

/** A cancellation of the stream, which `change` turns into something else. */
function changed(
  what: string,
  look: Case['look'],
  noise: Case['noise'],
  change: (error: unknown, stage: Stage) => unknown,
): Case {
  return {
    what,
    source: 'app',
    look,
    noise,
    provoke: async (stage) => change(await cancelled(stage, answer), stage),
  };
}

/** A failure after the scene. */
function failure(what: string, look: Case['look'], start: (stage: Stage) => unknown): Case {
  return {
    what,
    source: 'app',
    look,
    noise: FAILURE,
    provoke: (stage) => meanwhile(stage, () => called(() => start(stage))),
  };
}

/** What an app says instead. */
class ChatError extends Error {
  override readonly name = 'ChatError';
  readonly status = 499;
}

/** How apps mark a cancellation of their own. */
class Cancelled extends Error {
  override readonly name = 'AbortError';
}

/** How other apps do. */
class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

async function failedSave(stage: Stage): Promise<unknown> {
  const client = new pg.Client({ connectionString: stage.connectionString });
  await client.connect();
  try {
    return await client.query('SELECT 1 / 0').catch((error: unknown) => error);
  } finally {
    await client.end();
  }
}

const wrapped: readonly Case[] = [
  changed(
    'an error around a cancellation',
    'Error Error -',
    CONSEQUENCE,
    (cause) => new Error('no', { cause }),
  ),
  changed(
    'an error of the app around two others',
    'ChatError ChatError -',
    CONSEQUENCE,
    (cause) => {
      const inner = new TypeError('terminated', { cause });
      return new ChatError('no answer', { cause: new Error('step 2', { cause: inner }) });
    },
  ),
  changed('a circle of causes', 'AggregateError AggregateError -', CONSEQUENCE, (cause) => {
    const first = new Error('first', { cause });
    const second = new Error('second', { cause: first });
    return new AggregateError([first, second], 'both');
  }),
  changed('a frozen cancellation', 'Error Error -', CONSEQUENCE, (cause) =>
    Object.freeze(new Error('no', { cause })),
  ),
  changed(
    'an error of another realm around a cancellation',
    'Error Error -',
    CONSEQUENCE,
    (cause): unknown => runInNewContext('new Error("no", { cause })', { cause }),
  ),
  changed(
    'two providers, both cancelled',
    'AggregateError AggregateError -',
    CONSEQUENCE,
    (error) => new AggregateError([error, error]),
  ),
  changed(
    'a new error that knows nothing of the old one',
    'Error Error -',
    { left: false, there: false },
    (error) => new Error(`no answer: ${String(error)}`),
  ),
  changed('the message alone', 'string', FAILURE, (error) => String(error)),
  changed(
    'a cancellation, and a save that failed',
    'AggregateError AggregateError -',
    FAILURE_ANYHOW,
    async (error, stage) =>
      new AggregateError([error, await failedSave(stage)], 'two things went wrong'),
  ),
  changed(
    'a save that failed because of a division, called aborted',
    'Cancelled AbortError -',
    FAILURE,
    async (_, stage) => new Cancelled('the chat was aborted', { cause: await failedSave(stage) }),
  ),
  {
    what: 'the first of two providers, both cancelled',
    source: 'app',
    look: 'AggregateError AggregateError -',
    noise: CONSEQUENCE,
    provoke: (stage) =>
      cancelled(stage, (signal) => Promise.any([answer(signal), reasonOf(signal)])),
  },
  {
    what: 'the first of two providers, one cancelled and one unreachable',
    source: 'app',
    look: 'AggregateError AggregateError -',
    noise: FAILURE_ANYHOW,
    provoke: (stage) =>
      cancelled(stage, (signal) =>
        Promise.any([answer(signal), nobody().then((url) => fetch(url))]),
      ),
  },
];

const thrown: readonly Case[] = [
  failure('nothing at all', 'undefined', () =>
    Promise.reject<unknown>(undefined as unknown as Error),
  ),
  failure('null', 'object', () => Promise.reject<unknown>(null as unknown as Error)),
  failure('a word', 'string', () => Promise.reject<unknown>('aborted' as unknown as Error)),
  failure('a number', 'number', () => Promise.reject<unknown>(499 as unknown as Error)),
  failure(
    'a mistake in the handler',
    'TypeError TypeError -',
    () => (undefined as unknown as { text: string }).text,
  ),
  failure('an endless recursion', 'RangeError RangeError -', function again(): unknown {
    return [again()];
  }),
  failure('a function that cannot be cloned', 'DOMException DataCloneError 25', () =>
    structuredClone(() => {}),
  ),
  failure('no provider at all', 'AggregateError AggregateError -', () => Promise.any([])),
  failure('two mistakes', 'AggregateError AggregateError -', () =>
    Promise.any([Promise.reject(new Error('aborted')), Promise.reject(new RangeError('no'))]),
  ),
  failure('a script that runs too long', 'Error Error ERR_SCRIPT_EXECUTION_TIMEOUT', () =>
    runInNewContext('for (;;) {}', {}, { timeout: 5 }),
  ),
  failure('a key that is none', 'DOMException DataError 0', () =>
    crypto.subtle.importKey('raw', new Uint8Array(3), 'AES-GCM', false, ['encrypt']),
  ),
];

const retrying = createRequire(import.meta.url)('p-retry') as {
  // The export of the version that comes with LangChain.
  AbortError: new (error: Error) => Error;
};

const signals: readonly Case[] = [
  {
    what: 'a cancellation error with a name of the app',
    source: 'app',
    look: 'Cancelled AbortError -',
    noise: CONSEQUENCE,
    provoke: (stage) => {
      const own = new AbortController();
      const error = reasonOf(own.signal);
      return abortAfter(stage, () => {
        stage.handle.signal.addEventListener('abort', () => own.abort(new Cancelled('left')));
        if (stage.scene === 'there') setImmediate(() => own.abort(new Cancelled('left')));
        return error;
      });
    },
  },
  {
    // A person would see what the name says; only a name tells.
    what: 'a reason with a name of the app',
    source: 'app',
    look: 'ClientGone ClientGone -',
    noise: { left: true, there: false },
    undecidable: 'a failure that the handler aborts with looks the same, but for a name of its own',
    provoke: (stage) => {
      const own = new AbortController();
      stage.res.once('close', () => own.abort(new ClientGone('the tab is closed')));
      const error = answer(own.signal);
      return abortAfter(stage, () => {
        if (stage.scene === 'there') setImmediate(() => own.abort(new ClientGone('?')));
        return error;
      });
    },
  },
  {
    what: 'a watchdog of the app with a reason',
    source: 'app',
    look: 'Error Error -',
    noise: FAILURE_ANYHOW,
    provoke: (stage) =>
      beforehand(stage, () => {
        const watchdog = new AbortController();
        setImmediate(() => watchdog.abort(new Error('the provider takes too long')));
        return answer(AbortSignal.any([watchdog.signal, stage.handle.signal]));
      }),
  },
  {
    what: 'a watchdog of the app without a reason, before the scene',
    source: 'app',
    look: 'DOMException AbortError 20',
    noise: FAILURE,
    undecidable: 'no request has been sent yet, so nothing tells when it was aborted',
    provoke: (stage) =>
      beforehand(stage, () => {
        const watchdog = new AbortController();
        setImmediate(() => watchdog.abort());
        return answer(watchdog.signal);
      }),
  },
  {
    what: 'an answer that is shared with another stream, whose client leaves',
    source: 'app',
    look: 'DOMException AbortError 20',
    noise: FAILURE,
    provoke: async (stage) => {
      const other = await neighbour(stage);
      return beforehand(stage, () => {
        const shared = answer(other.handle.signal);
        void other.leave();
        return shared;
      });
    },
  },
  {
    what: 'an error that the library marks as not to be retried',
    source: 'p-retry',
    look: 'AbortError AbortError -',
    noise: FAILURE,
    provoke: (stage) =>
      meanwhile(stage, () =>
        Promise.reject(new retrying.AbortError(new Error('401 the key is not valid'))),
      ),
  },
  {
    what: 'a save to which the handler passed the stream’s signal',
    source: 'app',
    look: 'DOMException AbortError 20',
    noise: FAILURE,
    provoke: async (stage) => {
      const save = (signal: AbortSignal): PromiseLike<unknown> =>
        stage.keep.track(stage.res, answer(signal));
      return stage.scene === 'there' ? abortAfter(stage, save) : ours(stage, save);
    },
  },
  {
    what: 'an answer that the handler cancels although the guard finishes it',
    source: 'app',
    look: 'DOMException AbortError 20',
    noise: { left: true, there: false },
    under: 'finish',
    provoke: (stage) => abortAfter(stage, answer),
  },
  {
    what: 'a provider that breaks while the stream outlives its client',
    source: 'app',
    look: 'TypeError TypeError -',
    noise: FAILURE,
    under: 'finish',
    provoke: async (stage) => {
      const url = await upstream('cutting');
      return meanwhile(stage, async () => (await fetch(url)).text());
    },
  },
];

/** Errors of apps. */
export const APP: readonly Case[] = [...wrapped, ...thrown, ...signals];
