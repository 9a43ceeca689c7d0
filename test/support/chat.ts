/** A chat app like the one in the README, over a fixture. */
import type { RequestHandler } from 'express';
import type { GuardOptions } from '../../src/index.ts';
import { chatChunk } from './frames.ts';
import { createApp, type FullFixture } from './full-fixture.ts';
import { serve } from './test-server.ts';
import type { ControllableUpstream } from './controllable-upstream.ts';
import { openClient, type HttpClient } from './http-client.ts';

/** Serves `POST /chat/:id` and `DELETE /streams/:streamId`; `ask` sends a POST to a conversation. */
export async function createChat(
  fixture: FullFixture,
  handler: RequestHandler,
  options?: GuardOptions,
) {
  const app = createApp();
  const guard = fixture.keep.guard({
    message: (req) => ({ conversationId: req.params['id'] }),
    // Long, so that a message is journaled only because the store is unavailable, not because the machine is busy.
    confirmTimeoutMs: 30_000,
    ...options,
  });
  app.post('/chat/:id', guard, handler);
  app.delete('/streams/:streamId', fixture.keep.stopHandler({ authorize: () => true }));
  app.use(fixture.keep.errorHandler());
  const testServer = await serve(app);
  return {
    app,
    testServer,
    ask: (id = 'c1'): Promise<HttpClient> =>
      openClient(testServer, `/chat/${id}`, { method: 'POST' }),
    /** Stops the stream, like a Stop button. */
    stop: async (httpClient: HttpClient): Promise<Response> => {
      const id = httpClient.reply?.headers['x-stream-id'] ?? 'none';
      return fetch(`${testServer.url}/streams/${id}`, { method: 'DELETE' });
    },
  };
}

/** A simple handler, as in tutorials: it writes each chunk in a loop, and ends. */
export function relay(upstream: ControllableUpstream): RequestHandler {
  return async (_, res) => {
    if (!res.headersSent) res.setHeader('content-type', 'text/event-stream');
    for await (const content of upstream) res.write(chatChunk({ content }));
    res.write(chatChunk({}, 'stop'));
    res.write('data: [DONE]\n\n');
    res.end();
  };
}
