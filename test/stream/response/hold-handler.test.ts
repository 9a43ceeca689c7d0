/** How a held response looks to the handler that wrote it: as Node's own would, until the real end. */
import type { ServerResponse } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

type Say = (...words: readonly unknown[]) => void;
type Middleware = ReturnType<ReturnType<typeof createInMemoryInstance>['keep']['guard']>;
type Script = (res: ServerResponse, say: Say) => void;

const FINISH = chatChunk({}, 'stop');

/** Sequences whose answers must not depend on whether the response is held. */
const SCRIPTS: ReadonlyArray<readonly [name: string, script: Script]> = [
  [
    'the state after end()',
    (res, say) => {
      say('end returns', res.end('two') === res);
      say(res.writableEnded, res.finished, res.writable, res.destroyed, res.headersSent);
    },
  ],
  [
    'a write after end()',
    (res, say) => {
      res.end('two');
      say(
        'write returns',
        res.write('three', (error) => say('callback', codeOf(error))),
      );
      say('and again', res.write('three'));
    },
  ],
  [
    'an empty write after end()',
    (res, say) => {
      res.end('two');
      say(
        'write returns',
        res.write('', (error) => say('callback', codeOf(error))),
      );
    },
  ],
  [
    'a second end()',
    (res, say) => {
      res.end('two');
      say('end returns', res.end() === res);
    },
  ],
  [
    'a second end(chunk, callback)',
    (res, say) => {
      res.end('two');
      say('end returns', res.end('three', () => say('callback')) === res);
    },
  ],
  [
    'end() with an invalid chunk',
    (res, say) => {
      say(thrown(() => call(res, 'end', 42)));
      res.end('two');
    },
  ],
  [
    'write() with an invalid chunk',
    (res, say) => {
      res.end('two');
      say(thrown(() => call(res, 'write', 42)));
      say(thrown(() => call(res, 'write', null)));
    },
  ],
  [
    'headers after end()',
    (res, say) => {
      res.end('two');
      say(thrown(() => res.setHeader('x-late', '1')));
      say(thrown(() => res.writeHead(500)));
      say(thrown(() => res.flushHeaders()));
      say(thrown(() => res.appendHeader('x-late', '1')));
    },
  ],
  [
    'cork and uncork after end()',
    (res, say) => {
      res.end('two');
      say(
        thrown(() => res.cork()),
        thrown(() => res.uncork()),
      );
    },
  ],
];

describe('after end() a held response behaves as a bare one does at once:', () => {
  it.each(SCRIPTS)('%s', async (_, script) => {
    const expected = await record(script, undefined);
    const instance = createInMemoryInstance();
    instance.store.hold();
    const guard = instance.keep.guard({ confirmTimeoutMs: 60_000 });
    const { words, httpClient } = await record(script, guard);
    expect(instance.store.waiting).toBe(1);
    expect(words).toEqual(expected.words);
    instance.store.answer();
    expect((await httpClient.over()).body.toString()).toBe('one two');
    expect((await expected.httpClient.over()).body.toString()).toBe('one two');
    await instance.recorded.ended();
    expect(instance.store.row).toMatchObject({ text: 'one two', revision: 0, complete: true });
    expect(instance.recorded.internalErrors).toEqual([]);
  });
});

describe('a whole answer in one end()', () => {
  const WHOLE: Script = (res, say) => {
    say('end returns', res.end('data: one\n\n') === res);
    say(res.headersSent, res.writableEnded, res.finished, res.statusCode);
    say(thrown(() => res.setHeader('x-late', '1')));
    say(thrown(() => res.removeHeader('content-type')));
    say(thrown(() => res.writeHead(500)));
    say(thrown(() => res.flushHeaders()));
    res.statusCode = 500;
    say(
      'write returns',
      res.write('two', (error) => say('callback', codeOf(error))),
    );
  };

  it('cannot be changed while it is held', async () => {
    const bare = await record(WHOLE, undefined, 'whole');
    const instance = createInMemoryInstance();
    instance.store.hold();
    const guard = instance.keep.guard({ confirmTimeoutMs: 60_000 });
    const held = await record(WHOLE, guard, 'whole');
    expect(instance.store.waiting).toBe(1);
    expect(held.words).toEqual(bare.words);
    instance.store.answer();
    const reply = await held.httpClient.over();
    expect(reply.status).toBe(200);
    expect(reply.headers).not.toHaveProperty('x-late');
    expect(reply.body.toString()).toBe('data: one\n\n');
    expect(instance.store.row).toMatchObject({ text: 'one', complete: true, revision: 0 });
  });
});

describe('the end of a held response', () => {
  const LIFE: Script = (res, say) => {
    res.on('finish', () => say('finish', res.writableFinished));
    res.on('close', () => say('close'));
    res.write(FINISH, (error) => say('frame', codeOf(error)));
    res.end('data: [DONE]\n\n', () => say('callback', res.writableFinished));
  };

  it('has callbacks, finish and close in the order of a bare response, once', async () => {
    const bare = await record(LIFE, undefined, 'chat');
    await until('the end', () => bare.words.some(([word]) => word === 'close'));
    const instance = createInMemoryInstance();
    instance.store.hold();
    const guard = instance.keep.guard({ confirmTimeoutMs: 60_000 });
    const held = await record(LIFE, guard, 'chat');
    await until('the store was asked', () => instance.store.waiting === 1);
    await turns();
    expect(held.words).toEqual([]);
    instance.store.answer();
    await until('the end', () => held.words.some(([word]) => word === 'close'));
    await turns();
    expect(held.words).toEqual(bare.words);
  });

  it('calls the callback of a second end() too', async () => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const { words } = await record(
      (res, say) => {
        res.end('two', () => say('first'));
        res.end(() => say('second'));
      },
      instance.keep.guard({ confirmTimeoutMs: 60_000 }),
    );
    expect(words).toEqual([]);
    instance.store.answer();
    await until('both are called', () => words.length === 2);
    expect(new Set(words.flat())).toEqual(new Set(['first', 'second']));
  });

  it('comes after a held write that the handler awaits', async () => {
    const instance = createInMemoryInstance();
    instance.store.hold();
    const said: unknown[] = [];
    const app = express();
    app.get('/', instance.keep.guard({ confirmTimeoutMs: 60_000 }), async (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'a' }));
      await new Promise<void>((resolve) => {
        said.push(res.write(FINISH, () => resolve()));
        said.push(res.writableNeedDrain, res.writableFinished);
      });
      said.push('released');
      res.end();
    });
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/');
    await until('the store was asked', () => instance.store.waiting === 1);
    await turns();
    expect(said).toEqual([true, false, false]);
    instance.store.answer();
    expect((await httpClient.over()).whole).toBe(true);
    expect(said).toEqual([true, false, false, 'released']);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row.revision).toBe(0);
  });
});

type Kind = 'plain' | 'chat' | 'whole';

const BEGINNINGS: Readonly<Record<Kind, (res: ServerResponse) => void>> = {
  plain: (res) => {
    res.setHeader('content-type', 'text/plain');
    res.write('one ');
  },
  chat: (res) => {
    res.setHeader('content-type', 'text/event-stream');
    res.write(chatChunk({ content: 'one' }));
  },
  whole: (res) => void res.setHeader('content-type', 'text/event-stream'),
};

/** Runs a script after a beginning and gives its words some turns to come. */
async function record(script: Script, guard: Middleware | undefined, kind: Kind = 'plain') {
  const words: unknown[][] = [];
  let ran = false;
  const act = (res: ServerResponse): void => {
    res.on('error', (error) => words.push(['error', codeOf(error)]));
    BEGINNINGS[kind](res);
    script(res, (...said) => words.push([...said]));
    ran = true;
  };
  const testServer = await serve((req, res) => {
    if (guard === undefined) act(res);
    else void guard(req, res, () => act(res));
  });
  const httpClient = await openClient(testServer, '/');
  await until('the script has run', () => ran);
  await turns();
  return { words, httpClient };
}

/** Calls a method with what its type forbids. */
function call(res: ServerResponse, name: 'write' | 'end', chunk: unknown): unknown {
  const method: unknown = Reflect.get(res, name);
  if (typeof method !== 'function') throw new TypeError(`${name} is no method`);
  return Reflect.apply(method, res, [chunk]);
}

function codeOf(error: unknown): unknown {
  if (error === undefined || error === null) return 'no error';
  return error instanceof Error && 'code' in error ? error.code : error;
}

function thrown(call: () => unknown): unknown {
  try {
    call();
    return 'no throw';
  } catch (error) {
    return codeOf(error);
  }
}
