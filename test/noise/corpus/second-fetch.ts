/** Errors of fetch, undici and node-fetch. */
import nodeFetch from 'node-fetch';
import * as undici from 'undici';
import { onTestFinished } from 'vitest';
import type { Case } from './case.ts';
import { errorEvent, meanwhile, nobody, upstream } from './provoke.ts';
import {
  beforehand,
  broken,
  cancelled,
  CONSEQUENCE,
  drain,
  FAILURE,
  FAILURE_ANYHOW,
  rawServer,
  throwing,
} from './second-scenery.ts';

/** A client that is closed when the test is over. */
function client(url: string, options: undici.Client.Options = {}): undici.Client {
  const made = new undici.Client(url, options);
  onTestFinished(() => made.destroy());
  return made;
}

const fetching: readonly Case[] = [
  {
    what: 'a body under the stream’s signal and a time limit',
    source: 'fetch',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: (stage) =>
      cancelled(stage, async (signal) => {
        const limit = AbortSignal.timeout(60_000);
        const response = await fetch(await upstream('speaking'), {
          signal: AbortSignal.any([signal, limit]),
        });
        return response.text();
      }),
  },
  {
    what: 'a Request object under the stream’s signal',
    source: 'fetch',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: (stage) =>
      cancelled(stage, async (signal) => fetch(new Request(await upstream('silent'), { signal }))),
  },
  {
    what: 'a time limit that was reached before the scene',
    source: 'fetch',
    look: 'DOMException TimeoutError 23',
    noise: FAILURE_ANYHOW,
    provoke: (stage) =>
      beforehand(stage, async () => {
        const signals = [stage.handle.signal, AbortSignal.timeout(1)];
        return fetch(await upstream('silent'), { signal: AbortSignal.any(signals) });
      }),
  },
  broken(
    'a time limit that is reached after the scene',
    'fetch',
    'DOMException TimeoutError 23',
    async () => fetch(await upstream('silent'), { signal: AbortSignal.timeout(1) }),
  ),
  broken('a provider that cuts the answer', 'fetch', 'TypeError TypeError -', async () =>
    (await fetch(await upstream('cutting'))).text(),
  ),
  broken('half a JSON document', 'fetch', 'SyntaxError SyntaxError -', async () =>
    (await fetch(await upstream('babbling'))).json(),
  ),
  broken('a body that is read twice', 'fetch', 'TypeError TypeError -', async () => {
    const response = await fetch(await upstream('babbling'));
    await response.text();
    return response.text();
  }),
  broken('an address that is none', 'fetch', 'TypeError TypeError -', () => fetch('http://')),
  {
    what: 'a reader that is released when the client leaves, or by a mistake of the handler',
    source: 'fetch',
    look: 'TypeError TypeError ERR_INVALID_STATE',
    noise: FAILURE,
    provoke: async (stage) => {
      const response = await fetch(await upstream('speaking'));
      const reader = response.body?.getReader();
      await reader?.read();
      return meanwhile(stage, async () => {
        reader?.releaseLock();
        return reader?.read();
      });
    },
  },
];

const undicis: readonly Case[] = [
  {
    what: 'a request under the stream’s signal',
    source: 'undici',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: (stage) =>
      cancelled(stage, async (signal) =>
        client(await upstream('silent')).request({ path: '/', method: 'GET', signal }),
      ),
  },
  {
    what: 'a body that is destroyed when the stream ends',
    source: 'undici',
    look: 'RequestAbortedError AbortError UND_ERR_ABORTED',
    noise: CONSEQUENCE,
    provoke: async (stage) => {
      const undiciClient = client(await upstream('speaking'));
      const { body } = await undiciClient.request({ path: '/', method: 'GET' });
      const read = throwing(errorEvent(body));
      return meanwhile(stage, () => {
        body.destroy();
        return read;
      });
    },
  },
  broken(
    'headers that do not come',
    'undici',
    'HeadersTimeoutError HeadersTimeoutError UND_ERR_HEADERS_TIMEOUT',
    async () =>
      client(await upstream('silent'), { headersTimeout: 1 }).request({ path: '/', method: 'GET' }),
  ),
  broken(
    'a body that does not go on',
    'undici',
    'BodyTimeoutError BodyTimeoutError UND_ERR_BODY_TIMEOUT',
    async () => {
      const slow = client(await upstream('speaking'), { bodyTimeout: 1 });
      return (await slow.request({ path: '/', method: 'GET' })).body.text();
    },
  ),
  broken('a provider that hangs up', 'undici', 'SocketError SocketError UND_ERR_SOCKET', async () =>
    client(await upstream('hangingUp')).request({ path: '/', method: 'GET' }),
  ),
  broken(
    'an answer that is not HTTP',
    'undici',
    'HTTPParserError HTTPParserError HPE_INVALID_CONSTANT',
    async () => {
      const port = await rawServer('good morning\r\n\r\n', 'end');
      return client(`http://localhost:${port}`).request({ path: '/', method: 'GET' });
    },
  ),
  broken(
    'a client that was destroyed under its requests',
    'undici',
    'ClientDestroyedError ClientDestroyedError UND_ERR_DESTROYED',
    async () => {
      const shared = client(await upstream('silent'));
      const asked = shared.request({ path: '/', method: 'GET' });
      // Whoever destroys a client ends the requests of everybody.
      setImmediate(() => void shared.destroy());
      return asked;
    },
  ),
  broken(
    'a client that was closed',
    'undici',
    'ClientDestroyedError ClientDestroyedError UND_ERR_DESTROYED',
    async () => {
      const shared = client(await upstream('silent'));
      await shared.close();
      return shared.request({ path: '/', method: 'GET' });
    },
  ),
  broken(
    'an answer that is too long',
    'undici',
    'ResponseExceededMaxSizeError ResponseExceededMaxSizeError UND_ERR_RES_EXCEEDED_MAX_SIZE',
    async () => {
      const small = client(await upstream('failing'), { maxResponseSize: 1 });
      return (await small.request({ path: '/', method: 'GET' })).body.text();
    },
  ),
];

const nodeFetches: readonly Case[] = [
  {
    what: 'a body under the stream’s signal',
    source: 'node-fetch',
    look: 'AbortError AbortError -',
    noise: CONSEQUENCE,
    provoke: (stage) =>
      cancelled(stage, async (signal) =>
        // Node's signals are what it accepts; its types ask for those of a browser.
        (await nodeFetch(await upstream('speaking'), { signal: signal as never })).text(),
      ),
  },
  broken(
    'a provider that cuts the answer',
    'node-fetch',
    'FetchError FetchError ERR_STREAM_PREMATURE_CLOSE',
    async () => (await nodeFetch(await upstream('cutting'))).text(),
  ),
  broken(
    'a provider that cuts a stream of chunks',
    'node-fetch',
    'Error Error ERR_STREAM_PREMATURE_CLOSE',
    async () => {
      const { body } = await nodeFetch(await upstream('cutting'));
      if (body !== null) await drain(body);
    },
  ),
  broken(
    'a provider that is not there',
    'node-fetch',
    'FetchError FetchError ECONNREFUSED',
    async () => nodeFetch(await nobody()),
  ),
];

/** Errors of the ways to fetch. */
export const FETCH: readonly Case[] = [...fetching, ...undicis, ...nodeFetches];
