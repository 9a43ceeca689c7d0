/** What a thousand judged errors hold on to: nothing, even where the app keeps every one of them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { noiseOf } from '../../src/noise/decide.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

setFlagsFromString('--expose-gc');
// The flag adds this function to every context that is made after it.
const collectGarbage = runInNewContext('gc') as () => void;

const STREAMS = 50;
const ERRORS = 20;

it('a thousand errors that the app holds retain no stream, no response and no request', async () => {
  const keep = lastchunk({ journal: false });
  const observe = keep.observe();
  const kept: Error[] = [];
  const streams: Array<WeakRef<object>> = [];
  let noise = 0;
  const testServer = await serve((req, res) => {
    void observe(req, res, () => {
      streams.push(new WeakRef(res), new WeakRef(req));
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('one ');
      res.once('close', () => {
        for (let i = 0; i < ERRORS; i += 1) {
          const error = Object.assign(new Error('aborted'), {
            name: 'AbortError',
            code: 'ABORT_ERR',
          });
          // As whoever logs it does. Until its stack is text, an error itself holds on to every `this` in it.
          expect(error.stack).toContain('aborted');
          kept.push(error);
          if (noiseOf(error, res) !== undefined) noise += 1;
        }
      });
    });
  });
  for (let i = 0; i < STREAMS; i += 1) {
    const httpClient = await openClient(testServer, '/');
    await httpClient.sees('one ');
    httpClient.fin();
  }
  await until('all have left', () => testServer.closedSockets === STREAMS);
  testServer.forgetSockets();
  expect(noise).toBe(STREAMS * ERRORS);
  await until('the streams are collected', () => {
    collectGarbage();
    return streams.every((one) => one.deref() === undefined);
  });
  expect(kept).toHaveLength(1000);
});

it('a live stream retains no error', async () => {
  const keep = lastchunk({ journal: false });
  const observe = keep.observe();
  const errors: Array<WeakRef<object>> = [];
  const testServer = await serve((req, res) => {
    void observe(req, res, () => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('one ');
      for (let i = 0; i < ERRORS; i += 1) {
        const error = new Error('a token that could not be parsed');
        errors.push(new WeakRef(error));
        keep.classify(error, res);
      }
    });
  });
  const httpClient = await openClient(testServer, '/');
  await httpClient.sees('one ');
  await until('the errors are collected', () => {
    collectGarbage();
    return errors.every((one) => one.deref() === undefined);
  });
  expect(httpClient.gone).toBe(false);
});
