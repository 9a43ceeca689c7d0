/** The classifier as a function, row by row; real errors are in the corpus. */
import { describe, expect, it } from 'vitest';
import { markSaveError, markStopReason, type StreamFacts } from '../../src/core/current-stream.ts';
import { codesWith } from '../../src/core/error-facts.ts';
import { classify } from '../../src/noise/classify.ts';
import {
  BEFORE_ASKING,
  type Matcher,
  OF_ABORT,
  OF_RESPONSE,
  OF_SERVER,
} from '../../src/noise/matcher.ts';
import { FAILURES, SIGNATURES } from '../../src/noise/signatures.ts';
import { NOISE_REASONS } from '../../src/core/names/labels.ts';

const reason = new DOMException('lastchunk: the client left', 'AbortError');

/** A stream whose client has left, and whose signal is aborted. */
const LEFT: StreamFacts = {
  departure: 'client',
  departedAt: { atMs: 1, turn: 1 },
  closed: true,
  abortReason: reason,
  ownErrors: [],
};
const THERE: StreamFacts = {
  departure: undefined,
  departedAt: undefined,
  closed: false,
  abortReason: undefined,
  ownErrors: [],
};

/** An error that looks as this row says, and like nothing else. */
function looking({ code, name, className, message, syscall, type, stack }: Matcher): Error {
  const made =
    className === undefined || className === 'Error'
      ? new Error('something')
      : new ({ [className]: class extends Error {} }[className] ?? Error)('something');
  const text = message instanceof RegExp ? messageOf(message) : message;
  if (text !== undefined) made.message = text;
  const set = { ...(name && { name }), ...(code !== undefined && { code }) };
  const more = { ...(type && { type }), ...(stack && { stack: traceOf(stack) }) };
  return Object.assign(made, set, more, syscall === true && { syscall: 'read' });
}

/** Frames as Node 20 to 26 write them. */
const TRACES = {
  response: `Error [ERR_STREAM_PREMATURE_CLOSE]: Premature close
    at getEosOnCloseError (node:internal/streams/end-of-stream:103:14)
    at ServerResponse.onclose (node:internal/streams/end-of-stream:265:19)
    at ServerResponse.emit (node:events:526:24)`,
  'response, by name': `Error [ERR_STREAM_DESTROYED]: Cannot call write after a stream was destroyed
    at new NodeError (/app/node_modules/readable-stream/errors.js:1:1)
    at write_ (node:_http_outgoing:913:11)
    at ServerResponse.write (node:_http_outgoing:860:15)`,
  'response over HTTP/2': `Error [ERR_HTTP2_INVALID_STREAM]: The stream has been destroyed
    at Http2ServerResponse.write (node:internal/http2/compat:794:13)`,
  'stream of HTTP/2': `Error [ERR_STREAM_PREMATURE_CLOSE]: Premature close
    at ServerHttp2Stream.onclose (node:internal/streams/end-of-stream:159:30)`,
  file: `Error [ERR_STREAM_DESTROYED]: Cannot call write after a stream was destroyed
    at _write (node:internal/streams/writable:491:11)
    at Writable.write (node:internal/streams/writable:510:10)
    at ServerResponse.<anonymous> (/app/log.js:1:1)
    at ServerResponse.emit (node:events:536:35)`,
  'stream of the app': `Error [ERR_STREAM_PREMATURE_CLOSE]: Premature close
    at PassThrough.onclose (node:internal/streams/end-of-stream:154:30)
    at PassThrough.emit (node:events:536:35)
    at ServerResponse.emit (node:events:536:35)`,
  request: `BadRequestError: request aborted
    at IncomingMessage.onAborted (/app/node_modules/raw-body/index.js:245:10)
    at abortIncoming (node:_http_server:922:9)`,
  answer: `BadRequestError: request aborted
    at IncomingMessage.onAborted (/app/node_modules/raw-body/index.js:245:10)
    at Socket.socketCloseListener (node:_http_client:464:11)`,
  abort: `AbortError: The user aborted a request.
    at abort (/app/node_modules/node-fetch/lib/index.js:1:1)
    at runAbort (node:internal/abort_controller:561:10)
    at AbortController.abort (node:internal/abort_controller:580:5)`,
  'time-out': `AbortError: The user aborted a request.
    at abort (/app/node_modules/node-fetch/lib/index.js:1:1)
    at runAbort (node:internal/abort_controller:561:10)
    at Timeout._onTimeout (node:internal/abort_controller:140:7)`,
  'signal that was aborted already': `AbortError: The user aborted a request.
    at abort (/app/node_modules/node-fetch/lib/index.js:1:1)
    at new Promise (<anonymous>)`,
  'no frames': 'Error [ERR_STREAM_PREMATURE_CLOSE]: Premature close',
};

/** The trace by which this row knows its error. */
function traceOf(stack: RegExp): string {
  return Object.values(TRACES).find((trace) => stack.test(trace)) ?? '';
}

describe('a stack trace', () => {
  const whose = (stack: RegExp): string[] =>
    Object.entries(TRACES).flatMap(([name, trace]) => (stack.test(trace) ? [name] : []));

  it('matches OF_RESPONSE only if its first stream is a response', () => {
    expect(whose(OF_RESPONSE)).toEqual([
      'response',
      'response, by name',
      'response over HTTP/2',
      'stream of HTTP/2',
    ]);
  });

  it('of a request that was broken off differs from that of an answer', () => {
    expect(whose(OF_SERVER)).toEqual(['request']);
  });

  it('of an abort differs from that of a time-out', () => {
    expect(whose(OF_ABORT)).toEqual(['abort']);
    expect(whose(BEFORE_ASKING)).toEqual(['signal that was aborted already']);
  });

  it('is required: without frames an error stays a failure', () => {
    const rows = SIGNATURES.filter(({ stack }) => stack !== undefined);
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) {
      expect(classify(looking(row), LEFT)).toMatchObject({ noise: true });
      const bare = Object.assign(looking(row), { stack: TRACES['no frames'] });
      expect(classify(bare, LEFT)).toEqual({ noise: false });
    }
  });
});

const aborted = () => looking({ name: 'AbortError', code: 'ABORT_ERR' });

describe('the table of signatures', () => {
  it('has unique names, a source for each row, and a row for each reason', () => {
    const ids = SIGNATURES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { source } of [...SIGNATURES, ...FAILURES])
      expect(source.length).toBeGreaterThan(10);
    const reasons = new Set(['own-abort', ...SIGNATURES.map((row) => row.reason)]);
    expect([...reasons].toSorted()).toEqual(NOISE_REASONS.toSorted());
  });

  it('has few enough reasons for a metric label', () => {
    expect(NOISE_REASONS.length).toBeLessThanOrEqual(25);
  });
});

describe.each(SIGNATURES.filter(({ needs }) => needs === 'left'))(
  '$id, which needs a client that left,',
  (row) => {
    it('is noise if nobody waits for the answer', () => {
      const found = { noise: true, reason: row.reason, signature: row.id };
      for (const departure of ['client', 'stopped', 'closing'] as const) {
        expect(classify(looking(row), { ...LEFT, departure })).toEqual(found);
      }
    });

    it('is a failure if somebody waits for the answer', () => {
      expect(classify(looking(row), THERE)).toEqual({ noise: false });
    });

    it('is a failure if its cause is a failure', () => {
      const error = looking(row);
      error.cause = looking({ name: 'TimeoutError' });
      expect(classify(error, LEFT)).toEqual({ noise: false });
    });
  },
);

describe.each(SIGNATURES.filter(({ needs }) => needs === 'own'))(
  '$id, which needs an error of its own connection,',
  (row) => {
    it("is noise if it is the very error object of the stream's own connection", () => {
      const error = looking(row);
      const found = { noise: true, reason: row.reason, signature: row.id };
      expect(classify(error, { ...LEFT, ownErrors: [looking(row), error] })).toEqual(found);
    });

    it('is a failure if it is another error object with the same properties', () => {
      expect(classify(looking(row), { ...LEFT, ownErrors: [looking(row)] })).toEqual({
        noise: false,
      });
    });

    it('is a failure if nobody has left, although the error is that of its own connection', () => {
      const error = looking(row);
      expect(classify(error, { ...THERE, ownErrors: [error] })).toEqual({ noise: false });
    });
  },
);

describe.each(SIGNATURES.filter(({ needs }) => needs === 'closed'))(
  '$id, which needs a closed response,',
  (row) => {
    it('is noise only after the close', () => {
      expect(classify(looking(row), LEFT)).toMatchObject({ noise: true, reason: row.reason });
      expect(classify(looking(row), { ...LEFT, departure: 'stopped', closed: false })).toEqual({
        noise: false,
      });
    });
  },
);

describe.each(SIGNATURES.filter(({ needs }) => needs === 'aborted'))(
  '$id, which needs an aborted signal,',
  (row) => {
    it("is noise once the stream's own signal is aborted, and a failure while the stream outlives its client", () => {
      expect(classify(looking(row), LEFT)).toMatchObject({ noise: true, reason: row.reason });
      expect(classify(looking(row), { ...LEFT, abortReason: undefined })).toEqual({ noise: false });
    });
  },
);

describe.each(SIGNATURES.filter(({ needs }) => needs === 'our-reason'))(
  '$id, which needs the reason of its own signal,',
  (row) => {
    it("is noise only with the reason of the stream's own signal among its causes", () => {
      const [mine, other] = [looking(row), looking(row)];
      mine.cause = new Error('broken off', { cause: reason });
      other.cause = new DOMException('lastchunk: the client left', 'AbortError');
      expect(classify(mine, LEFT)).toMatchObject({ noise: true, reason: row.reason });
      expect(classify(other, LEFT)).toEqual({ noise: false });
      expect(classify(looking(row), LEFT)).toEqual({ noise: false });
    });
  },
);

describe.each(SIGNATURES.filter(({ needs }) => needs === 'our-destroy'))(
  '$id, which needs a destroyed request,',
  (row) => {
    it('is a failure without proof that this process destroyed the request', () => {
      expect(classify(looking(row), LEFT)).toEqual({ noise: false });
    });
  },
);

describe.each(FAILURES.map((row, i) => ({ row, i })))('the failure in row $i', ({ row }) => {
  it('makes a failure of an abort that it caused', () => {
    const error = aborted();
    error.cause = looking(row);
    expect(classify(error, LEFT)).toEqual({ noise: false });
  });
});

describe.each([
  'UND_ERR_SOCKET',
  'ECONNREFUSED',
  'ERR_HTTP_HEADERS_SENT',
  'HPE_INVALID_METHOD',
  '57P01',
])('an error with the code %s', (code) => {
  it('turns an abort that it caused into a failure', () => {
    const error = aborted();
    error.cause = looking({ code });
    expect(classify(error, LEFT)).toEqual({ noise: false });
  });
});

it('there is a signature for each code that can mean a cancellation, and for no other', () => {
  const codes = SIGNATURES.flatMap(({ code }) => (typeof code === 'string' ? [code] : []));
  expect([...new Set(codes)].toSorted()).toEqual([...codesWith('cancellation')].toSorted());
});

const MESSAGES = [
  'Connection terminated unexpectedly',
  'better-sse: Cannot push data to a non-active session. Ensure',
];

function messageOf(message: RegExp): string | undefined {
  return MESSAGES.find((example) => message.test(example));
}

describe('the reason with which the stream was aborted', () => {
  it('is noise, whatever error it is', () => {
    const own = new Error('enough');
    const found = { noise: true, reason: 'own-abort', signature: 'own abort reason' };
    expect(classify(own, { ...LEFT, abortReason: own })).toEqual(found);
    expect(classify(new Error('no answer', { cause: own }), { ...LEFT, abortReason: own })).toEqual(
      found,
    );
  });

  it('is noise also as the abort event of the signal', () => {
    const own = AbortSignal.abort(reason);
    const event = new Event('abort');
    own.dispatchEvent(event);
    expect(classify(event, LEFT)).toMatchObject({ noise: true, reason: 'own-abort' });
    const other = new Event('abort');
    AbortSignal.abort().dispatchEvent(other);
    expect(classify(other, LEFT)).toEqual({ noise: false });
    expect(classify(event, { ...LEFT, abortReason: undefined })).toEqual({ noise: false });
    expect(classify(new Event('abort'), { ...LEFT, abortReason: undefined })).toEqual({
      noise: false,
    });
  });

  it('is a failure in another stream, which shared its work and still needed it', () => {
    const other = new DOMException('lastchunk: the client left', 'AbortError');
    expect(classify(other, LEFT)).toMatchObject({ noise: true });
    markStopReason(other);
    expect(classify(other, LEFT)).toEqual({ noise: false });
    expect(classify(new Error('no answer', { cause: other }), LEFT)).toEqual({ noise: false });
  });

  it('is a failure after a time-out, if nobody had left', () => {
    expect(classify(reason, { ...LEFT, departure: undefined })).toEqual({ noise: false });
  });
});

describe('nested errors', () => {
  it('are followed to a depth of five causes', () => {
    const wrap = (depth: number): Error =>
      depth === 0 ? aborted() : new Error('layer', { cause: wrap(depth - 1) });
    expect(classify(wrap(5), LEFT)).toMatchObject({ noise: true });
    expect(classify(wrap(6), LEFT)).toEqual({ noise: false });
  });

  it('may be cyclic, and their own cause', () => {
    const [one, other] = [new Error('aborted'), aborted()];
    one.cause = other;
    other.cause = one;
    expect(classify(one, LEFT)).toMatchObject({ noise: true });
    const self = new Error('aborted');
    self.cause = self;
    expect(classify(self, LEFT)).toEqual({ noise: false });
  });

  it('in an AggregateError are noise only if each of them is', () => {
    const one = aborted();
    expect(classify(new AggregateError([one, one, reason]), LEFT)).toMatchObject({ noise: true });
    expect(classify(new AggregateError([one, new Error('broken')]), LEFT)).toEqual({
      noise: false,
    });
    expect(classify(new AggregateError([one, undefined]), LEFT)).toEqual({ noise: false });
    const again = new AggregateError([one, new Error('no answer', { cause: one })]);
    expect(classify(again, LEFT)).toMatchObject({ noise: true });
    expect(classify(new AggregateError([]), LEFT)).toEqual({ noise: false });
    const nested = new AggregateError([
      one,
      new AggregateError([looking({ code: 'ECONNREFUSED' })]),
    ]);
    expect(classify(nested, LEFT)).toEqual({ noise: false });
    const self = new AggregateError([one]);
    self.errors.push(self);
    expect(classify(self, LEFT)).toEqual({ noise: false });
  });

  it('are a failure if there are too many to check', () => {
    const many = Array.from({ length: 1000 }, aborted);
    expect(classify(new AggregateError(many), LEFT)).toEqual({ noise: false });
  });

  it('are a failure if one of them is a failed save', () => {
    const save = aborted();
    markSaveError(save);
    expect(classify(save, LEFT)).toEqual({ noise: false });
    expect(classify(Object.assign(aborted(), { cause: save }), LEFT)).toEqual({ noise: false });
  });
});

describe('a value that is not an ordinary error', () => {
  const endless: object = new Proxy({}, { get: () => endless, getPrototypeOf: () => endless });
  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'aborted'],
    ['a symbol', Symbol('aborted')],
    ['an object without a prototype', Object.create(null)],
    ['a function', () => 'aborted'],
    ['a proxy without an end', endless],
    ['a proxy that throws', new Proxy({}, { get: refuse, getPrototypeOf: refuse, has: refuse })],
    ['a revoked proxy', revoked()],
    ['an error whose getters throw', Object.defineProperty(aborted(), 'cause', { get: refuse })],
    ['an error whose name is an object', Object.assign(aborted(), { name: {} })],
  ])('(%s) is a failure, and throws nothing', (_, thing: unknown) => {
    expect(classify(thing, LEFT)).toEqual({ noise: false });
  });
});

function refuse(): never {
  throw new Error('no');
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
