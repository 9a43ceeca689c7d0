/** Whatever closes a connection, or ends its time, waits for the answer that is held on it. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openClient, request } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { type Act, answer, hold, WHOLE } from './held-answer.ts';

/** What a handler does in the turn of its end. */
const CLOSINGS: Readonly<Record<string, Act>> = {
  'res.destroy()': (_, res) => void res.destroy(),
  'res.destroy(error)': (_, res) => void res.destroy(new Error('no')),
  'req.destroy()': (req) => void req.destroy(),
  'socket.destroy()': (req) => void req.socket.destroy(),
  'socket.end()': (req) => void req.socket.end(),
  'a time-out of the response': (_, res) => void res.setTimeout(1),
  'a time-out of the socket': (req) => void req.socket.setTimeout(1),
};

/** What an operator, or a platform, does to the server. */
const SERVER_CLOSINGS: Readonly<Record<string, (server: Server, stop: AbortController) => void>> = {
  'an abort of the signal of listen()': (_, stop) => stop.abort(),
  'server.close() and closeIdleConnections()': (server) => {
    server.close();
    server.closeIdleConnections();
  },
  'server.closeAllConnections()': (server) => server.closeAllConnections(),
};

describe('a held answer reaches its client', () => {
  describe.each(['http', 'https'] as const)('over %s', (transport) => {
    it.each(Object.entries(CLOSINGS))('after %s by its handler', async (_name, close) => {
      const { httpClient, store } = await hold((req, res) => {
        answer(req, res);
        close(req, res);
      }, transport);
      // Longer than the time-outs.
      await delay(30);
      store.answer();
      expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    });

    it.each(Object.entries(SERVER_CLOSINGS))('after %s by the server', async (_name, close) => {
      const stop = new AbortController();
      const options = { signal: stop.signal };
      const { httpClient, store, testServer } = await hold(answer, transport, options);
      close(testServer.server, stop);
      await turns(20);
      store.answer();
      expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    });

    it('that closed its side', async () => {
      const { httpClient, store } = await hold(answer, transport);
      httpClient.halfClose();
      await turns(20);
      store.answer();
      expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    });
  });

  it('after an exception that only Express catches', async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    store.hold();
    const app = express().set('env', 'test');
    app.get('/', keep.guard({ confirmTimeoutMs: 60_000 }), (req, res) => {
      answer(req, res);
      throw new Error('after the end');
    });
    const httpClient = await openClient(await serve(app), '/');
    await until('the store was asked', () => store.waiting > 0);
    await turns(20);
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    expect(recorded.internalErrors).toEqual([]);
  });

  it('that sends invalid HTTP meanwhile', async () => {
    const { httpClient, store } = await hold(answer);
    httpClient.send('no request\r\n\r\n');
    await turns(20);
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(WHOLE);
  });

  it('and its connection is closed after end() and destroy()', async () => {
    const { httpClient, store } = await hold((req, res) => {
      answer(req, res);
      res.destroy();
    });
    store.answer();
    await until('it is closed', () => httpClient.gone);
    expect(httpClient.text).toBe(WHOLE);
  });

  it('if the next request on its connection never comes completely', async () => {
    const limits = { requestTimeout: 300, headersTimeout: 300, connectionsCheckingInterval: 50 };
    const { httpClient, store, testServer } = await hold(answer, 'http', limits);
    const told: unknown[] = [];
    testServer.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      told.push(error.code);
      // As Node does where nobody listens.
      socket.destroy(error);
    });
    httpClient.send('GET / HTTP/1.1\r\nhost');
    await until('its time is over', () => told.includes('ERR_HTTP_REQUEST_TIMEOUT'));
    await turns(20);
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    await until('it is closed', () => httpClient.gone);
  });

  it('even after the keep-alive time-out of its connection', async () => {
    const { httpClient, store } = await hold(answer, 'http', { keepAliveTimeout: 5 });
    await delay(50);
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(WHOLE);
    await until('it is closed', () => httpClient.gone);
  });

  it('while its client renegotiates', async () => {
    const { store, testServer } = await hold(answer, 'https', { maxVersion: 'TLSv1.2' });
    const socket = connectTls({ port: testServer.port, rejectUnauthorized: false });
    onTestFinished(() => void socket.destroy());
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    await once(socket, 'secureConnect');
    socket.write(request('/'));
    await until('the store was asked again', () => store.waiting > 1);
    const error = await new Promise((resolve) => {
      socket.renegotiate({ rejectUnauthorized: false }, resolve);
    });
    expect(error).toBe(null);
    store.answer();
    await until('the answer is there', () => text.includes('[DONE]'));
  });
});

describe('a protocol that takes a connection over', () => {
  const FIRST = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';

  it.each([
    ['upgrade', request('/', { headers: { connection: 'upgrade', upgrade: 'echo' } })],
    ['connect', 'CONNECT there:1 HTTP/1.1\r\nhost: there:1\r\n\r\n'],
  ] as const)('by %s is sent behind the answer that is held on it', async (event, asking) => {
    const { httpClient, store, testServer } = await hold(answer);
    let taken: Duplex | undefined;
    testServer.server.on(event, (_req, socket) => {
      taken = socket;
      onTestFinished(() => void socket.destroy());
      socket.write(FIRST);
      socket.on('data', (piece: Buffer) => socket.write(piece));
    });
    httpClient.send(asking);
    await until('it was taken over', () => taken);
    await turns(20);
    expect(httpClient.raw.includes('101')).toBe(false);
    store.answer();
    await until('both are there', () => httpClient.raw.includes('101'));
    expect(httpClient.raw.toString()).toMatch(/\[DONE\][^]*HTTP\/1\.1 101 Switching/);
    httpClient.send('echoed');
    await until('it is echoed', () => httpClient.raw.includes('echoed'));
  });
});

describe('a connection that has carried a held answer', () => {
  it('has a socket with fast properties', async () => {
    const sockets: Socket[] = [];
    const { keep, recorded } = createInMemoryInstance();
    const guard = keep.guard();
    const testServer = await serve((req, res) => {
      sockets.push(req.socket);
      guard(req, res, () => answer(req, res));
    });
    const httpClient = await openClient(testServer, '/');
    await httpClient.sees(WHOLE);
    await recorded.ended();
    httpClient.send(request('/'));
    await recorded.ended(2);
    expect(sockets[1]).toBe(sockets[0]);
    expect(sockets.every(hasFastProperties)).toBe(true);
  });
});

/**
 * Whether V8 knows the places of an object's properties by its hidden class. Where it has to look them up in a table, each
 * call on a socket is slower for as long as the connection lives.
 */
function hasFastProperties(object: object): boolean {
  setFlagsFromString('--allow-natives-syntax');
  // Not callable in source that is compiled without the flag.
  const ask: unknown = runInThisContext('(object) => %HasFastProperties(object)');
  return (ask as (of: object) => boolean)(object);
}
