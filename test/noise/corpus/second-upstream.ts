/** Errors of the plain ways to ask a provider: node:http, HTTP/2, TLS, DNS. */
import { createSocket } from 'node:dgram';
import { Resolver, lookup } from 'node:dns/promises';
import { get, request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { get as getSecurely } from 'node:https';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { onTestFinished } from 'vitest';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import type { Case } from './case.ts';
import { errorEvent, meanwhile, nobody, upstream } from './provoke.ts';
import { broken, FAILURE, rawServer, throwing } from './second-scenery.ts';

const plain: readonly Case[] = [
  broken('a provider that cuts the answer', 'http', 'Error Error ECONNRESET', async () => {
    const url = await upstream('cutting');
    return new Promise((_, reject) => {
      get(url, (body) => body.on('error', reject).resume()).on('error', reject);
    });
  }),
  broken('a provider that resets the connection', 'http', 'Error Error ECONNRESET', async () =>
    throwing(errorEvent(get(await upstream('resetting')))),
  ),
  {
    // Nothing in a "socket hang up" shows which side has hung up.
    what: 'a request that is destroyed when the client leaves, as if the provider had hung up',
    source: 'http',
    look: 'Error Error ECONNRESET',
    noise: FAILURE,
    provoke: async (stage) => {
      const req = request(await upstream('silent'));
      const failed = throwing(errorEvent(req));
      req.end();
      return meanwhile(stage, () => {
        req.destroy();
        return failed;
      });
    },
  },
  broken('an answer that is not HTTP', 'http', 'Error Error HPE_INVALID_CONSTANT', async () => {
    const port = await rawServer('good morning\r\n\r\n', 'end');
    return throwing(errorEvent(get(`http://localhost:${port}`)));
  }),
  broken(
    'a certificate that nobody knows',
    'https',
    'Error Error DEPTH_ZERO_SELF_SIGNED_CERT',
    async () => {
      const { url } = await serve(() => {}, 'https');
      return throwing(errorEvent(getSecurely(url)));
    },
  ),
  broken(
    'a server that does not speak TLS',
    'tls',
    'Error Error ERR_SSL_WRONG_VERSION_NUMBER',
    async () => {
      const port = await rawServer('good morning', 'end');
      return throwing(errorEvent(connectTls({ port, host: 'localhost' })));
    },
  ),
  broken(
    'a connection that is lost before TLS begins',
    'tls',
    'Error Error ECONNRESET',
    async () => {
      const port = await rawServer('', 'end');
      return throwing(errorEvent(connectTls({ port, host: 'localhost' })));
    },
  ),
  broken('a reset by another service', 'net', 'Error Error ECONNRESET', async () => {
    const socket = connect(await rawServer('', 'reset'), 'localhost');
    socket.write('PING');
    return throwing(errorEvent(socket));
  }),
  broken(
    'another service whose address nobody serves',
    'net',
    'Error Error ECONNREFUSED',
    async () => throwing(errorEvent(connect(Number(new URL(await nobody()).port), '127.0.0.1'))),
  ),
];

const http2AndDns: readonly Case[] = [
  broken(
    'a stream that the provider refuses',
    'http2',
    'Error Error ERR_HTTP2_STREAM_ERROR',
    async () => {
      const { url } = await serveHttp2((_, res) => res.stream.close(7));
      const session = connectHttp2(url);
      onTestFinished(() => session.destroy());
      return throwing(errorEvent(session.request({ ':path': '/' })));
    },
  ),
  broken(
    'a request that waits for a connection which fails',
    'http2',
    'Error Error ERR_HTTP2_STREAM_CANCEL',
    async () => {
      const session = connectHttp2(await nobody());
      session.on('error', () => {
        // The request's error is the one that a handler sees.
      });
      return throwing(errorEvent(session.request({ ':path': '/' })));
    },
  ),
  broken(
    'a name that does not exist',
    'dns',
    ['Error Error ENOTFOUND', 'Error Error EAI_AGAIN'],
    () => lookup('nobody.invalid'),
  ),
  {
    what: 'a query that is cancelled when the stream ends',
    source: 'dns',
    look: 'Error Error ECANCELLED',
    noise: { left: true, stopped: true, there: false },
    provoke: async (stage) => {
      const server = createSocket('udp4');
      let asked = 0;
      server.on('message', () => (asked += 1));
      await new Promise<void>((resolve) => {
        server.bind(0, '127.0.0.1', resolve);
      });
      onTestFinished(() => {
        server.close();
      });
      const resolver = new Resolver({ timeout: 60_000, tries: 1 });
      resolver.setServers([`127.0.0.1:${server.address().port}`]);
      const answer = resolver.resolve4('example.test');
      answer.catch(() => {
        // Looked at below.
      });
      await until('the question is asked', () => asked > 0);
      return meanwhile(stage, () => {
        resolver.cancel();
        return answer;
      });
    },
  },
];

/** Errors between this process and its providers. */
export const UPSTREAM: readonly Case[] = [...plain, ...http2AndDns];
