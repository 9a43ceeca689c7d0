/** Whose message a stream is, where the app knows it late. */
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
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
  const errors = instance.recorded.internalErrors.map(({ error }) => String(error));
  return { ...instance, headers, errors };
}

const whole: Handler = (res) => {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
  res.end(chatChunk({}, 'stop'));
};

describe('message()', () => {
  it('is asked again at the end if it named no conversation', async () => {
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

  it('is asked again at the end if it threw', async () => {
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

  it('is counted once if it names none at the end either', async () => {
    let asked = 0;
    const message = () => {
      asked += 1;
      throw new Error(`no ${asked}`);
    };
    const { store, errors } = await answer({ message }, whole);
    expect(asked).toBe(2);
    expect(errors).toEqual(['Error: no 2']);
    expect(store.row.conversationId).toBeNull();
  });

  it('is asked once if it named one, also of a stream that goes on', async () => {
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
  it('names the message while it is written, and spares message() the second question', async () => {
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

  it('leaves what it does not name', async () => {
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
