/** The handler that all variants serve. Argument: the variant. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Response } from 'express';
import { given, serve } from '../child.ts';
import { CHUNK, DONE, FINISH, frame, stamp } from '../frames.ts';
import { words } from '../messages.ts';
import { middlewareOf } from './variants.ts';

const middleware = await middlewareOf(given.args[0], given.directory, given.journal);
// After instrumentations, which have to be there first.
const { default: express } = await import('express');
const app = express();
app.use(middleware);

/** So many chunks, so many in one turn of the event loop. */
app.get('/stream/:chunks/:aTick', async (req, res) => {
  begin(res);
  await write(res, CHUNK, { chunks: Number(req.params.chunks), aTick: Number(req.params.aTick) });
  finish(res);
});

/** The same, and afterwards the journal is looked at while it still holds the stream. */
let journalBytes = 0;
app.get('/measured/:chunks/:aTick', async (req, res) => {
  begin(res);
  await write(res, CHUNK, { chunks: Number(req.params.chunks), aTick: Number(req.params.aTick) });
  // The last tick's bytes are in the journal only when it is over.
  await nextTurn();
  journalBytes = usedBytes(given.journal);
  finish(res);
});

/** An answer of so many bytes of text. */
const PIECE = 64;
const SAYING = frame(words(PIECE));
app.get('/answer/:bytes', async (req, res) => {
  begin(res);
  await write(res, SAYING, { chunks: Number(req.params.bytes) / PIECE, aTick: 8 });
  finish(res);
});

/** One chunk a millisecond, each with the time at which it was written. */
app.get('/stamped/:chunks', async (req, res) => {
  begin(res);
  for (let sent = 0; sent < Number(req.params.chunks); sent++) {
    await sleep(1);
    res.write(stamp() + CHUNK);
  }
  finish(res);
});

/**
 * Says one thing, and from `tick` on one more every second, each stream at a moment of its own. A stream that was late
 * comes back to its moment: were it to wait a second from when it spoke, those that one pause made late would speak
 * together for ever, and what is measured would be the worst pause so far, and not the pauses that there are.
 */
const SECOND_MS = 1_000;
const GOLDEN = 0.618;
const slow: Response[] = [];
app.get('/slow', (_req, res) => {
  begin(res);
  res.write(frame(' first'));
  slow.push(res);
});

await serve(app, { tick, journalBytes: () => journalBytes });

function tick(): void {
  const startMs = performance.now();
  for (const [index, res] of slow.entries()) {
    let said = 0;
    let dueMs = startMs + ((index * GOLDEN) % 1) * SECOND_MS;
    const say = (): void => {
      res.write(frame(` ${index} ${said++}`));
      dueMs += SECOND_MS;
      setTimeout(say, dueMs - performance.now());
    };
    setTimeout(say, dueMs - startMs);
  }
}

function begin(res: Response): void {
  res.setHeader('content-type', 'text/event-stream');
}

function finish(res: Response): void {
  res.write(FINISH);
  res.end(DONE);
}

async function write(
  res: Response,
  chunk: string,
  { chunks, aTick }: { chunks: number; aTick: number },
): Promise<void> {
  for (let sent = 0; sent < chunks; sent += aTick) {
    let flowing = true;
    for (let one = 0; one < aTick; one++) flowing = res.write(chunk);
    if (flowing) await nextTurn();
    else await once(res, 'drain');
  }
}

/** Bytes written to the segments of a journal: a segment may be longer than what is in it. */
function usedBytes(path: string): number {
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.segment'))
    .map((name) => readFileSync(join(path, name)).findLastIndex((byte) => byte !== 0) + 1)
    .reduce((bytes, used) => bytes + used, 0);
}
