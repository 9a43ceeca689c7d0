/** A guarded plain-text answer whose client leaves when it has seen a beginning. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { GuardOptions } from '../../src/index.ts';
import { createKept } from './kept.ts';
import { serve } from './site.ts';
import { createGate } from './tap.ts';
import { soon, turns, until } from './until.ts';
import { visit } from './visitor.ts';

/** What a handler does. */
export type Act = (req: IncomingMessage, res: ServerResponse) => void;

/** A guarded plain-text stream whose handler is `act`; `leave` resolves when the server has met the close. */
export async function stream(options: GuardOptions, act: Act, before?: Act) {
  const kept = createKept();
  const go = createGate();
  const app = express();
  app.get(
    '/answer',
    (req, res, next) => {
      before?.(req, res);
      next();
    },
    kept.keep.guard(options),
    (req, res) => {
      res.type('text/plain');
      act(req, res);
    },
  );
  const site = await serve(app);
  const visitor = await visit(site, '/answer');
  const leave = async (): Promise<void> => {
    await visitor.sees('one ');
    visitor.fin();
    await soon(
      'the close',
      until('the server has met the close', () => site.closedSockets === 1),
    );
    await turns();
  };
  return { kept, go, leave };
}
