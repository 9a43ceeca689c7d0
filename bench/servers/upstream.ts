/**
 * A model that costs its callers nothing but their own work: an OpenAI-compatible endpoint on this machine. The name of
 * the model says what to do: `paced-200` says 200 tokens, one every twenty milliseconds; `fast-200` as fast as it goes;
 * `reset-200`, `stall-200`, `error-200` and `cut-200` break at half of them.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../child.ts';
import { CHUNK, DONE, FINISH } from '../frames.ts';

const PACE_MS = 20;

/** How it breaks. */
const BREAKS: Readonly<Record<string, (res: ServerResponse) => void>> = {
  reset: (res) => void res.socket?.resetAndDestroy(),
  stall: () => {
    // It keeps the connection, and says no more.
  },
  error: (res) => void res.end('data: {"error":{"message":"no","type":"server_error"}}\n\n'),
  cut: (res) => void res.end(),
};

await serve((req, res) => {
  // A caller that went away fails the write or the wait; a model has nobody to tell.
  answer(req, res).catch(() => res.destroy());
});

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  // The only callers are clients of this API.
  const { model } = (await json(req)) as { model: string };
  const [how = '', count = '0'] = model.split('-');
  const breaks = BREAKS[how];
  const tokens = Number(count);
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  // Streams that were asked for together shall not speak together.
  if (how === 'paced') await sleep(Math.random() * PACE_MS);
  for (let said = 0; said < tokens; said++) {
    if (breaks !== undefined && said >= tokens / 2) return breaks(res);
    const flowing = res.write(CHUNK);
    if (!flowing) await once(res, 'drain', { signal: gone.signal });
    else if (how === 'fast') await nextTurn();
    else await sleep(PACE_MS, undefined, { signal: gone.signal });
  }
  res.write(FINISH);
  res.end(DONE);
}
