/** The server of `useChat({ resume: true })` and of `page.html`: an answer is read on after a reload, from any instance. */
import { createUIMessageStream, pipeUIMessageStreamToResponse, type UIMessage } from 'ai';
import express, { type Express, type Request } from 'express';
import { lastchunk, type Lastchunk, type LastchunkOptions } from 'lastchunk';

/** What `useChat` sends. */
type ChatRequest = Request<object, unknown, { id: string; messages: UIMessage[] }>;

/** `options` has a `relay`, which all instances share; `answer` asks the model. */
export function createApp(
  options: LastchunkOptions,
  answer: (messages: UIMessage[]) => AsyncIterable<string>,
): { app: Express; keep: Lastchunk } {
  const keep = lastchunk(options);
  // Yours: whose conversation is it?
  const authorize = (): boolean => true;
  const app = express().use(express.json());
  const message = (req: ChatRequest) => ({ conversationId: req.body.id });
  app.post('/chat', keep.guard<ChatRequest>({ message }), (req: ChatRequest, res) => {
    const stream = createUIMessageStream({
      execute: async ({ writer }) => {
        writer.write({ type: 'start' });
        writer.write({ type: 'text-start', id: 'text' });
        for await (const delta of answer(req.body.messages)) {
          writer.write({ type: 'text-delta', id: 'text', delta });
        }
        writer.write({ type: 'text-end', id: 'text' });
        writer.write({ type: 'finish' });
      },
    });
    return pipeUIMessageStreamToResponse({ response: res, stream });
  });
  // A page that was loaded again asks by conversation.
  app.get(
    '/chat/:id/stream',
    keep.resumeHandler<Request<{ id: string }>>({
      authorize,
      find: (req) => ({ conversationId: req.params.id }),
    }),
  );
  // A body whose connection broke asks by stream and offset.
  app.get('/streams/:streamId', keep.resumeHandler({ authorize }));
  app.delete('/streams/:streamId', keep.stopHandler({ authorize }));
  app.use(keep.errorHandler());
  return { app, keep };
}
