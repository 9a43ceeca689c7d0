/** Three routes that give one answer: bare, saved by hand, and guarded. Argument: the database. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import express, { type RequestHandler } from 'express';
import pg from 'pg';
import type { Message } from '../../src/core/message.ts';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { DONE, FINISH, frame, stamp } from '../frames.ts';
import { newMessage } from '../messages.ts';
import { saveByHand } from '../savers.ts';

const [connectionString = ''] = given.args;
const { lastchunk } = await load(given.directory, 'index.js');
const { postgres } = await load(given.directory, 'postgres/index.js');
const { parseTable, statements } = await load(given.directory, 'postgres/table.js');
const store = postgres({ connectionString });
await store.migrate();
const keep = lastchunk({ store, journal: given.journal });
const pool = new pg.Pool({ connectionString, max: 4 });
const { upsertOne } = statements(parseTable(undefined));

/** Bytes of text in one frame of an answer; what `messages.ts` makes is as long as the answer. */
const PIECE = 64;

/** An answer whose last frame says when its handler had it, before `save`. */
function answer(save?: (message: Message) => Promise<void>): RequestHandler {
  return async (_req, res) => {
    const message = newMessage();
    res.setHeader('content-type', 'text/event-stream');
    for (let at = 0; at < message.text.length; at += PIECE) {
      res.write(frame(message.text.slice(at, at + PIECE)));
    }
    // The frame to be measured is not to wait for the others.
    await nextTurn();
    const last = stamp() + FINISH;
    await save?.(message);
    res.write(last);
    res.end(DONE);
  };
}

await serve(
  express()
    .get('/bare', answer())
    .get(
      '/byHand',
      answer((message) => saveByHand(pool, upsertOne, message)),
    )
    .get('/guarded', keep.guard(), answer()),
);
