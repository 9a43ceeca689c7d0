/**
 * Next behind a custom server, with its `compress: true`. The package has 130 MB, so it is built by hand here from what Next 15 does:
 * its request handler runs its own copy of `compression` and then `pipeToNodeResponse()`, which writes what a route handler's
 * `Response` gives, calls `res.flush()` after each piece, and ends. The guard stands in the custom server: it sees compressed bytes.
 */
import type { RequestListener } from 'node:http';
import compression from 'compression';
import { chatChunk } from '../support/frames.ts';
import { ANSWER, guardOf, type Shape, WORDS } from './shape.ts';

/** `app/api/chat/route.ts`. */
function routeHandler(): Response {
  const encoder = new TextEncoder();
  const frames = [
    ...WORDS.map((content) => chatChunk({ content })),
    chatChunk({}, 'stop'),
    'data: [DONE]\n\n',
  ];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const frame = frames.shift();
      if (frame === undefined) controller.close();
      else controller.enqueue(encoder.encode(frame));
    },
  });
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
}

/** What `next({ dev: false }).getRequestHandler()` returns, as far as this route is concerned. */
function requestHandler(): RequestListener {
  const compress = compression();
  return (req, res) => {
    const answer = async (): Promise<void> => {
      const response = routeHandler();
      res.statusCode = response.status;
      res.setHeader('vary', 'rsc, next-router-state-tree, next-router-prefetch');
      for (const [name, value] of response.headers) res.appendHeader(name, value);
      for await (const piece of response.body ?? []) {
        res.write(piece);
        if ('flush' in res && typeof res.flush === 'function') res.flush();
      }
      res.end();
    };
    // `compression` is typed for Express, whose requests and responses are Node's.
    compress(req as never, res as never, () => void answer());
  };
}

export const NEXT: Shape = {
  app: (keep) => {
    const handle = requestHandler();
    const guard = guardOf(keep, { route: '/api/chat' });
    return (req, res) => {
      if (req.url !== '/api/chat') return handle(req, res);
      guard(req, res, () => handle(req, res));
    };
  },
  asks: [
    { path: '/api/chat', method: 'POST', headers: { 'accept-encoding': 'gzip' } },
    { path: '/api/chat', method: 'POST' },
  ],
  sees: ['content-encoding: gzip', '"content":" big"'],
  rows: [{ text: ANSWER }, { text: ANSWER }],
  streams: { '/api/chat': 2 },
};
