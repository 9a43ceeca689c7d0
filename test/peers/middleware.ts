/** What compression, morgan, on-finished and finalhandler document. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import compression from 'compression';
import finalhandler from 'finalhandler';
import morgan from 'morgan';
import onFinished from 'on-finished';
import { casesOf, type Note, type PeerCase } from './peer-case.ts';

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

const GZIP = { 'accept-encoding': 'gzip' };
const LONG = 'long '.repeat(1000);

function compressed(
  handler: (req: IncomingMessage, res: ServerResponse & { flush?: () => void }) => void,
  options: compression.CompressionOptions = {},
): () => RequestListener {
  return () => {
    const compress = compression(options);
    // It takes what Express hands on, of which it uses what Node's own have.
    const middleware = compress as unknown as (
      ...args: [...Parameters<Handler>, () => void]
    ) => void;
    return (req, res) => middleware(req, res, () => handler(req, res));
  };
}

function logged(handler: Handler, options: morgan.Options<IncomingMessage, ServerResponse> = {}) {
  return (note: Note): RequestListener => {
    const stream = { write: (line: string) => note(line.trim()) };
    const format = ':method :url :status :res[content-length]';
    const log = morgan<IncomingMessage, ServerResponse>(format, { ...options, stream });
    return (req, res) => log(req, res, () => handler(req, res));
  };
}

function text(res: ServerResponse, body: string): void {
  res.setHeader('content-type', 'text/plain');
  res.end(body);
}

const COMPRESSION = casesOf('compression', {
  'a long body is encoded': {
    app: compressed((_, res) => text(res, LONG)),
    asks: [{ headers: GZIP }],
    sees: ['content-encoding: gzip', 'vary: Accept-Encoding', 'transfer-encoding: chunked'],
  },
  'a short body is not': {
    app: compressed((_, res) => {
      res.setHeader('content-length', 5);
      text(res, 'short');
    }),
    asks: [{ headers: GZIP }],
    sees: ['short', 'vary: Accept-Encoding', 'content-length: 5'],
  },
  'nor one for a client that accepts no coding, nor one that must not be transformed': {
    app: compressed((req, res) => {
      if (req.url === '/kept') res.setHeader('cache-control', 'no-transform');
      text(res, LONG);
    }),
    asks: [{}, { path: '/kept', headers: GZIP }],
    sees: ['long long', 'cache-control: no-transform'],
  },
  'HEAD is not encoded': {
    app: compressed((_, res) => text(res, LONG)),
    asks: [{ method: 'HEAD', headers: GZIP }],
    sees: ['200'],
  },
  'res.flush() sends the bytes that were written so far': {
    app: compressed(
      (_, res) => {
        res.setHeader('content-type', 'text/event-stream');
        res.write('data: one\n\n');
        res.flush?.();
        setImmediate(() => {
          res.write('data: two\n\n');
          res.flush?.();
          setImmediate(() => res.end());
        });
      },
      { threshold: 0 },
    ),
    asks: [{ headers: GZIP }],
    sees: ['content-encoding: gzip', 'whole'],
  },
  'writes and an end in one turn, with deflate': {
    app: compressed(
      (_, res) => {
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        res.write(Buffer.from('two '));
        res.end('three');
      },
      { threshold: 0 },
    ),
    asks: [{ headers: { 'accept-encoding': 'deflate' } }],
    sees: ['content-encoding: deflate', 'whole'],
  },
});

const MORGAN = casesOf('morgan', {
  'a line when the answer is sent': {
    app: logged((_, res) => {
      res.setHeader('content-length', 4);
      text(res, 'body');
    }),
    sees: ['GET / 200 4'],
  },
  'a line at the request, without a status': {
    app: logged((_, res) => text(res, 'body'), { immediate: true }),
    sees: ['GET / - -'],
  },
  'no line for a request that is skipped': {
    app: logged((_, res) => text(res, 'body'), { skip: (req) => req.url === '/quiet' }),
    asks: [{ path: '/quiet' }, { path: '/loud' }],
    sees: ['GET /loud 200'],
  },
  'a line for a client that leaves': {
    app: logged((_, res) => {
      res.setHeader('content-type', 'text/csv');
      res.write('half');
    }),
    asks: [{ leavesAt: 'half' }],
    sees: ['GET / 200 -'],
  },
});

function finishing(handler: (res: ServerResponse, note: Note) => void) {
  return (note: Note): RequestListener => {
    return (req, res) => {
      onFinished(res, (error) => note(`response ${error === null ? 'finished' : 'failed'}`));
      onFinished(req, (error) => note(`request ${error === null ? 'finished' : 'failed'}`));
      note(`is finished: ${String(onFinished.isFinished(res))}`);
      handler(res, note);
    };
  };
}

const ON_FINISHED = casesOf('on-finished', {
  'calls its listener when the response is sent': {
    app: finishing((res) => text(res, 'body')),
    sees: ['is finished: false', 'response finished', 'request finished'],
  },
  'calls several listeners in order': {
    app: finishing((res, note) => {
      for (const name of ['one', 'two', 'three']) onFinished(res, () => note(name));
      text(res, 'body');
    }),
    sees: ['one', 'two', 'three'],
  },
  'calls its listener in a later turn if the response is over already': {
    app: finishing((res, note) => {
      res.on('finish', () => {
        setImmediate(() => {
          note(`is finished: ${String(onFinished.isFinished(res))}`);
          onFinished(res, () => note('late'));
          note('asked');
        });
      });
      text(res, 'body');
    }),
    sees: ['is finished: true', 'asked', 'late'],
  },
  'calls its listener when the client leaves': {
    app: finishing((res) => {
      res.setHeader('content-type', 'text/csv');
      res.write('half');
    }),
    asks: [{ leavesAt: 'half' }],
    sees: ['response '],
  },
  'calls its listener when the response is destroyed': {
    app: finishing((res) => {
      res.setHeader('content-type', 'text/csv');
      res.write('half');
      setImmediate(() => res.destroy());
    }),
    sees: ['half', 'cut, closed', 'response '],
  },
});

function handling(error: unknown, before: (res: ServerResponse) => void = () => {}) {
  return (note: Note): RequestListener => {
    return (req, res) => {
      before(res);
      const onerror = (given: unknown): void => note(`onerror ${String(given)}`);
      setImmediate(() => finalhandler(req, res, { env: 'production', onerror })(error));
    };
  };
}

const FINALHANDLER = casesOf('finalhandler', {
  'without an error it answers 404': {
    app: handling(undefined),
    asks: [{ path: '/none' }, { path: '/none', method: 'HEAD' }],
    sees: ['404', 'Cannot GET /none', "content-security-policy: default-src 'none'"],
  },
  'with an error it answers 500, without the text of the error': {
    app: handling(new Error('secret')),
    sees: ['500', 'Internal Server Error', 'onerror Error: secret'],
  },
  'uses the status and the headers of the error': {
    app: handling(Object.assign(new Error('no'), { status: 503, headers: { 'retry-after': '9' } })),
    sees: ['503', 'retry-after: 9'],
  },
  'removes the headers that were set': {
    app: handling(new Error('no'), (res) => {
      res.setHeader('x-mine', '1');
      res.setHeader('content-encoding', 'gzip');
    }),
    sees: ['500'],
  },
  'destroys a response that has begun': {
    app: handling(new Error('late'), (res) => {
      res.setHeader('content-type', 'text/csv');
      res.write('half');
    }),
    sees: ['half', 'cut, closed', 'onerror Error: late'],
  },
});

export const AROUND_HANDLERS: readonly PeerCase[] = [
  ...COMPRESSION,
  ...MORGAN,
  ...ON_FINISHED,
  ...FINALHANDLER,
];
