/** An app that sends one hostile body through a guard. Arguments: the body's name and how many bytes it is to have. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import express from 'express';
import { adversarialBody, type AdversarialName } from '../adversarial-bodies.ts';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';

/** The handler lets the loop turn after so many writes, or one large one: its own work is not what is measured. */
const WRITES_A_TURN = 64;
const LARGE_PIECE = 16_384;

const { lastchunk } = await load(given.directory, 'index.js');
const store = { save: async () => {}, close: async () => {} };
const keep = lastchunk({ store, journal: false });
// The bench gives one of the names.
const name = given.args[0] as AdversarialName;
const { headers, options, body, pieceBytes } = adversarialBody(name, Number(given.args[1]));
const app = express();
app.get('/', keep.guard({ ...options, confirmTimeoutMs: 600_000 }), async (_req, res) => {
  for (const [header, value] of Object.entries(headers)) res.setHeader(header, value);
  let writes = 0;
  for (let at = 0; at < body.length; at += pieceBytes) {
    res.write(body.subarray(at, at + pieceBytes));
    writes += 1;
    if (writes % WRITES_A_TURN === 0 || pieceBytes > LARGE_PIECE) await nextTurn();
  }
  res.end();
  // What is read after the response has ended is in the figures too.
  await keep.flush();
});
const RESOLUTION_MS = 1;
const loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
loop.enable();
await serve(app, {
  flush: async () => {
    await keep.flush();
  },
  /** Since it was last asked. */
  loop: () => {
    const delays = {
      p99Ms: loop.percentile(99) / 1e6 - RESOLUTION_MS,
      longestMs: loop.max / 1e6 - RESOLUTION_MS,
    };
    loop.reset();
    return delays;
  },
});
