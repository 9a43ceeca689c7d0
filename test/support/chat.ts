/** A chat app as the README has it, over a house. */
import type { RequestHandler } from 'express';
import type { GuardOptions } from '../../src/index.ts';
import { chatChunk } from './frames.ts';
import { createApp, type House } from './house.ts';
import { serve } from './site.ts';
import type { Tap } from './tap.ts';
import { visit, type Visitor } from './visitor.ts';

/** Serves `POST /chat/:id` and `DELETE /streams/:streamId`; `ask` posts to a conversation. */
export async function createChat(house: House, handler: RequestHandler, options?: GuardOptions) {
  const app = createApp();
  const guard = house.keep.guard({
    message: (req) => ({ conversationId: req.params['id'] }),
    // A busy machine is no outage: what is journaled here is so because the store is away.
    confirmTimeoutMs: 30_000,
    ...options,
  });
  app.post('/chat/:id', guard, handler);
  app.delete('/streams/:streamId', house.keep.stopHandler({ authorize: () => true }));
  app.use(house.keep.errorHandler());
  const site = await serve(app);
  return {
    app,
    site,
    ask: (id = 'c1'): Promise<Visitor> => visit(site, `/chat/${id}`, { method: 'POST' }),
    /** What a Stop button does. */
    stop: async (visitor: Visitor): Promise<Response> => {
      const id = visitor.reply?.headers['x-stream-id'] ?? 'none';
      return fetch(`${site.url}/streams/${id}`, { method: 'DELETE' });
    },
  };
}

/** The handler of the oldest tutorials: a loop, a write, an end. */
export function relay(tap: Tap): RequestHandler {
  return async (_, res) => {
    if (!res.headersSent) res.setHeader('content-type', 'text/event-stream');
    for await (const content of tap) res.write(chatChunk({ content }));
    res.write(chatChunk({}, 'stop'));
    res.write('data: [DONE]\n\n');
    res.end();
  };
}
