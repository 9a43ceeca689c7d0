/** The app under test: who makes it says where messages go. */
import express, { type Express } from 'express';
import { lastchunk, type Lastchunk, type MessageStore } from 'lastchunk';

export function createApp(store: MessageStore): { app: Express; keep: Lastchunk } {
  const keep = lastchunk({ store });
  const app = express();
  const message = (req: express.Request) => ({ conversationId: String(req.params['id']) });
  app.post('/chat/:id', keep.guard<express.Request>({ message }), (_req, res) => {
    res.type('text/event-stream');
    res.write('data: {"text":"hello"}\n\n');
    res.end('data: [DONE]\n\n');
  });
  app.use(keep.errorHandler());
  return { app, keep };
}
