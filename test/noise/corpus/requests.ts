/** Requests and sockets of a handler to somewhere else, by Node's own means. */
import { get, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { serve } from '../../support/test-server.ts';
import { soon } from '../../support/until.ts';
import type { Case, Scene } from './case.ts';
import { errorEvent, meanwhile, nobody, upstream } from './provoke.ts';

const NEVER: Partial<Record<Scene, boolean>> = { left: false, stopped: false, there: false };
const RESET = 'Error Error ECONNRESET';

export const REQUESTS: readonly Case[] = [
  {
    what: 'http.get that the handler destroys, because nobody waits or for another reason',
    source: 'node:http client',
    look: RESET,
    noise: { left: true, stopped: true, closing: true, there: false },
    provoke: async (stage) => {
      const asked = get(await upstream('silent'));
      const error = errorEvent(asked);
      await soon('the connection', new Promise((done) => asked.once('finish', done)));
      stage.handle.signal.addEventListener('abort', () => asked.destroy());
      await stage.depart();
      asked.destroy();
      return error;
    },
  },
  {
    what: 'http.get that the handler destroyed before its client left',
    source: 'node:http client',
    look: RESET,
    noise: { left: false, stopped: false },
    provoke: async (stage) => {
      const asked = get(await upstream('silent'));
      const error = errorEvent(asked);
      asked.destroy();
      await error;
      await stage.depart();
      return error;
    },
  },
  {
    what: 'http.get that the handler destroys although the stream finishes without its client',
    source: 'node:http client',
    look: RESET,
    noise: { left: false },
    under: 'finish',
    provoke: async (stage) => {
      const asked = get(await upstream('silent'));
      const error = errorEvent(asked);
      await stage.depart();
      asked.destroy();
      return error;
    },
  },
  {
    what: 'http.get, upstream hangs up',
    source: 'node:http client',
    look: RESET,
    noise: { ...NEVER, closing: false },
    provoke: async (stage) => {
      const url = await upstream('hangingUp');
      return meanwhile(stage, async () => {
        throw await errorEvent(get(url));
      });
    },
  },
  {
    what: 'http.get, upstream resets',
    source: 'node:http client',
    look: RESET,
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('resetting');
      return meanwhile(stage, async () => {
        throw await errorEvent(get(url));
      });
    },
  },
  {
    what: 'a cut response of an upstream, with the same error as a request whose client left',
    source: 'node:http client',
    look: RESET,
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('cutting');
      return meanwhile(stage, async () => {
        const response = await new Promise<IncomingMessage>((done) => get(url, done));
        for await (const _ of response);
      });
    },
  },
  {
    what: 'http.get, no server listens',
    source: 'node:http client',
    look: 'Error Error ECONNREFUSED',
    noise: NEVER,
    provoke: async (stage) => {
      const url = (await nobody()).replace('localhost', '127.0.0.1');
      return meanwhile(stage, async () => {
        throw await errorEvent(get(url));
      });
    },
  },
  {
    what: 'http.request that times out and is destroyed with an error of its own',
    source: 'node:http client',
    look: 'Error Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return meanwhile(stage, async () => {
        const asked = request(url, { timeout: 1 });
        asked.on('timeout', () => asked.destroy(new Error('aborted')));
        asked.end();
        throw await errorEvent(asked);
      });
    },
  },
  {
    what: 'a plain socket to another server that is reset',
    source: 'node:net',
    look: RESET,
    noise: NEVER,
    provoke: async (stage) => {
      const { port } = await serve((_req, res) => res.socket?.resetAndDestroy());
      return meanwhile(stage, async () => {
        const socket = connect(port, 'localhost');
        socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
        throw await errorEvent(socket);
      });
    },
  },
];
