/**
 * Requests without a connection: adapters of functions as a service and test doubles answer with a socket that is a plain
 * object, a bare emitter or absent. Each double is built as its library builds it.
 */
import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PassThrough, Writable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { until } from '../../support/until.ts';

/** A request, its response, and what was given to whoever waits for the answer. */
interface Double {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly answer: () => string;
}

const nothing = (): void => {};

/** A request of Node's over anything that is called a socket. */
function requestOver(socket: unknown): IncomingMessage {
  // The doubles give Node what its typings do not allow.
  const req = new IncomingMessage(socket as Socket);
  return Object.assign(req, { method: 'POST', url: '/chat', httpVersionMajor: 1, complete: true });
}

/** A plain socket that hands every write to `pieces`, with the methods that `assignSocket` calls. */
function plainSocket(pieces: string[]): object {
  return {
    _writableState: {},
    writable: true,
    on: nothing,
    removeListener: nothing,
    destroy: nothing,
    cork: nothing,
    uncork: nothing,
    write: (chunk: string | Uint8Array, encoding: unknown, done: unknown) => {
      pieces.push(Buffer.from(chunk as string).toString());
      const callback = typeof encoding === 'function' ? encoding : done;
      if (typeof callback === 'function') Reflect.apply(callback, undefined, []);
    },
  };
}

/** As serverless-http and serverless-express: two plain objects, neither of which can be listened to. */
function serverless(): Double {
  const pieces: string[] = [];
  const req = requestOver({ encrypted: true, readable: false, end: nothing, destroy: nothing });
  const res = new ServerResponse(req);
  res.assignSocket(plainSocket(pieces) as Socket);
  return { req, res, answer: () => pieces.join('') };
}

/** What Node's response itself asks of its socket, without a way to write. */
const MUTE = { _writableState: {}, cork: nothing, uncork: nothing, destroy: nothing };

/** The request's socket has no method at all. */
function bareObjects(): Double {
  const req = requestOver({ remoteAddress: '127.0.0.1' });
  const res = new ServerResponse(req);
  Object.assign(res, { socket: { ...MUTE, _writableState: {} } });
  return collected(req, res);
}

/** The same, and nothing can be put onto them. */
function frozenObjects(): Double {
  const req = requestOver(Object.freeze({ remoteAddress: '127.0.0.1' }));
  const res = new ServerResponse(req);
  Object.assign(res, { socket: Object.freeze({ ...MUTE, _writableState: {}, write: nothing }) });
  return collected(req, res);
}

/** An emitter that is no stream. */
function emitter(): Double {
  const req = requestOver(Object.assign(new EventEmitter(), { remoteAddress: '127.0.0.1' }));
  return collected(req, new ServerResponse(req));
}

/** A response of Node's to which no socket is assigned, of a request that has none. */
function noSocket(): Double {
  const req = requestOver(undefined);
  return collected(req, new ServerResponse(req));
}

/** As node-mocks-http: neither is of Node's classes, and the emitter's methods do nothing. */
function mocks(): Double {
  const pieces: string[] = [];
  const headers = new Map<string, unknown>();
  const events = ['on', 'once', 'addListener', 'removeListener', 'emit', 'prependListener'];
  const silent = Object.fromEntries(events.map((name) => [name, nothing]));
  const res = {
    ...silent,
    statusCode: 200,
    headersSent: false,
    writableEnded: false,
    setHeader: (name: string, value: unknown) => void headers.set(name.toLowerCase(), value),
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    removeHeader: (name: string) => void headers.delete(name.toLowerCase()),
    writeHead: (status: number) => {
      Object.assign(res, { statusCode: status, headersSent: true });
      return res;
    },
    write: (chunk: string) => pieces.push(chunk) > 0,
    end: (chunk?: string) => {
      if (chunk !== undefined) pieces.push(chunk);
      Object.assign(res, { writableEnded: true, headersSent: true });
    },
  };
  const req = { ...silent, method: 'POST', url: '/chat', headers: {} };
  // Whoever mocks a request says the same to the compiler.
  return {
    req: req as unknown as IncomingMessage,
    res: res as unknown as ServerResponse,
    answer: () => pieces.join(''),
  };
}

/** As light-my-request: a null socket, a payload that is taken at each write, and `finish` within `end`. */
class InjectedResponse extends ServerResponse {
  readonly pieces: string[] = [];

  constructor(req: IncomingMessage) {
    super(req);
    this.assignSocket(
      new Writable({ write: (_chunk, _encoding, done) => void setImmediate(done) }) as Socket,
    );
  }

  override write(chunk: unknown, ...rest: unknown[]): boolean {
    this.pieces.push(String(chunk));
    return Reflect.apply(super.write, this, [chunk, ...rest]) as boolean;
  }

  override end(chunk?: unknown): this {
    if (chunk !== undefined) this.write(chunk);
    super.end();
    this.emit('finish');
    this.destroy();
    return this;
  }

  override destroy(): this {
    if (this.destroyed) return this;
    this.destroyed = true;
    process.nextTick(() => this.emit('close'));
    return this;
  }
}

function injected(): Double {
  const req = requestOver(Object.assign(new EventEmitter(), { remoteAddress: '127.0.0.1' }));
  const res = new InjectedResponse(req);
  return { req, res, answer: () => res.pieces.join('') };
}

/** What is written to a response that has no socket yet is seen once it is given one. */
function collected(req: IncomingMessage, res: ServerResponse): Double {
  const answer = (): string => {
    const through = new PassThrough();
    Object.assign(res, { socket: null });
    res.assignSocket(through as unknown as Socket);
    // Node 26 gives one piece a call, older ones all that is there.
    let text = '';
    let piece = through.read() as Buffer | null;
    while (piece !== null) {
      text += piece.toString();
      piece = through.read() as Buffer | null;
    }
    return text;
  };
  return { req, res, answer };
}

const DOUBLES: ReadonlyArray<readonly [string, () => Double]> = [
  ['plain objects that take writes', serverless],
  ['a plain object without methods', bareObjects],
  ['a frozen object', frozenObjects],
  ['an emitter that is no stream', emitter],
  ['no socket', noSocket],
  ['mocks that emit nothing', mocks],
  ['an injected response', injected],
];

/** Of these a terminal frame can be held. */
const HOLDING = DOUBLES.filter(([, make]) => make === serverless);

function begin(res: ServerResponse, content = 'hello'): void {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content }));
}

function answerWhole(res: ServerResponse, content = 'hello'): void {
  begin(res, content);
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
}

/** Neither warned of nor counted as an internal error: the response was guarded. */
function expectNoMishap({ recorded, logbook }: ReturnType<typeof createInMemoryInstance>): void {
  expect(recorded.internalErrors).toEqual([]);
  expect(logbook.lines.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
}

describe.each(DOUBLES)('a request with %s', (_, make) => {
  it('is answered, captured and saved under a guard', async () => {
    const instance = createInMemoryInstance();
    const { req, res, answer } = make();
    void instance.keep.guard({}, () => answerWhole(res))(req, res);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true });
    expect(answer()).toMatch(/hello[^]*\[DONE\]/);
    expectNoMishap(instance);
  });

  it('is observed until its end', async () => {
    const instance = createInMemoryInstance();
    const { req, res } = make();
    void instance.keep.observe()(req, res, () => answerWhole(res));
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
    expect(instance.recorded.starts).toBe(1);
    expectNoMishap(instance);
  });

  it('ends even if its store does not answer at once', async () => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const { req, res } = make();
    void instance.keep.guard({}, () => answerWhole(res))(req, res);
    await until('the message is due', () => instance.store.waiting === 1);
    instance.store.answer();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
  });

  it('is stopped by its handle, even if its handler never ends', async () => {
    const instance = createInMemoryInstance();
    const { req, res } = make();
    void instance.keep.guard({}, () => begin(res))(req, res);
    instance.keep.stream(res)?.stop();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped', save: 'saved' });
    expect(instance.store.row.text).toBe('hello');
  });

  it('has failed if its handler throws, also after close()', async () => {
    const instance = createInMemoryInstance();
    const { req, res } = make();
    const guard = instance.keep.guard({}, () => {
      begin(res);
      throw new Error('upstream');
    });
    expect(() => guard(req, res)).toThrow('upstream');
    await instance.keep.close({ deadlineMs: 200 });
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: false });
  });

  it('is not a stream if it is answered as JSON', async () => {
    const instance = createInMemoryInstance();
    const { req, res } = make();
    void instance.keep.guard({}, () => {
      res.setHeader('content-type', 'application/json');
      res.end('{}');
    })(req, res);
    await turn();
    expect(instance.recorded.starts).toBe(0);
    expect(instance.recorded.internalErrors).toEqual([]);
  });
});

describe.each(DOUBLES.filter(([, make]) => make !== mocks))('the close of %s', (_, make) => {
  it.each<readonly ['keep' | 'finish', string, boolean]>([
    ['keep', 'hello', false],
    ['finish', 'hello world', true],
  ])('before the end counts as a client that left: %s', async (disconnected, text, complete) => {
    const instance = createInMemoryInstance();
    const { req, res } = make();
    const options: GuardOptions = { policy: { disconnected } };
    void instance.keep.guard(options, () => begin(res))(req, res);
    res.emit('close');
    res.write(chatChunk({ content: ' world' }));
    res.end(chatChunk({}, 'stop'));
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text, complete });
    expectNoMishap(instance);
  });
});

describe.each(HOLDING)('the terminal frame to %s', (_, make) => {
  it('is sent when the message is saved, and finish comes after it', async () => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const { req, res, answer } = make();
    let finished = false;
    res.on('finish', () => {
      finished = true;
    });
    void instance.keep.guard({}, () => answerWhole(res))(req, res);
    await until('the message is due', () => instance.store.waiting === 1);
    await turn();
    expect(answer()).toContain('hello');
    expect(answer()).not.toContain('stop');
    expect(finished).toBe(false);
    instance.store.answer();
    await until('the response has finished', () => finished);
    expect(answer()).toMatch(/stop[^]*\[DONE\]/);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
  });
});

describe('two requests', () => {
  it.each(DOUBLES)('share no state: %s', async (_, make) => {
    const instance = createInMemoryInstance();
    const one = make();
    const two = make();
    // A library may give every request the same object.
    Object.assign(two.req, { socket: one.req.socket });
    const guard = instance.keep.guard();
    void guard(one.req, one.res, () => begin(one.res, 'one'));
    void guard(two.req, two.res, () => answerWhole(two.res, 'two'));
    await instance.recorded.ended();
    expect(instance.recorded.ends).toMatchObject([{ outcome: 'completed' }]);
    expect(instance.store.row.text).toBe('two');
    one.res.end(chatChunk({}, 'stop'));
    await instance.recorded.ended(2);
    expect([...instance.store.rows.values()].map(({ text }) => text)).toEqual(['two', 'one']);
  });

  it('one after the other on one plain socket are both saved', async () => {
    const instance = createInMemoryInstance();
    const pieces: string[] = [];
    const socket = plainSocket(pieces) as Socket;
    const req = requestOver(socket);
    for (const content of ['one', 'two']) {
      const res = new ServerResponse(req);
      res.assignSocket(socket);
      void instance.keep.guard({}, () => answerWhole(res, content))(req, res);
      await instance.recorded.ended(instance.store.rows.size + 1);
      res.detachSocket(socket);
    }
    expect([...instance.store.rows.values()].map(({ text }) => text)).toEqual(['one', 'two']);
    expect(pieces.join('').match(/\[DONE\]/g)).toHaveLength(2);
    expectNoMishap(instance);
  });
});
