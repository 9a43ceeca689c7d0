/** The hold over TLS, HTTP/2, HTTP/1.0 and Express 4, and with compression on the wrong side. */
import { connect } from 'node:http2';
import type { IncomingMessage, RequestListener } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import express from 'express';
import express4 from 'express4';
import { describe, expect, it, onTestFinished } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, serveHttp2, type Transport } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { dial, request } from '../../support/http-client.ts';

const CONTENT = chatChunk({ content: 'hello' });
const FINISH = `${chatChunk({}, 'stop')}data: [DONE]\n\n`;

interface Answering {
  setHeader(name: string, value: string): unknown;
  write(chunk: string): unknown;
  end(): unknown;
}

function answer(res: Answering): void {
  res.setHeader('content-type', 'text/event-stream');
  res.write(CONTENT);
  res.write(FINISH);
  res.end();
}

const SERVERS: ReadonlyArray<
  readonly [string, Transport, (instance: InMemoryInstance) => RequestListener]
> = [
  ['node:http', 'http', bare],
  ['TLS', 'https', bare],
  [
    'Express 5',
    'http',
    ({ keep }) => express().get('/', keep.guard(slow), (_, res) => answer(res)),
  ],
  [
    'Express 4',
    'http',
    ({ keep }) => express4().get('/', keep.guard(slow), (_, res) => answer(res)),
  ],
  [
    'observe() and guard()',
    'https',
    ({ keep }) =>
      express()
        .use(keep.observe())
        .get('/', keep.guard(slow), (_, res) => answer(res)),
  ],
];

const slow = { confirmTimeoutMs: 60_000 };

describe.each([
  ['HTTP/1.1', request('/')],
  ['HTTP/1.1, connection: close', request('/', { headers: { connection: 'close' } })],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
])('over %s', (_, bytes) => {
  it.each(SERVERS)('a finish marker waits for the store: %s', async (_name, transport, make) => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const httpClient = await dial(await serve(make(instance), transport));
    httpClient.send(bytes);
    await httpClient.sees(CONTENT);
    await until('the store was asked', () => instance.store.waiting === 1);
    await turns(20);
    expect(httpClient.text).toBe(CONTENT);
    expect(httpClient.gone).toBe(false);
    instance.store.answer();
    expect((await httpClient.over()).body.toString()).toBe(CONTENT + FINISH);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true, revision: 0 });
  });
});

describe.each([false, true])('over HTTP/2 (TLS: %s)', (secure) => {
  it('a finish marker waits for the store', async () => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const called: string[] = [];
    const guard = instance.keep.guard(slow, (_req: IncomingMessage, res: Http2ServerResponse) => {
      res.on('finish', () => called.push('finish'));
      res.setHeader('content-type', 'text/event-stream');
      res.write(CONTENT);
      res.write(FINISH);
      res.end(() => called.push('callback'));
      called.push(`ended: ${res.writableEnded}`);
    });
    const { url } = await serveHttp2((req, res) => void guard(req, res), secure);
    const session = connect(url, { rejectUnauthorized: false });
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    let text = '';
    let over = false;
    stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    stream.on('end', () => (over = true));
    await until('the store was asked', () => instance.store.waiting === 1);
    await until('the client sees the content', () => text === CONTENT);
    await turns(20);
    expect(text).toBe(CONTENT);
    expect(over).toBe(false);
    expect(called).toEqual(['ended: true']);
    instance.store.answer();
    await until('the response is over', () => over);
    expect(text).toBe(CONTENT + FINISH);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(new Set(called)).toEqual(new Set(['ended: true', 'callback', 'finish']));
    expect(called).toHaveLength(3);
  });
});

describe('compression() after the guard', () => {
  it('is logged once; the answer is decoded, saved, and reaches its client unchanged', async () => {
    const instance = createInMemoryInstance();
    const app = express();
    app.get('/', instance.keep.guard({}), compression({ threshold: 0 }), (_, res) => answer(res));
    const testServer = await serve(app);
    for (let count = 1; count <= 2; count += 1) {
      const httpClient = await dial(testServer);
      httpClient.send(request('/', { headers: { 'accept-encoding': 'gzip' } }));
      const { body, headers, whole } = await httpClient.over();
      expect(whole).toBe(true);
      expect(headers['content-encoding']).toBe('gzip');
      expect(gunzipSync(body).toString()).toBe(CONTENT + FINISH);
      await instance.recorded.ended(count);
    }
    expect([...instance.store.rows.values()]).toMatchObject([
      { text: 'hello', complete: true, outcome: 'completed' },
      { text: 'hello', complete: true, outcome: 'completed' },
    ]);
    const warnings = instance.logbook.lines.filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.text).toContain('compression');
  });
});

function bare({ keep }: InMemoryInstance): RequestListener {
  const guard = keep.guard(slow, (_, res) => answer(res));
  return (req, res) => void guard(req, res);
}
