/** Errors of proxies, files, programs and other streams, which look like those of the response. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliDecompress, gunzip, gzipSync } from 'node:zlib';
import httpProxy from 'http-proxy';
import { onTestFinished } from 'vitest';
import { serve } from '../../support/test-server.ts';
import { soon, until } from '../../support/until.ts';
import type { Case, Stage } from './case.ts';
import { callbackError, errorEvent, meanwhile, nobody } from './provoke.ts';
import { called, FAILURE } from './second-scenery.ts';

/** What a proxy says about `target`, whichever way it says it. */
function proxied(stage: Stage, target: string): Promise<unknown> {
  const proxy = httpProxy.createProxyServer();
  onTestFinished(() => proxy.close());
  return soon(
    'an error of the proxy',
    new Promise((resolve) => {
      proxy.on('econnreset', resolve);
      proxy.web(stage.req, stage.res, { target }, resolve);
    }),
  );
}

const proxies: readonly Case[] = [
  ...(['destroy', 'resetAndDestroy'] as const).map((means): Case => ({
    what: `a target that ends the connection by ${means} and sends nothing`,
    source: 'http-proxy',
    look: 'Error Error ECONNRESET',
    noise: FAILURE,
    unanswered: true,
    provoke: async (stage) => {
      let asked: Socket | undefined;
      const target = await serve((req) => {
        asked = req.socket;
      });
      const error = proxied(stage, target.url);
      const socket = await until('the target is asked', () => asked);
      await stage.depart();
      socket[means]();
      return error;
    },
  })),
  {
    what: 'an unreachable target',
    source: 'http-proxy',
    look: 'Error Error ECONNREFUSED',
    noise: FAILURE,
    unanswered: true,
    provoke: async (stage) => {
      const target = await nobody();
      await stage.depart();
      return proxied(stage, target);
    },
  },
];

/** Fails after the scene, and has nothing to do with the response. */
function elsewhere(
  what: string,
  source: string,
  look: Case['look'],
  start: () => PromiseLike<unknown>,
): Case {
  return { what, source, look, noise: FAILURE, provoke: (stage) => meanwhile(stage, start) };
}

const others: readonly Case[] = [
  elsewhere(
    'a log file that was closed under its writer',
    'fs',
    'Error Error ERR_STREAM_DESTROYED',
    async () => {
      const log = createWriteStream('/dev/null');
      log.destroy();
      throw await callbackError((done) => log.write('line', done));
    },
  ),
  elsewhere(
    'a pipeline between two streams of ours, one of which broke off',
    'stream',
    'Error Error ERR_STREAM_PREMATURE_CLOSE',
    () => {
      const source = new PassThrough();
      const error = pipeline(source, new PassThrough());
      source.destroy();
      return error;
    },
  ),
  elsewhere('a file that was closed under its reader', 'fs', 'Error Error EBADF', async () => {
    const file = await open('/dev/null');
    await file.close();
    return file.read();
  }),
  elsewhere(
    'a program that does not read what it is told',
    'child_process',
    'Error Error EPIPE',
    async () => {
      const script = 'fs.closeSync(0); console.log("deaf"); setInterval(() => {}, 60_000)';
      const child = spawn(process.execPath, ['-e', script]);
      onTestFinished(() => {
        child.kill();
      });
      await once(child.stdout, 'data');
      const error = errorEvent(child.stdin);
      child.stdin.write('x'.repeat(1_000_000));
      throw await error;
    },
  ),
  elsewhere('a program that does not exist', 'child_process', 'Error Error ENOENT', async () => {
    throw await errorEvent(spawn('/not/there'));
  }),
  elsewhere('half a compressed answer', 'zlib', 'Error Error Z_BUF_ERROR', () =>
    promisify(gunzip)(gzipSync('an answer').subarray(0, 12)),
  ),
  elsewhere(
    'an answer that is not compressed as it says',
    'zlib',
    'Error Error ERR__ERROR_FORMAT_PADDING_1',
    () => promisify(brotliDecompress)('an answer'),
  ),
  elsewhere(
    'a word into a web stream that is closed',
    'web streams',
    'TypeError TypeError ERR_INVALID_STATE',
    () =>
      called(
        () =>
          new ReadableStream({
            start: (controller) => {
              controller.close();
              controller.enqueue('more');
            },
          }),
      ),
  ),
  elsewhere(
    'a source that speaks after its end',
    'stream',
    'Error Error ERR_STREAM_PUSH_AFTER_EOF',
    async () => {
      const source = new Readable({ read: () => {} });
      const error = errorEvent(source);
      source.push(null);
      source.push('more');
      throw await error;
    },
  ),
];

/** Errors of what has nothing to do with the response. */
export const ELSEWHERE: readonly Case[] = [...proxies, ...others];
