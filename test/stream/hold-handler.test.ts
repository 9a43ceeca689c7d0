/** How a held response looks to the handler that wrote it: as Node's own would, until the real end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../support/frames.ts';
import { createKept } from '../support/kept.ts';
import { serve } from '../support/site.ts';
import { turns, until } from '../support/until.ts';
import { visit } from '../support/visitor.ts';

type Say = (...words: readonly unknown[]) => void;
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
    'a write of nothing after end()',
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
    'a second end(callback)',
    (res, say) => {
      res.end('two');
      say('end returns', res.end((error?: unknown) => say('callback', codeOf(error))) === res);
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
    'end() with what is no chunk',
    (res, say) => {
      say(thrown(() => Reflect.apply(res.end, res, [42])));
      res.end('two');
    },
  ],
  [
    'write() with what is no chunk',
    (res, say) => {
      res.end('two');
      say(thrown(() => Reflect.apply(res.write, res, [42])));
      say(thrown(() => Reflect.apply(res.write, res, [null])));
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

describe('from end() on a held response answers as a bare one does at once:', () => {
  it.each(SCRIPTS)('%s', async (_, script) => {
    const expected = await record(script, undefined);
    const kept = createKept();
    kept.store.hold();
    const guard = kept.keep.guard({ confirmTimeoutMs: 60_000 });
    const { words, visitor } = await record(script, guard);
    expect(kept.store.waiting).toBe(1);
    expect(words).toEqual(expected.words);
    kept.store.answer();
    expect((await visitor.over()).body.toString()).toBe('one two');
    expect((await expected.visitor.over()).body.toString()).toBe('one two');
    await kept.witness.ended();
    expect(kept.store.row).toMatchObject({ text: 'one two', revision: 0, complete: true });
    expect(kept.witness.internalErrors).toEqual([]);
  });
});

describe('the real end', () => {
  const LIFE: Script = (res, say) => {
    res.on('finish', () => say('finish', res.writableFinished));
    res.on('close', () => say('close'));
    res.write(FINISH, (error) => say('frame', codeOf(error)));
    res.end('data: [DONE]\n\n', () => say('callback', res.writableFinished));
  };

  it('brings callbacks, finish and close in the order of a bare response, once', async () => {
    const bare = await record(LIFE, undefined, 'text/event-stream');
    await until('the end', () => bare.words.some(([word]) => word === 'close'));
    const kept = createKept();
    kept.store.hold();
    const guard = kept.keep.guard({ confirmTimeoutMs: 60_000 });
    const held = await record(LIFE, guard, 'text/event-stream');
    await until('the store was asked', () => kept.store.waiting === 1);
    await turns();
    expect(held.words).toEqual([]);
    kept.store.answer();
    await until('the end', () => held.words.some(([word]) => word === 'close'));
    await turns();
    expect(held.words).toEqual(bare.words);
  });

  it('is not reached while a held write is waited for, and comes all the same', async () => {
    const kept = createKept();
    kept.store.hold();
    const said: unknown[] = [];
    const app = express();
    app.get('/', kept.keep.guard({ confirmTimeoutMs: 60_000 }), async (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'a' }));
      await new Promise<void>((resolve) => {
        said.push(res.write(FINISH, () => resolve()));
        said.push(res.writableNeedDrain, res.writableFinished);
      });
      said.push('released');
      res.end();
    });
    const site = await serve(app);
    const visitor = await visit(site, '/');
    await until('the store was asked', () => kept.store.waiting === 1);
    await turns();
    expect(said).toEqual([true, false, false]);
    kept.store.answer();
    expect((await visitor.over()).whole).toBe(true);
    expect(said).toEqual([true, false, false, 'released']);
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(kept.store.row.revision).toBe(0);
  });
});

/** Runs a script after a first chunk and gives its words some turns to come. */
async function record(
  script: Script,
  guard: ((req: IncomingMessage, res: ServerResponse, next: () => void) => unknown) | undefined,
  type = 'text/plain',
) {
  const words: unknown[][] = [];
  let ran = false;
  const act = (_: IncomingMessage, res: ServerResponse): void => {
    res.on('error', (error) => words.push(['error', codeOf(error)]));
    res.setHeader('content-type', type);
    res.write(type === 'text/plain' ? 'one ' : chatChunk({ content: 'one' }));
    script(res, (...said) => words.push(said));
    ran = true;
  };
  const site = await serve((req, res) => {
    if (guard === undefined) act(req, res);
    else void guard(req, res, () => act(req, res));
  });
  const visitor = await visit(site, '/');
  await until('the script has run', () => ran);
  await turns();
  return { words, visitor };
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
