/** A body of which something is missing is never skipped as empty: nobody knows what the rest said. */
import type { ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

const PINGS = ': 34567\n'.repeat(128);
const ZIPPED = gzipSync(chatChunk({ content: 'It is 42' }));

type Act = (res: ServerResponse) => void;

async function answered(act: Act, options: GuardOptions = {}) {
  const instance = createInMemoryInstance();
  const server = await serve((req, res) => {
    void instance.keep.guard({ policy: { disconnected: 'keep' }, ...options }, (_, given) =>
      act(given),
    )(req, res);
  });
  const client = await openClient(server, '/');
  return { ...instance, client, row: () => [...instance.store.rows.values()][0] };
}

const sse =
  (coding: string, ...pieces: readonly (string | Buffer)[]): Act =>
  (res) => {
    res.setHeader('content-type', 'text/event-stream');
    if (coding !== '') res.setHeader('content-encoding', coding);
    for (const piece of pieces) res.write(piece);
  };

const ended =
  (act: Act): Act =>
  (res) => {
    act(res);
    res.end();
  };

describe('a body that was cut', () => {
  it('by maxBytes, with only heartbeats kept, is saved and not complete', async () => {
    const act = ended(sse('', PINGS, chatChunk({ content: 'It is 42' }), chatChunk({}, 'stop')));
    const { recorded, row } = await answered(act, { maxBytes: 1024 });
    expect(await recorded.ended()).toMatchObject({ save: 'saved' });
    expect(recorded.facts).toEqual([{ unknownText: false, cut: true }]);
    expect(row()).toMatchObject({ text: '', complete: false });
    expect(row()?.droppedBytes).toBeGreaterThan(100);
  });

  it.each([
    ['in its head', 5],
    ['behind its head', 10],
    ['in its first block', 24],
  ])(
    'by a client that left before its coding gave any text is kept as bytes: %s',
    async (...[, length]) => {
      const bytes = ZIPPED.subarray(0, length);
      const { recorded, row, client } = await answered(sse('gzip', bytes));
      await until('the head', () => client.reply?.status === 200);
      client.fin();
      expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', save: 'saved' });
      expect(row()).toMatchObject({ text: '', complete: false, droppedBytes: length });
      expect(row()?.events).toEqual([{ base64: bytes.toString('base64') }]);
    },
  );

  it('by an upstream that died within a character is saved', async () => {
    const act: Act = (res) => {
      res.setHeader('content-type', 'text/plain');
      res.write(Buffer.from('漢').subarray(0, 2));
      setImmediate(() => res.destroy(new Error('upstream died')));
    };
    const { recorded, row } = await answered(act);
    expect(await recorded.ended()).toMatchObject({ outcome: 'failed', save: 'saved' });
    expect(row()).toMatchObject({ text: '', complete: false, bytes: 2, droppedBytes: 2 });
  });
});

describe('a whole body without content', () => {
  it.each([
    ['heartbeats', sse('', PINGS)],
    ['an empty encoded body', sse('gzip', gzipSync(''))],
    ['encoded heartbeats', sse('gzip', gzipSync(PINGS))],
  ])('is skipped as empty: %s', async (_, act) => {
    const { recorded } = await answered(ended(act));
    expect(await recorded.ended()).toMatchObject({ save: 'empty' });
    expect(recorded.skips).toEqual(['empty']);
  });
});
