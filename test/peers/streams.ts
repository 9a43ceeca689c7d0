/** What better-sse, graphql-sse and http-proxy document. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { createChannel, createSession, type Session } from 'better-sse';
import type * as Graphql from 'graphql';
import type * as GraphqlSse from 'graphql-sse/lib/use/http';
import httpProxy from 'http-proxy';
import { onTestFinished } from 'vitest';
import { casesOf, type Note, type PeerCase } from './peer-case.ts';

const require = createRequire(import.meta.url);
// The same copy of graphql for both, which has one for `import` and one for `require()`.
const { GraphQLObjectType, GraphQLSchema, GraphQLString } = require('graphql') as typeof Graphql;
const { createHandler } = require('graphql-sse/lib/use/http') as typeof GraphqlSse;

function session(
  act: (session: Session, res: ServerResponse, note: Note) => void | Promise<void>,
): (note: Note) => RequestListener {
  return (note) => async (req, res) => {
    const made = await createSession(req, res);
    made.on('disconnected', () => note('disconnected'));
    await act(made, res, note);
  };
}

const BETTER_SSE = casesOf('better-sse', {
  'session.push() sends an event with its name and id': {
    app: session((made, res) => {
      made.push({ a: 1 }, 'piece', '1');
      made.push('two', 'piece', '2');
      res.end();
    }),
    sees: ['text/event-stream', 'event:piece', 'data:{"a":1}', 'id:2', 'disconnected'],
  },
  'session.batch() sends several events at once': {
    app: session(async (made, res) => {
      await made.batch((buffer) => {
        buffer.push('one', 'piece', '1');
        buffer.push('two', 'piece', '2');
      });
      res.end();
    }),
    sees: ['data:"one"', 'data:"two"', 'whole'],
  },
  'a heartbeat is sent while there are no events': {
    app: beating,
    sees: ['\n\n:\n\n', 'whole'],
  },
  'a channel sends to its sessions': {
    app: session((made, res, note) => {
      const channel = createChannel().register(made);
      channel.on('session-deregistered', () => note('deregistered'));
      channel.broadcast('all', 'piece', { eventId: '1' });
      res.end();
    }),
    sees: ['data:"all"', 'deregistered'],
  },
  'a session is disconnected when its client leaves': {
    app: session((made) => void made.push('one', 'message', '1')),
    asks: [{ leavesAt: 'one' }],
    sees: ['disconnected'],
  },
});

/** Ends with its second heartbeat. */
function beating(): RequestListener {
  const listen = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    await createSession(req, res, { keepAlive: 10 });
    const write = res.write.bind(res);
    let beats = 0;
    Reflect.set(res, 'write', (...args: unknown[]) => {
      beats += 1;
      if (beats === 2) setImmediate(() => res.end());
      return Reflect.apply(write, res, args);
    });
  };
  return (req, res) => void listen(req, res);
}

const LETTERS = ['a', 'b', 'c'];

async function* letters(): AsyncGenerator<{ readonly letter: string }> {
  for (const letter of LETTERS) {
    await new Promise(setImmediate);
    yield { letter };
  }
}

const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: { hello: { type: GraphQLString, resolve: () => 'world' } },
  }),
  subscription: new GraphQLObjectType({
    name: 'Subscription',
    fields: { letter: { type: GraphQLString, subscribe: letters } },
  }),
});

function graphql(): RequestListener {
  const handle = createHandler({ schema });
  return (req, res) => void handle(req, res);
}

function query(text: string, accept = 'text/event-stream') {
  const body = JSON.stringify({ query: text });
  return { method: 'POST', headers: { accept, 'content-type': 'application/json' }, body };
}

const GRAPHQL_SSE = casesOf('graphql-sse', {
  'a subscription sends next for each value, then complete': {
    app: graphql,
    asks: [query('subscription { letter }')],
    sees: ['event: next', '{"letter":"c"}', 'event: complete', 'whole'],
  },
  'a query sends one next, then complete': {
    app: graphql,
    asks: [query('{ hello }')],
    sees: ['{"hello":"world"}', 'event: complete'],
  },
  'a malformed query results in its errors; another Accept finds no stream': {
    app: graphql,
    asks: [query('{ none }'), query('{ hello }', 'image/png')],
    sees: ['Cannot query field', '404', 'Stream not found'],
  },
});

/** A proxy to a server of its own. */
function proxied(origin: RequestListener): (note: Note) => Promise<RequestListener> {
  return async (note) => {
    const server = createServer(origin);
    await new Promise<void>((resolve) => {
      server.listen(0, 'localhost', resolve);
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    // A TCP server that listens has an address object.
    const target = `http://localhost:${(server.address() as AddressInfo).port}`;
    const proxy = httpProxy.createProxyServer({ target });
    proxy.on('proxyRes', ({ statusCode }) => note(`proxyRes ${statusCode}`));
    proxy.on('end', () => note('end'));
    return (req, res) => {
      proxy.web(req, res, {}, (error) => {
        note(`error ${'code' in error ? String(error.code) : error.message}`);
        if (res.headersSent) res.destroy();
        else res.writeHead(502).end('bad gateway');
      });
    };
  };
}

const HTTP_PROXY = casesOf('http-proxy', {
  'an answer with its status, its head and its length': {
    app: proxied((_, res) => {
      res.writeHead(201, { 'content-length': 4, 'content-type': 'text/plain', 'x-mine': '1' });
      res.end('body');
    }),
    sees: ['201', 'content-length: 4', 'x-mine: 1', 'body', 'proxyRes 201', 'end'],
  },
  'a stream of events, piece by piece': {
    app: proxied((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write('data: one\n\n');
      setImmediate(() => {
        res.write('data: two\n\n');
        setImmediate(() => res.end());
      });
    }),
    sees: ['data: one\n\ndata: two', 'whole', 'end'],
  },
  'a redirect, an error and an empty answer': {
    app: proxied((req, res) => {
      if (req.url === '/go') res.writeHead(302, { location: '/there' });
      if (req.url === '/nothing') res.writeHead(204);
      if (req.url === '/error') res.writeHead(500);
      res.end();
    }),
    asks: ['/go', '/nothing', '/error'].map((path) => ({ path })),
    sees: ['302', 'location: /there', '204', '500'],
  },
  'an origin that closes the connection before its head': {
    app: proxied((req) => void req.socket.destroy()),
    sees: ['502', 'bad gateway', 'error ECONNRESET'],
  },
  'a body that is sent': {
    app: proxied((req, res) => void req.pipe(res)),
    asks: [{ method: 'POST', body: 'what was sent' }],
    sees: ['what was sent'],
  },
});

export const STREAM_CASES: readonly PeerCase[] = [...BETTER_SSE, ...GRAPHQL_SSE, ...HTTP_PROXY];
