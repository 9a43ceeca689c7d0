/**
 * Whatever way a handler writes, the journal has a chunk before the connection's handle is given its bytes. Shown by the
 * log of the handle's writes against the journal's files at that moment, without a clock.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { connect, createServer } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { soon, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';
import { watchHandle } from '../../support/wire.ts';

type Res = ServerResponse | Http2ServerResponse;

/** Marks that a handler writes; each is looked for in the journal when it is sent. */
interface Way {
  readonly name: string;
  readonly act: (res: Res) => void;
  readonly marks: readonly string[];
  /** HTTP/2 has no such thing. */
  readonly http1Only?: boolean;
}

const WAYS: readonly Way[] = [
  {
    name: 'several writes in one tick',
    act: (res) => {
      write(res, '<1>');
      write(res, '<2>');
      setImmediate(() => res.end());
    },
    marks: ['<1>', '<2>'],
  },
  {
    name: 'a chain of next ticks and promises',
    act: (res) => {
      write(res, '<1>');
      process.nextTick(() => {
        write(res, '<2>');
        process.nextTick(() => {
          write(res, '<3>');
          void Promise.resolve().then(() => {
            write(res, '<4>');
            setImmediate(() => res.end());
          });
        });
      });
    },
    marks: ['<1>', '<2>', '<3>', '<4>'],
  },
  {
    name: 'one chunk a turn',
    act: (res) => {
      write(res, '<1>');
      setImmediate(() => {
        write(res, '<2>');
        setImmediate(() => res.end());
      });
    },
    marks: ['<1>', '<2>'],
  },
  {
    name: 'bytes',
    act: (res) => {
      write(res, Buffer.from('<1>'));
      setImmediate(() => res.end(Buffer.from('<2>')));
    },
    marks: ['<1>', '<2>'],
  },
  {
    name: 'a write and an end in one tick',
    act: (res) => {
      write(res, '<1>');
      res.end();
    },
    marks: ['<1>'],
  },
  {
    name: 'a write and an end with a chunk in one tick',
    act: (res) => {
      write(res, '<1>');
      res.end('<2>');
    },
    marks: ['<1>', '<2>'],
  },
  { name: 'one end', act: (res) => void res.end('<1>'), marks: ['<1>'] },
  {
    name: 'a chunk over the high-water mark',
    act: (res) => {
      write(res, `<1>${'x'.repeat(200_000)}<2>`);
      setImmediate(() => res.end('<3>'));
    },
    marks: ['<1>', '<2>', '<3>'],
  },
  {
    name: 'a response that is corked and uncorked in the same tick',
    act: (res) => {
      res.cork();
      write(res, '<1>');
      write(res, '<2>');
      res.uncork();
      setImmediate(() => res.end());
    },
    marks: ['<1>', '<2>'],
    http1Only: true,
  },
  {
    name: 'a response that is corked over a turn',
    act: (res) => {
      write(res, '<1>');
      setImmediate(() => {
        res.cork();
        write(res, '<2>');
        setImmediate(() => {
          write(res, '<3>');
          res.uncork();
          setImmediate(() => res.end());
        });
      });
    },
    marks: ['<1>', '<2>', '<3>'],
    http1Only: true,
  },
  {
    name: 'a socket that is uncorked behind a write',
    act: (res) => {
      write(res, '<1>');
      res.socket?.uncork();
      write(res, '<2>');
      res.socket?.uncork();
      setImmediate(() => res.end());
    },
    marks: ['<1>', '<2>'],
    http1Only: true,
  },
  {
    name: 'a socket that was corked before the turn',
    act: (res) => {
      res.socket?.cork();
      setImmediate(() => {
        write(res, '<1>');
        write(res, '<2>');
        res.socket?.uncork();
        setImmediate(() => res.end());
      });
    },
    marks: ['<1>', '<2>'],
    http1Only: true,
  },
];

describe.each([
  ['http', 'alone'],
  ['https', 'alone'],
  ['http', 'in company'],
  ['https', 'in company'],
] as const)('over %s, %s, the journal is ahead of the wire', (transport, how) => {
  it.each(WAYS)('with $name', async ({ act, marks }) => {
    const { guard, log } = journaled();
    if (how === 'in company') await talkative(guard);
    const testServer = await serve((req, res) => {
      watchHandle(req.socket, log);
      void guard(act)(req, res);
    }, transport);
    const httpClient = await openClient(testServer, '/');
    expect((await httpClient.over()).whole).toBe(true);
    expect(log.ahead).toEqual(Object.fromEntries(marks.map((mark) => [mark, true])));
  });
});

describe('over HTTP/2 the journal is ahead of the wire', () => {
  it.each(WAYS.filter((way) => way.http1Only !== true))(
    'for a stream with $name',
    async ({ act, marks }) => {
      const { guard, log } = journaled();
      const port = await serveHttp2Over(log, (req, res) => void guard(act)(req, res));
      const session = connect(`http://localhost:${port}`);
      onTestFinished(() => session.destroy());
      const stream = session.request({ ':path': '/' });
      stream.resume();
      await soon('the stream ends', new Promise((resolve) => stream.once('end', resolve)));
      expect(log.ahead).toEqual(Object.fromEntries(marks.map((mark) => [mark, true])));
    },
  );
});

describe('streams that write in one turn of the event loop', () => {
  const STREAMS = 40;

  it('share one write to the journal', async () => {
    const { guard, writes } = journaled();
    const { all, visits } = await gather(guard, STREAMS);
    const before = writes();
    // Each in a tick of its own, all in one turn.
    for (const res of all) setImmediate(() => res.write('<1>'));
    await nextTurn();
    await nextTurn();
    // One more for each that the machine kept waiting for longer than company lasts.
    expect(writes() - before).toBeLessThan(STREAMS / 2);
    for (const res of all) res.end();
    for (const httpClient of visits) await httpClient.sees('<1>');
  });

  it('have their callbacks called in their own async context', async () => {
    const { guard } = journaled();
    const { all, visits } = await gather(guard, STREAMS);
    const context = new AsyncLocalStorage<number>();
    const told: (number | undefined)[] = [];
    for (const [number, res] of all.entries()) {
      context.run(number, () => {
        setImmediate(() => res.write('<1>', () => told.push(context.getStore())));
      });
    }
    await until('all are told', () => told.length === STREAMS);
    expect(told.toSorted((a = 0, b = 0) => a - b)).toEqual([...all.keys()]);
    for (const res of all) res.end();
    for (const httpClient of visits) await httpClient.over();
  });

  it('send what they wrote before one of them is destroyed', async () => {
    const { guard } = journaled();
    const { all, visits } = await gather(guard, STREAMS);
    for (const res of all) {
      setImmediate(() => {
        res.write('<1>');
        // Behind the tick in which Node would let it go, in the same turn.
        queueMicrotask(() => process.nextTick(() => queueMicrotask(() => res.destroy())));
      });
    }
    for (const httpClient of visits) {
      await until('it is gone', () => httpClient.gone);
      expect(httpClient.text).toContain('<1>');
    }
  });
});

it('the log of the test detects a chunk that bypasses the guard', async () => {
  const { guard, log } = journaled();
  const testServer = await serve((req, res) => {
    watchHandle(req.socket, log);
    const past = res.write.bind(res);
    void guard(() => {
      res.setHeader('content-type', 'text/event-stream');
      past('<1>');
      setImmediate(() => res.end());
    })(req, res);
  });
  await (await openClient(testServer, '/')).over();
  expect(log.ahead).toEqual({ '<1>': false });
});

function write(res: Res, chunk: string | Buffer): void {
  // The two kinds of response have overloads of their own for the same call.
  (res as ServerResponse).write(chunk);
}

/** A guard with a journal of its own, and a log of what its responses send. */
function journaled() {
  const path = mkdtempSync(join(tmpdir(), 'lastchunk-ahead-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  const { keep, recorded } = createInMemoryInstance({ journal: path });
  const ahead: Record<string, boolean> = {};
  const log = (text: string): void => {
    const onDisk = filesIn(path);
    for (const [mark] of text.matchAll(/<\d>/g)) ahead[mark] = onDisk.includes(mark);
  };
  const guard = (act: (res: Res) => void) =>
    keep.guard({}, (_req, res: Res) => {
      if (!res.hasHeader('content-type')) res.setHeader('content-type', 'text/event-stream');
      act(res);
    });
  const writes = (): number => recorded.journalWrites;
  return { guard, writes, log: Object.assign(log, { ahead }) };
}

type Guard = ReturnType<typeof journaled>['guard'];

/** A stream that says something in every turn until the test is over, so that others are in company. */
async function talkative(guard: Guard): Promise<void> {
  let talking = true;
  const testServer = await serve((req, res) => {
    const talk = (): void => {
      if (!talking) return void res.end();
      write(res, ': more\n\n');
      setImmediate(talk);
    };
    void guard(talk)(req, res);
  });
  await openClient(testServer, '/');
  onTestFinished(() => {
    talking = false;
  });
}

/** Streams that have begun and wait. */
async function gather(guard: Guard, count: number) {
  const all: ServerResponse[] = [];
  const testServer = await serve((req, res) => {
    void guard(() => {
      res.write(': begun\n\n');
      all.push(res);
    })(req, res);
  });
  const visits = await Promise.all(
    Array.from({ length: count }, () => openClient(testServer, '/')),
  );
  await until('all have begun', () => all.length === count);
  await nextTurn();
  return { all, visits };
}

/**
 * An HTTP/2 session writes to its socket out of native code, which no log of ours can see; over a stream of
 * JavaScript it has to hand its frames to that, at the same moment.
 */
async function serveHttp2Over(
  log: (text: string) => void,
  listener: (req: Http2ServerRequest, res: Http2ServerResponse) => void,
): Promise<number> {
  const sessions = createServer(listener);
  const server = createTcpServer((socket) => {
    const seen = new Duplex({
      read: () => void socket.resume(),
      write: (chunk: Buffer, _encoding, done) => {
        log(chunk.toString());
        socket.write(chunk, done);
      },
      final: (done) => void socket.end(done),
    });
    socket.on('data', (chunk) => seen.push(chunk));
    socket.on('end', () => seen.push(null));
    socket.on('error', () => seen.destroy());
    sessions.emit('connection', seen);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => void server.close());
  // A TCP server that listens has an address object.
  return (server.address() as AddressInfo).port;
}

function filesIn(path: string): string {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('');
}
