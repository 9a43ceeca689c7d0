/**
 * The write-ahead order, by log and not by clock: every write of a socket's handle against what the journal's file held
 * at that moment.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { soon } from '../../support/until.ts';
import { watchHandle } from '../../support/wire.ts';
import { afterwards, emptyDirectory, open, segmentFiles, speaker } from '../support.ts';
import type { Speaker } from '../support.ts';

/** Serves one request with `handler`; returns for each piece whether the journal had it before the wire. */
async function order(
  handler: (res: ServerResponse, write: (piece: string) => void, one: Speaker) => void,
): Promise<Record<string, boolean>> {
  const path = emptyDirectory();
  const { journal } = open(path);
  const onDisk = (): string =>
    segmentFiles(path)
      .map((file) => readFileSync(file, 'utf8'))
      .join('');
  const ahead: Record<string, boolean> = {};
  const server = createServer((req: IncomingMessage, res: ServerResponse) => {
    const one = speaker(journal, 1);
    watchHandle(req.socket, (text) => {
      const journaled = onDisk();
      for (const [piece] of text.matchAll(/<\d>/g)) ahead[piece] = journaled.includes(piece);
    });
    // As the wrapped response does it: append, by hand when the socket was corked before, then write.
    const write = (piece: string): void => {
      one.say(piece, req.socket.writableCorked > 0 && one.log.clean);
      res.write(piece);
    };
    handler(res, write, one);
  });
  server.listen(0, '127.0.0.1');
  afterwards(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.end('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  client.resume();
  await soon('the response ends', new Promise((resolve) => client.once('close', resolve)));
  return ahead;
}

describe('a chunk is in the journal before it is on the wire', () => {
  it('if one tick writes several chunks', async () => {
    const ahead = await order((res, write, one) => {
      write('<1>');
      write('<2>');
      setImmediate(() => {
        write('<3>');
        // `end` takes the cork away at once, so what waits has to be written first.
        one.log.flush();
        res.end();
      });
    });
    expect(ahead).toEqual({ '<1>': true, '<2>': true, '<3>': true });
  });

  it('if chunks come in a chain of next ticks and promises', async () => {
    const ahead = await order((res, write, one) => {
      write('<1>');
      process.nextTick(() => {
        write('<2>');
        process.nextTick(() => {
          write('<3>');
          void Promise.resolve().then(() => {
            write('<4>');
            one.log.flush();
            res.end();
          });
        });
      });
    });
    expect(ahead).toEqual({ '<1>': true, '<2>': true, '<3>': true, '<4>': true });
  });

  it('if the socket was already corked', async () => {
    const ahead = await order((res, write) => {
      res.socket?.cork();
      res.write('headers go first');
      setImmediate(() => {
        write('<1>');
        write('<2>');
        res.socket?.uncork();
        setImmediate(() => res.end());
      });
    });
    expect(ahead).toMatchObject({ '<1>': true });
  });

  it('if a chunk of another stream was appended first in the tick', async () => {
    const ahead = await order((res, write, one) => {
      one.say('without a write of its own');
      write('<1>');
      setImmediate(() => res.end());
    });
    expect(ahead).toEqual({ '<1>': true });
  });
});

describe('the helper that compares journal and wire', () => {
  it('detects a journal that is written after the wire', async () => {
    const ahead = await order((res, _write, one) => {
      res.write('<1>');
      setImmediate(() => {
        one.say('<1>');
        res.end();
      });
    });
    expect(ahead).toEqual({ '<1>': false });
  });
});
