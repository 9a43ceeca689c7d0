/** What other people's test suites found in an earlier hold: each is what a bare response does. */
import { spawnSync } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import type { Http2ServerResponse } from 'node:http2';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { dial, openClient, request } from '../../support/http-client.ts';
import { answer, CONTENT, DONE, FINISH, hold, WHOLE } from './held-answer.ts';

describe('a write after a held end', () => {
  it.each(['write', 'end'] as const)('by %s in a later turn emits no error event', async (name) => {
    const told: unknown[] = [];
    const held = await hold((req, res) => {
      answer(req, res);
      res.on('error', (error) => told.push(error));
      setImmediate(() => told.push(res[name](': beat\n\n') === (name === 'end' ? res : false)));
    });
    await until('it was called', () => told.length > 0);
    await turns();
    expect(told).toEqual([true]);
    held.store.answer();
    expect((await held.httpClient.over()).body.toString()).toBe(WHOLE);
  });
});

describe('an end that throws', () => {
  const refusedHeads: Readonly<Record<string, (res: ServerResponse) => void>> = {
    'a header hook': (res) => {
      res.writeHead = () => {
        Reflect.deleteProperty(res, 'writeHead');
        throw new Error('hook');
      };
    },
    'a status message': (res) => {
      res.statusMessage = 'a\nb';
    },
  };

  it.each(Object.entries(refusedHeads))(
    'because of %s throws at once, and another answer can be sent',
    async (_name, spoil) => {
      const reply = await answeredBy((res) => {
        res.setHeader('content-type', 'text/event-stream');
        spoil(res);
        const thrown = thrownBy(() => res.end(WHOLE));
        res.statusMessage = 'No';
        res.statusCode = thrown === 'nothing' ? 200 : 500;
        res.end('no');
      });
      expect([reply.status, reply.body.toString()]).toEqual([500, 'no']);
    },
  );

  const refusedChunks: Readonly<Record<string, readonly [string, (res: ServerResponse) => void]>> =
    {
      'an encoding that does not exist': [
        'ERR_UNKNOWN_ENCODING',
        // Node's own type knows no other encodings.
        (res) => void res.end('no', 'none' as BufferEncoding),
      ],
      strictContentLength: [
        'ERR_HTTP_CONTENT_LENGTH_MISMATCH',
        (res) => void res.end('much too long'),
      ],
    };

  it.each(Object.entries(refusedChunks))(
    'because of %s throws at once, and the answer can still be ended',
    async (_name, [code, end]) => {
      let thrown: unknown;
      const reply = await answeredBy((res) => {
        res.setHeader('content-type', 'text/event-stream');
        res.setHeader('content-length', CONTENT.length + 2);
        res.strictContentLength = code === 'ERR_HTTP_CONTENT_LENGTH_MISMATCH';
        res.write(CONTENT);
        thrown = thrownBy(() => end(res));
        res.end('\n\n');
      });
      expect(thrown).toBe(code);
      expect(reply.body.toString()).toBe(`${CONTENT}\n\n`);
    },
  );
});

describe('over HTTP/2', () => {
  it('headers cannot be changed after a held end', async () => {
    const thrown: unknown[] = [];
    const { text, headers, store } = await holdHttp2((res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(WHOLE);
      try {
        res.setHeader('x-late', '1');
      } catch (error) {
        thrown.push(error);
      }
      res.statusCode = 500;
    });
    expect(thrown).toMatchObject([{ code: 'ERR_HTTP2_HEADERS_SENT' }]);
    store.answer();
    await until('the answer is there', () => text() === WHOLE);
    expect(headers()).toMatchObject({ ':status': 200 });
    expect(headers()).not.toHaveProperty('x-late');
  });

  it.each(['close', 'destroy'] as const)('stream.%s() waits for the held answer', async (name) => {
    const { text, store } = await holdHttp2((res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(CONTENT);
      res.end(FINISH + DONE);
      setImmediate(() => res.stream[name]());
    });
    await turns(20);
    store.answer();
    await until('the answer is there', () => text() === WHOLE);
  });

  it('stream.close() of the handler takes effect at once, and a later write returns false', async () => {
    const said: unknown[] = [];
    const { recorded, store } = await holdHttp2((res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(CONTENT);
      res.stream.close();
      setImmediate(() => said.push(res.write(CONTENT)));
    });
    store.answer();
    expect(await recorded.ended()).toMatchObject({ outcome: 'failed', side: 'server' });
    await until('it was written', () => said.length > 0);
    expect(said).toEqual([false]);
  });

  it.each(['', Buffer.alloc(0)])(
    'an empty write and an end in a later turn send nothing else: %j',
    async (nothing) => {
      const { text, store } = await holdHttp2((res) => {
        res.setHeader('content-type', 'text/event-stream');
        for (const chunk of [CONTENT, CONTENT, nothing, FINISH]) res.write(chunk);
        setImmediate(() => res.end());
      });
      await turns(20);
      store.answer();
      await until('the marker is there', () => text().includes(FINISH));
      await turns(20);
      expect(text()).toBe(CONTENT + CONTENT + FINISH);
    },
  );
});

describe('around a hold', () => {
  it.each(['guard', 'observe'] as const)('%s() accepts twelve requests at once', async (kind) => {
    const { keep } = createInMemoryInstance();
    const warnings: string[] = [];
    const note = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const middleware = kind === 'guard' ? keep.guard({}) : keep.observe();
    const httpClient = await dial(
      await serve((req, res) => void middleware(req, res, () => setImmediate(() => res.end('{}')))),
    );
    httpClient.send(request('/').repeat(12));
    await until('all are answered', () => httpClient.raw.toString().split('200 OK').length === 13);
    await turns();
    expect(warnings).toEqual([]);
  });

  it('a pipelined answer is held, and the one before it is not', async () => {
    const { keep, store } = createInMemoryInstance();
    store.hold();
    const first: ServerResponse[] = [];
    const guard = keep.guard({ confirmTimeoutMs: 60_000 });
    const testServer = await serve((req, res) => {
      if (req.url === '/first') first.push(res);
      else void guard(req, res, () => answer(req, res));
    });
    const httpClient = await dial(testServer);
    httpClient.send(request('/first') + request('/second'));
    await until('the store was asked', () => store.waiting > 0);
    first[0]?.end('first');
    await until('the first is there', () => httpClient.raw.includes('first'));
    await until('the second has begun', () => httpClient.raw.includes('"one"'));
    await turns(20);
    expect(httpClient.raw.includes(DONE)).toBe(false);
    store.answer();
    await until('the second is there', () => httpClient.raw.includes(DONE));
  });

  it('a handler keeps its `this`', async () => {
    const { keep } = createInMemoryInstance();
    const seen: unknown[] = [];
    const owner = {
      handler: keep.guard({}, function (this: unknown, _req, res) {
        seen.push(this);
        res.end();
      }),
    };
    const testServer = await serve((req, res) => void owner.handler(req, res));
    await (await openClient(testServer, '/')).over();
    expect(seen).toEqual([owner]);
  });

  it('an answer that is finished without its client does not keep the process alive', () => {
    const program = `
      import { createServer } from 'node:http';
      import { connect } from 'node:net';
      import { lastchunk } from './src/index.ts';
      const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
      const keep = lastchunk({ store, journal: false });
      const guard = keep.guard({}, (_req, res) => {
        res.setHeader('content-type', 'text/event-stream');
        res.write('data: one\\n\\n');
      });
      const server = createServer((req, res) => void guard(req, res)).listen(0, () => {
        const client = connect(server.address().port);
        client.write('GET / HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n');
        client.once('data', () => {
          client.destroy();
          server.close();
        });
      });`;
    const { status, signal } = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', program],
      { timeout: 40_000 },
    );
    expect({ status, signal }).toEqual({ status: 0, signal: null });
  });
});

/** The same over HTTP/2. */
async function holdHttp2(act: (res: Http2ServerResponse) => void) {
  const instance = createInMemoryInstance();
  instance.store.hold();
  const guard = instance.keep.guard(
    { confirmTimeoutMs: 60_000 },
    (_req: IncomingMessage, res: Http2ServerResponse) => act(res),
  );
  const { url } = await serveHttp2((req, res) => void guard(req, res));
  const session = connect(url);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  let text = '';
  let headers: object = {};
  stream.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  stream.on('response', (given) => (headers = given));
  stream.on('error', () => {
    // A reset is one of the things that are tested.
  });
  await until('the store was asked', () => instance.store.waiting > 0);
  return { ...instance, text: () => text, headers: () => headers };
}

/** What a handler under a guard answers with. */
async function answeredBy(act: (res: ServerResponse) => void) {
  const { keep } = createInMemoryInstance();
  const guard = keep.guard({});
  const testServer = await serve((req, res) => void guard(req, res, () => act(res)));
  return (await openClient(testServer, '/')).over();
}

function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}
