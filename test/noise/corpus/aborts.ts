/** Work that a handler breaks off: by its own controller when it hears of the close, or by the stream's own signal. */
import { execFile } from 'node:child_process';
import { EventEmitter, on, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay, setInterval as ticks } from 'node:timers/promises';
import { turns } from '../../support/until.ts';
import type { Case, Scene } from './case.ts';
import { abortAfter, errorEvent, meanwhile, nobody, ours, rejection, upstream } from './provoke.ts';

/** A handler's own abort is noise only if nobody waits any more. */
const ONLY_WITHOUT_CLIENT: Partial<Record<Scene, boolean>> = {
  left: true,
  stopped: true,
  there: false,
};
const OURS: Partial<Record<Scene, boolean>> = { left: true, stopped: true, closing: true };
const NEVER: Partial<Record<Scene, boolean>> = { left: false, stopped: false, there: false };

const DOM_ABORT = 'DOMException AbortError 20';
const NODE_ABORT = 'AbortError AbortError ABORT_ERR';

const byHandler: readonly Case[] = [
  {
    what: 'fetch, aborted before the response',
    source: 'fetch',
    look: DOM_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, (signal) => fetch(url, { signal }));
    },
  },
  {
    what: 'fetch, aborted in the body',
    source: 'fetch',
    look: DOM_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('speaking');
      return abortAfter(stage, async (signal) => (await fetch(url, { signal })).text());
    },
  },
  {
    what: 'http.get with a signal',
    source: 'node:http client',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, async (signal) => {
        throw await errorEvent(get(url, { signal }));
      });
    },
  },
  {
    what: 'timers/promises setTimeout',
    source: 'node:timers',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) => abortAfter(stage, (signal) => delay(60_000, undefined, { signal })),
  },
  {
    what: 'timers/promises setInterval',
    source: 'node:timers',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) =>
      abortAfter(stage, async (signal) => {
        for await (const _ of ticks(60_000, undefined, { signal }));
      }),
  },
  {
    what: 'events.once for drain',
    source: 'node:events',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) => abortAfter(stage, (signal) => once(stage.res, 'drain', { signal })),
  },
  {
    what: 'events.on',
    source: 'node:events',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) =>
      abortAfter(stage, async (signal) => {
        for await (const _ of on(new EventEmitter(), 'token', { signal }));
      }),
  },
  {
    what: 'pipeline with a signal',
    source: 'node:stream',
    look: NODE_ABORT,
    noise: { stopped: true, there: false },
    provoke: (stage) =>
      abortAfter(stage, (signal) =>
        pipeline(new Readable({ read() {} }), stage.res, { signal, end: false }),
      ),
  },
  {
    what: 'readFile with a signal',
    source: 'node:fs',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const controller = new AbortController();
      await stage.depart();
      controller.abort();
      return rejection(readFile(import.meta.filename, { signal: controller.signal }));
    },
  },
  {
    what: 'a child process with a signal',
    source: 'node:child_process',
    look: NODE_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) =>
      abortAfter(stage, async (signal) => {
        throw await errorEvent(execFile('sleep', ['60'], { signal }));
      }),
  },
  {
    what: 'a web stream piped with a signal',
    source: 'web streams',
    look: DOM_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: (stage) =>
      abortAfter(stage, (signal) => new ReadableStream().pipeTo(new WritableStream(), { signal })),
  },
];

const byOurSignal: readonly Case[] = [
  {
    what: "fetch under the stream's own signal: the reason itself",
    source: 'fetch',
    look: DOM_ABORT,
    noise: OURS,
    provoke: async (stage) => {
      const url = await upstream('speaking');
      return ours(stage, async (signal) => (await fetch(url, { signal })).text());
    },
  },
  {
    what: "fetch under the stream's own signal or a time-out, whichever comes first",
    source: 'fetch',
    look: DOM_ABORT,
    noise: OURS,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return ours(stage, (signal) =>
        fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(60_000)]) }),
      );
    },
  },
  {
    what: "a timer under the stream's own signal: the reason as cause",
    source: 'node:timers',
    look: NODE_ABORT,
    noise: OURS,
    provoke: (stage) => ours(stage, (signal) => delay(60_000, undefined, { signal })),
  },
  {
    what: 'throwIfAborted between two tokens',
    source: 'web signals',
    look: DOM_ABORT,
    noise: OURS,
    provoke: (stage) =>
      ours(stage, async (signal) => {
        for (;;) {
          signal.throwIfAborted();
          await delay(1);
        }
      }),
  },
];

const timeouts: readonly Case[] = [
  {
    what: 'fetch with AbortSignal.timeout',
    source: 'fetch',
    look: 'DOMException TimeoutError 23',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return meanwhile(stage, () => fetch(url, { signal: AbortSignal.timeout(1) }));
    },
  },
  {
    what: 'fetch under any of two signals, of which the time-out fires',
    source: 'fetch',
    look: 'DOMException TimeoutError 23',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      const never = new AbortController().signal;
      return meanwhile(stage, () =>
        fetch(url, { signal: AbortSignal.any([never, AbortSignal.timeout(1)]) }),
      );
    },
  },
  {
    what: 'http.get with AbortSignal.timeout: an AbortError whose reason is a TimeoutError',
    source: 'node:http client',
    look: NODE_ABORT,
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return meanwhile(stage, async () => {
        throw await errorEvent(get(url, { signal: AbortSignal.timeout(1) }));
      });
    },
  },
  {
    what: 'a timer with AbortSignal.timeout',
    source: 'node:timers',
    look: NODE_ABORT,
    noise: NEVER,
    provoke: (stage) =>
      meanwhile(stage, () => delay(60_000, undefined, { signal: AbortSignal.timeout(1) })),
  },
  {
    what: 'fetch aborted with a reason of the handler, because of a failure',
    source: 'fetch',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      const controller = new AbortController();
      const error = rejection(fetch(url, { signal: controller.signal }));
      await stage.depart();
      controller.abort(new Error('aborted: out of credits'));
      return error;
    },
  },
  {
    what: 'fetch aborted by the handler in the middle of an answer, before its client left',
    source: 'fetch',
    look: DOM_ABORT,
    noise: { left: false, reset: false },
    provoke: async (stage) => {
      const controller = new AbortController();
      const { body } = await fetch(await upstream('speaking'), { signal: controller.signal });
      const reader = body?.getReader();
      await reader?.read();
      const error = rejection(Promise.resolve(reader?.read()));
      controller.abort();
      await error;
      // The handler is told at once; that it tells nobody for a while is the point.
      await turns();
      await stage.depart();
      return error;
    },
  },
  {
    what: 'fetch aborted by the handler long before its client left, and reported at once',
    source: 'fetch',
    look: DOM_ABORT,
    noise: { left: false, stopped: false },
    provoke: async (stage) => {
      const url = await upstream('silent');
      const error = await rejection(fetch(url, { signal: AbortSignal.abort() }));
      stage.keep.classify(error, stage.res);
      await stage.depart();
      return error;
    },
  },
];

const upstreams: readonly Case[] = [
  {
    what: 'fetch, upstream cut in the body',
    source: 'fetch',
    look: 'TypeError TypeError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('cutting');
      return meanwhile(stage, async () => (await fetch(url)).text());
    },
  },
  {
    what: "fetch, upstream cut in the body, under the stream's own signal before it is aborted",
    source: 'fetch',
    look: 'TypeError TypeError -',
    noise: { left: false },
    under: 'finish',
    provoke: async (stage) => {
      const url = await upstream('cutting');
      const { signal } = stage.handle;
      return meanwhile(stage, async () => (await fetch(url, { signal })).text());
    },
  },
  {
    what: 'fetch, no server listens',
    source: 'fetch',
    look: 'TypeError TypeError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await nobody();
      return meanwhile(stage, () => fetch(url));
    },
  },
  {
    what: 'fetch, upstream hangs up',
    source: 'fetch',
    look: 'TypeError TypeError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('hangingUp');
      return meanwhile(stage, () => fetch(url));
    },
  },
  {
    what: 'fetch, an answer that is not JSON',
    source: 'fetch',
    look: 'SyntaxError SyntaxError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('babbling');
      return meanwhile(stage, async () => (await fetch(url)).json());
    },
  },
];

export const ABORTS: readonly Case[] = [...byHandler, ...byOurSignal, ...timeouts, ...upstreams];
