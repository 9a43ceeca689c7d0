/** A stream begins once Node has taken its head and its first write; what follows a refusal is another answer. */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

/** What Node refuses, by throwing. */
const REFUSED: Readonly<Record<string, (res: ServerResponse) => unknown>> = {
  'write(undefined)': (res) => res.write(undefined),
  'write() of an object': (res) => res.write({ text: 'hello' }),
  'end() of an object': (res) => res.end({ text: 'hello' }),
  'a bad header in writeHead()': (res) => res.writeHead(200, { 'x-name': 'ключ' }),
  'a bad status message before write()': (res) => {
    res.statusMessage = 'ключ';
    return res.write('data: hello\n\n');
  },
  'a bad status message before end()': (res) => {
    res.statusMessage = 'ключ';
    return res.end('data: hello\n\n');
  },
  'a bad status message before flushHeaders()': (res) => {
    res.statusMessage = 'ключ';
    return res.flushHeaders();
  },
};

describe.each(['guard', 'observe'] as const)('under %s()', (way) => {
  it.each(Object.keys(REFUSED))(
    '%s begins no stream, and neither does the error page',
    async (name) => {
      const { keep, store, recorded, logbook } = createInMemoryInstance();
      const handler = (_: unknown, res: ServerResponse) => {
        res.setHeader('content-type', 'text/event-stream');
        try {
          REFUSED[name]?.(res);
        } catch {
          res.statusMessage = 'Internal Server Error';
          res.statusCode = 500;
          res.end(chatChunk({ content: 'sorry' }));
        }
      };
      const testServer = await serve((req, res) => {
        if (way === 'guard') return void keep.guard({}, handler)(req, res);
        return void keep.observe()(req, res, () => handler(req, res));
      });
      const client = await openClient(testServer, '/', { headers: { connection: 'close' } });
      const { status, headers, body } = await client.over();
      expect(status).toBe(500);
      expect(body.toString()).toContain('sorry');
      expect(headers).not.toHaveProperty('x-stream-id');
      await keep.close({ deadlineMs: 100 });
      expect(recorded.told).toEqual([]);
      expect(store.asked).toEqual([]);
      expect(logbook.errors()).toEqual([]);
    },
  );

  it('a second call that Node accepts begins a stream', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const handler = (_: unknown, res: ServerResponse) => {
      expect(() => res.writeHead(200, { 'x-name': 'ключ' })).toThrow(/Invalid character/);
      expect(() => res.write(undefined)).toThrow(/chunk/);
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'hello' }, 'stop'));
    };
    const testServer = await serve((req, res) => {
      if (way === 'guard') return void keep.guard({}, handler)(req, res);
      return void keep.observe()(req, res, () => handler(req, res));
    });
    await (await openClient(testServer, '/')).over();
    expect(await recorded.ended()).toMatchObject({ outcome: 'completed', chunks: 1 });
    expect(recorded.starts).toBe(1);
  });
});
