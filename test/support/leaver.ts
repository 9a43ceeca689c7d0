/** A guarded plain-text answer whose client leaves after it has received the beginning. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { GuardOptions } from '../../src/index.ts';
import { createInMemoryInstance } from './in-memory-instance.ts';
import { serve } from './test-server.ts';
import { createGate } from './controllable-upstream.ts';
import { soon, turns, until } from './until.ts';
import { openClient } from './http-client.ts';

/** The body of a handler. */
export type Act = (req: IncomingMessage, res: ServerResponse) => void;

/** A guarded plain-text stream whose handler is `act`; `leave` resolves when the server has noticed the close. */
export async function stream(options: GuardOptions, act: Act, before?: Act) {
  const instance = createInMemoryInstance();
  const go = createGate();
  const app = express();
  app.get(
    '/answer',
    (req, res, next) => {
      before?.(req, res);
      next();
    },
    instance.keep.guard(options),
    (req, res) => {
      res.type('text/plain');
      act(req, res);
    },
  );
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/answer');
  const leave = async (): Promise<void> => {
    await httpClient.sees('one ');
    httpClient.fin();
    await soon(
      'the close',
      until('the server has met the close', () => testServer.closedSockets === 1),
    );
    await turns();
  };
  return { instance, go, leave };
}
