/** Whose message a stream is, where the app knows it late, and where a client has chosen it. */
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { toRow } from '../../../src/postgres/storable.ts';
import type { GuardOptions, StreamHandle } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

type Handler = (res: ServerResponse, handle: StreamHandle) => unknown;

async function answer(options: GuardOptions, handler: Handler) {
  const instance = createInMemoryInstance();
  const { keep } = instance;
  const testServer = await serve((req, res) => {
    void keep.guard(options, () => {
      const handle = keep.stream(res);
      if (handle === undefined) throw new Error('no stream');
      return handler(res, handle);
    })(req, res);
  });
  const { headers } = await (await openClient(testServer, '/')).over();
  await instance.recorded.ended();
  expect(instance.recorded.internalErrors).toEqual([]);
  const errors = instance.recorded.unnamed.map(String);
  return { ...instance, headers, errors };
}

const whole: Handler = (res) => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
  res.end(chatChunk({}, 'stop'));
};

describe('message()', () => {
  it('is called again at the end if it named no conversation', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      if (asked === 1) return { id: 'first', metadata: { from: 'first' } };
      return { id: 'second', conversationId: 'c', role: 'model', metadata: { from: 'second' } };
    };
    const { store, errors, headers } = await answer({ message }, whole);
    expect(asked).toBe(2);
    expect(errors).toEqual([]);
    expect(headers['x-message-id']).toBe('first');
    expect(store.row).toMatchObject({ id: 'first', conversationId: 'c', role: 'model' });
    expect(store.row.metadata).toMatchObject({ from: 'second' });
  });

  it('called again, overrides nothing that identify() has set', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      if (asked === 1) return { role: 'early', metadata: { from: 'early' } };
      return { conversationId: 'c', role: 'late', metadata: { from: 'late' } };
    };
    const { store, errors } = await answer({ message }, (res, handle) => {
      handle.identify({ role: 'by hand', metadata: { from: 'hand' } });
      return whole(res, handle);
    });
    expect(asked).toBe(2);
    expect(errors).toEqual([]);
    expect(store.row).toMatchObject({ conversationId: 'c', role: 'by hand' });
    expect(store.row.metadata).toMatchObject({ from: 'hand' });
  });

  it('called again, overrides what identify() did not set', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      return asked === 1 ? { role: 'early' } : { conversationId: 'c', role: 'late' };
    };
    const { store } = await answer({ message }, (res, handle) => {
      handle.identify({ metadata: { from: 'hand' } });
      return whole(res, handle);
    });
    expect(store.row).toMatchObject({ conversationId: 'c', role: 'late' });
    expect(store.row.metadata).toMatchObject({ from: 'hand' });
  });

  it('is called again at the end if it threw', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      if (asked === 1) throw new Error('not yet');
      return { conversationId: 'c' };
    };
    const { store, errors } = await answer({ message }, whole);
    expect(errors).toEqual([]);
    expect(store.row.conversationId).toBe('c');
  });

  it('is counted once if it names no conversation at the end either', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      throw new Error(`no ${asked}`);
    };
    const { store, errors } = await answer({ message }, whole);
    expect(asked).toBe(2);
    expect(errors).toEqual([
      expect.stringMatching(/message\(\) threw: Error at .*\(route unmatched\)$/),
    ]);
    expect(store.row.conversationId).toBeNull();
  });

  it('is called once if it named a conversation, even if the stream goes on after its end', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      return { conversationId: 'c' };
    };
    await answer({ message }, (res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'one' }) + chatChunk({}, 'stop'));
      res.end(chatChunk({ content: 'two' }) + chatChunk({}, 'stop'));
    });
    expect(asked).toBe(1);
  });
});

describe('identify()', () => {
  it('names the message while it is written, so that message() is not called again', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      return undefined;
    };
    const said: boolean[] = [];
    const { store, errors, recorded } = await answer({ message }, (res, handle) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
      said.push(handle.identify({ conversationId: 'late', role: 'bot', metadata: { a: 1 } }));
      expect(handle.conversationId).toBe('late');
      res.end(chatChunk({}, 'stop'));
      said.push(handle.identify({ conversationId: 'too late' }));
    });
    expect(said).toEqual([true, false]);
    expect(asked).toBe(1);
    expect(errors).toEqual([]);
    expect(recorded.ends).toHaveLength(1);
    expect(store.row).toMatchObject({ conversationId: 'late', role: 'bot' });
    expect(store.row.metadata).toMatchObject({ a: 1 });
  });

  it('keeps the fields that it does not set', async () => {
    const message = () => ({ conversationId: 'c', role: 'model', metadata: { a: 1 } });
    const { store } = await answer({ message }, (res, handle) => {
      handle.identify({ role: 'bot' });
      return whole(res, handle);
    });
    expect(store.row).toMatchObject({ conversationId: 'c', role: 'bot' });
    expect(store.row.metadata).toMatchObject({ a: 1 });
  });

  it.each([{ conversationId: 7 }, { conversationId: '' }, { role: null }, { id: 'x' }, 'c'])(
    'refuses %j',
    async (given) => {
      const { store } = await answer({}, (res, handle) => {
        expect(() => handle.identify(given as object)).toThrow(/bad-option|identify\(\)/);
        return whole(res, handle);
      });
      expect(store.row.conversationId).toBeNull();
    },
  );
});

describe('an id that a client has chosen', () => {
  it.each([
    ['too long', 'x'.repeat(2_000)],
    ['too long in bytes', '漢'.repeat(600)],
    ['longer than a header may be', 'x'.repeat(1_000_000)],
    ['not well-formed', 'a\uD83Db'],
    ['with a NUL', 'a\0b'],
    ['with a line end', 'a\r\nX-Forged: 1'],
  ])('is the same in message, row, header and handle: %s', async (_name, given) => {
    const seen: unknown[] = [];
    const message = () => ({ id: given, conversationId: given, role: given });
    const { store, headers } = await answer({ message }, (res, handle) => {
      whole(res, handle);
      seen.push(handle.messageId, handle.conversationId);
    });
    const { id, conversationId, role } = store.row;
    expect(Buffer.byteLength(id)).toBeLessThanOrEqual(512);
    expect(id.isWellFormed() && !id.includes('\0')).toBe(true);
    expect([conversationId, role]).toEqual([id, id]);
    expect(toRow(store.row)).toMatchObject({ id, conversation_id: id, role: id });
    expect(decodeURIComponent(headers['x-message-id'] ?? '')).toBe(id);
    expect(seen).toEqual([id, id]);
  });

  it('is kept in full in the metadata if it was cut', async () => {
    const long = 'y'.repeat(600);
    const message = () => ({ id: long, conversationId: long, role: long });
    const { store } = await answer({ message }, whole);
    const hash = createHash('sha256').update(long).digest('hex');
    const cut: unknown = expect.stringMatching(new RegExp(`^y+~${hash}$`));
    expect(store.row).toMatchObject({ id: cut, conversationId: cut, role: cut });
    expect(store.row.metadata).toEqual({
      lastchunk: { fullId: long, fullConversationId: long, fullRole: long, finishReason: 'stop' },
    });
  });

  it('is cut in the same way by identify(), and the note is replaced with it', async () => {
    const long = 'y'.repeat(600);
    const notes: unknown[] = [];
    const message = () => ({ conversationId: long });
    const { store } = await answer({ message }, (res, handle) => {
      handle.identify({ role: long });
      handle.identify({ conversationId: 'short' });
      return whole(res, handle);
    });
    notes.push(store.row.metadata?.['lastchunk']);
    expect(store.row.conversationId).toBe('short');
    expect(Buffer.byteLength(store.row.role)).toBe(512);
    expect(notes).toEqual([{ fullRole: long, finishReason: 'stop' }]);
  });
});

describe('metadata.lastchunk', () => {
  const forged = { finishReason: 'length', requestedId: 'x' };

  it('is reserved: what the app puts there is kept under `given`', async () => {
    const message = () => ({ conversationId: 'c', metadata: { model: 'm', lastchunk: forged } });
    const { store } = await answer({ message }, whole);
    expect(store.row.metadata).toEqual({
      model: 'm',
      lastchunk: { given: forged, finishReason: 'stop' },
    });
  });

  it('is reserved for identify() too, even without a finish reason', async () => {
    const { store } = await answer({ format: 'text' }, (res, handle) => {
      handle.identify({ metadata: { lastchunk: forged } });
      res.setHeader('content-type', 'text/plain');
      res.write('hello');
      res.end();
    });
    expect(store.row.metadata).toEqual({ lastchunk: { given: forged } });
  });
});
