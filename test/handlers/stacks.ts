/** What stands around a handler in most apps: a table for the tests that show it and for the page that says so. */
import { Writable } from 'node:stream';
import compression from 'compression';
import cors from 'cors';
import type { RequestHandler } from 'express';
import rateLimit from 'express-rate-limit';
import session from 'express-session';
import helmet from 'helmet';
import morgan from 'morgan';
import { pinoHttp } from 'pino-http';

const nowhere = new Writable({ write: (_piece, _encoding, done) => done() });

/** Each in the place its documentation gives it: before the routes. */
export const MIDDLEWARE: ReadonlyArray<
  readonly [name: string, make: () => readonly RequestHandler[]]
> = [
  ['nothing', () => []],
  ['compression', () => [compression()]],
  ['helmet', () => [helmet()]],
  ['cors', () => [cors()]],
  [
    'express-session',
    () => [session({ secret: 'none', resave: true, saveUninitialized: true, rolling: true })],
  ],
  ['morgan', () => [morgan('combined', { stream: nowhere })]],
  ['pino-http', () => [pinoHttp({}, nowhere)]],
  ['express-rate-limit', () => [rateLimit({ limit: 100, standardHeaders: true })]],
  [
    'all of them',
    () => [
      helmet(),
      cors(),
      morgan('combined', { stream: nowhere }),
      pinoHttp({}, nowhere),
      session({ secret: 'none', resave: true, saveUninitialized: true }),
      rateLimit({ limit: 100 }),
      compression(),
    ],
  ],
];

/** What is no middleware. The tests have one entry for each, or do not compile. */
export const PLACES = {
  router: 'A router mounted under a parameter; the route label is its pattern, never the URL',
  http: 'HTTP: requests on one connection, one after the other and pipelined',
  https: 'HTTPS, the same',
  http2: 'HTTP/2 through `node:http2`',
  cluster: 'Workers of `node:cluster` on one port, with one journal directory',
} as const;
