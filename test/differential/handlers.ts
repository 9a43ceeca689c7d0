/** Small handlers, put together from a beginning, an ending, and something that is done after the ending. */
import { Readable } from 'node:stream';
import { chatChunk } from '../support/frames.ts';
import { type Moment, MOMENTS, type Probe } from './probe.ts';

export type Step = (probe: Probe) => void;

/** One of them, by a name that says all of it. */
export interface SmallHandler {
  readonly name: string;
  readonly run: Step;
}

const FINISH = chatChunk({}, 'stop');
const DONE = 'data: [DONE]\n\n';

/** Asked of every response, right after its ending and once more at the end of each handler. */
const STATE = [
  'headersSent',
  'writable',
  'writableEnded',
  'writableFinished',
  'finished',
  'writableLength',
  'writableNeedDrain',
  'writableCorked',
  'destroyed',
  'closed',
  'errored',
  'statusCode',
  'statusMessage',
  'socket',
] as const;

function begin(contentType: string, ...chunks: readonly string[]): Step {
  return (probe) => {
    probe.call('setHeader', 'content-type', contentType);
    for (const chunk of chunks) probe.call('write', chunk);
  };
}

const BEGINNINGS = {
  'plain text': begin('text/plain', 'one '),
  'a chat': begin('text/event-stream', chatChunk({ content: 'one' })),
  'nothing written': begin('text/event-stream'),
  'a known length': (probe) => {
    probe.call('setHeader', 'content-length', 8);
    begin('text/plain', 'one ')(probe);
  },
  'a head in one call': (probe) => {
    probe.call('writeHead', 201, { 'Content-Type': 'text/plain', 'X-One': '1' });
    probe.call('write', 'one ');
  },
  'a flushed head': (probe) => {
    begin('text/event-stream')(probe);
    probe.call('flushHeaders');
  },
  'no type': (probe) => probe.call('write', 'one '),
  'a status message': (probe) => {
    probe.set('statusMessage', 'Fine');
    begin('text/event-stream')(probe);
  },
} satisfies Readonly<Record<string, Step>>;

type Beginning = keyof typeof BEGINNINGS;

const ENDINGS = {
  'end()': (probe) => probe.call('end'),
  'end(callback)': (probe) => probe.call('end', probe.callback('end')),
  'end(chunk)': (probe) => probe.call('end', 'two!'),
  'end(chunk, callback)': (probe) => probe.call('end', 'two!', probe.callback('end')),
  'end(bytes)': (probe) => probe.call('end', Buffer.from('two!')),
  'end(chunk, encoding, callback)': (probe) =>
    probe.call('end', 'dHdvIQ==', 'base64', probe.callback('end')),
  'a marker and end()': (probe) => {
    probe.call('write', FINISH, probe.callback('marker'));
    probe.call('end');
  },
  'a marker and end(chunk, callback)': (probe) => {
    probe.call('write', FINISH, probe.callback('marker'));
    probe.call('end', DONE, probe.callback('end'));
  },
  'a marker and a later end(callback)': (probe) => {
    probe.call('write', FINISH, probe.callback('marker'));
    probe.at('next turn', () => probe.call('end', probe.callback('end')));
  },
  'one end(chunk) with marker': (probe) => {
    probe.call('end', chatChunk({ content: 'one' }) + FINISH + DONE, probe.callback('end'));
  },
  'a last chunk and end()': (probe) => {
    probe.call('write', 'two!', probe.callback('last'));
    probe.call('end', probe.callback('end'));
  },
  'corked writes and end()': (probe) => {
    probe.call('cork');
    probe.call('write', FINISH, probe.callback('marker'));
    probe.call('write', Buffer.from(': more\n\n'));
    probe.call('uncork');
    probe.call('addTrailers', { 'x-sum': '7' });
    probe.call('end');
  },
} satisfies Readonly<Record<string, Step>>;

type Ending = keyof typeof ENDINGS;

/** Each is done after an ending, at every moment. */
const AFTERWARDS: Readonly<Record<string, Step>> = {
  'a write': (probe) => probe.call('write', 'late', probe.callback('write')),
  'a write without callback': (probe) => probe.call('write', 'late'),
  'an empty write': (probe) => probe.call('write', '', probe.callback('write')),
  'a write of bytes': (probe) => probe.call('write', Buffer.from('late')),
  'a write of null': (probe) => probe.call('write', null),
  'a write of a number': (probe) => probe.call('write', 42),
  'a second end()': (probe) => probe.call('end'),
  'a second end(callback)': (probe) => probe.call('end', probe.callback('second end')),
  'a second end(chunk)': (probe) => probe.call('end', 'late'),
  'a second end(chunk, callback)': (probe) =>
    probe.call('end', 'late', probe.callback('second end')),
  'an end of a number': (probe) => probe.call('end', 42),
  headers: (probe) => {
    probe.call('setHeader', 'x-late', '1');
    probe.call('appendHeader', 'x-late', '1');
    probe.call('removeHeader', 'content-type');
    probe.call('getHeader', 'content-type');
    probe.call('hasHeader', 'x-late');
  },
  'a head': (probe) => {
    probe.call('writeHead', 500);
    probe.call('flushHeaders');
  },
  'another status': (probe) => {
    probe.set('statusCode', 500);
    probe.set('statusMessage', 'No');
  },
  'cork and uncork': (probe) => {
    probe.call('cork');
    probe.call('uncork');
  },
  trailers: (probe) => probe.call('addTrailers', { 'x-sum': '7' }),
  'information before an answer': (probe) => {
    probe.call('writeContinue');
    probe.call('writeProcessing');
    probe.call('writeEarlyHints', { link: '</a.css>; rel=preload' });
  },
  'res.destroy()': (probe) => probe.call('destroy'),
  'res.destroy(error)': (probe) => probe.call('destroy', new Error('no')),
  'req.destroy()': (probe) => probe.callOn(probe.req, 'destroy'),
  'connection.destroy()': (probe) => probe.callOn(probe.connection, 'destroy'),
  'connection.end()': (probe) => probe.callOn(probe.connection, 'end'),
  'connection.destroySoon()': (probe) => probe.callOn(probe.connection, 'destroySoon'),
  'connection.close()': (probe) => probe.callOn(probe.connection, 'close'),
  'connection.close(8)': (probe) => probe.callOn(probe.connection, 'close', 8),
  'a time-out': (probe) => probe.call('setTimeout', 1, probe.callback('timeout')),
  listeners: (probe) => {
    probe.call('once', 'finish', probe.callback('finish'));
    probe.call('prependOnceListener', 'close', probe.callback('close'));
  },
  'a pipe into it': (probe) => void Readable.from(['late']).pipe(asWritable(probe)),
  'its state': (probe) => probe.ask(...STATE),
};

type Held = readonly [Beginning, Ending];

/** Endings after which something is done, by turns; each is held in another way. */
const HELD: readonly [Held, ...Held[]] = [
  ['plain text', 'end(chunk)'],
  ['a chat', 'a marker and end(chunk, callback)'],
  ['nothing written', 'one end(chunk) with marker'],
];

/** Things that go wrong in the very call that is held. */
const MISTAKES: Readonly<Record<string, Step>> = {
  'a header hook that throws in end(chunk)': (probe) => {
    begin('text/event-stream')(probe);
    Reflect.set(probe.res, 'writeHead', () => {
      throw new Error('hook');
    });
    probe.call('end', DONE, probe.callback('end'));
    Reflect.deleteProperty(probe.res, 'writeHead');
    probe.call('end', 'again');
  },
  'a status message with a line break': (probe) => {
    begin('text/event-stream')(probe);
    probe.set('statusMessage', 'a\nb');
    probe.call('end', DONE);
    probe.set('statusMessage', 'Fine');
    probe.call('end', DONE);
  },
  'an encoding that does not exist': (probe) => {
    begin('text/event-stream', chatChunk({ content: 'one' }))(probe);
    probe.call('end', DONE, 'no-such-encoding');
    probe.call('end');
  },
  'too long for a strict length': (probe) => {
    probe.set('strictContentLength', true);
    BEGINNINGS['a known length'](probe);
    probe.call('end', 'much too long');
    probe.call('end', 'two!');
  },
  'too short for a strict length': (probe) => {
    probe.set('strictContentLength', true);
    BEGINNINGS['a known length'](probe);
    probe.call('end', 't');
    probe.call('end', 'two!');
  },
  'a marker that is no chunk': (probe) => {
    begin('text/event-stream', FINISH)(probe);
    probe.call('write', 42);
    probe.call('end', {});
    probe.call('end');
  },
  'a large last chunk': (probe) => {
    begin('text/plain', 'one ')(probe);
    probe.call('end', 'x'.repeat(200_000), probe.callback('end'));
    probe.ask(...STATE);
  },
  'a large marker, and the drain that follows': (probe) => {
    begin('text/event-stream')(probe);
    probe.call('write', chatChunk({ content: 'x'.repeat(200_000) }, 'stop'), probe.callback('it'));
    probe.call('once', 'drain', () => {
      probe.events.push('res drain');
      probe.call('end');
    });
    probe.ask('writableNeedDrain');
  },
  'a buffer that is used again': (probe) => {
    begin('text/plain', 'one ')(probe);
    const shared = Buffer.from('two!');
    probe.call('write', shared);
    probe.at('next turn', () => {
      shared.fill('#');
      probe.call('end');
    });
  },
  'a marker and no end': begin('text/event-stream', chatChunk({ content: 'one' }), FINISH),
  'a marker, more frames in other turns, and an end': (probe) => {
    begin('text/event-stream', FINISH)(probe);
    probe.at('next turn', () => {
      probe.call('write', ': more\n\n', probe.callback('more'));
      probe.at('next turn', () => {
        probe.call('write', DONE, probe.callback('done'));
        probe.call('end', probe.callback('end'));
      });
    });
  },
  'a pipe that ends it': (probe) => {
    begin('text/event-stream')(probe);
    Readable.from([chatChunk({ content: 'one' }), FINISH, DONE]).pipe(asWritable(probe));
  },
  'empty writes around a marker': (probe) => {
    begin('text/event-stream', chatChunk({ content: 'one' }))(probe);
    for (const chunk of ['', FINISH, '', Buffer.alloc(0)]) {
      probe.call('write', chunk, probe.callback(`write of ${chunk.length}`));
    }
    probe.at('next turn', () => probe.call('end', '', probe.callback('end')));
  },
};

/** Every one of them. */
export const SMALL_HANDLERS: readonly SmallHandler[] = [
  ...entries(BEGINNINGS).flatMap(([beginning, start]) =>
    entries(ENDINGS).map(([ending, end]) => ({
      name: `${beginning}; ${ending}`,
      run: withState((probe) => {
        start(probe);
        end(probe);
      }),
    })),
  ),
  ...Object.entries(AFTERWARDS).flatMap(([name, step], number) =>
    MOMENTS.map((moment, turn) => {
      const [beginning, ending] = HELD[(number + turn) % HELD.length] ?? HELD[0];
      return {
        name: `${beginning}; ${ending}; ${moment}: ${name}`,
        run: after(beginning, ending, moment, step),
      };
    }),
  ),
  ...Object.entries(MISTAKES).map(([name, run]) => ({ name, run })),
];

function withState(step: Step): Step {
  return (probe) => {
    step(probe);
    probe.ask(...STATE);
    probe.at('in 10 ms', () => probe.ask(...STATE));
  };
}

function after(beginning: Beginning, ending: Ending, moment: Moment, step: Step): Step {
  return (probe) => {
    BEGINNINGS[beginning](probe);
    ENDINGS[ending](probe);
    probe.at(moment, step);
  };
}

function entries<Name extends string>(steps: Readonly<Record<Name, Step>>): [Name, Step][] {
  // The keys of a literal are its names.
  return Object.entries(steps) as [Name, Step][];
}

function asWritable({ res }: Probe): NodeJS.WritableStream {
  // A response is one, whichever protocol it is of.
  return res as NodeJS.WritableStream;
}
