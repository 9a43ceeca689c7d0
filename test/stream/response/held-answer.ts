/** An answer that is held until the test lets its store answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, type ServeOptions, type Transport } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

/** A handler. */
export type Act = (req: IncomingMessage, res: ServerResponse) => void;

export const CONTENT = chatChunk({ content: 'one' });
export const FINISH = chatChunk({}, 'stop');
export const DONE = 'data: [DONE]\n\n';
export const WHOLE = CONTENT + FINISH + DONE;

/** Answers with all of `WHOLE`. */
export const answer: Act = (_, res) => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(CONTENT);
  res.write(FINISH);
  res.end(DONE);
};

/** An answer that waits for a store which the test lets go. */
export async function hold(act: Act, transport: Transport = 'http', options: ServeOptions = {}) {
  const instance = createInMemoryInstance();
  instance.store.hold();
  const guard = instance.keep.guard({ confirmTimeoutMs: 60_000 });
  const testServer = await serve(
    (req, res) => void guard(req, res, () => act(req, res)),
    transport,
    options,
  );
  const httpClient = await openClient(testServer, '/');
  await until('the store was asked', () => instance.store.waiting > 0);
  return { ...instance, testServer, httpClient };
}
