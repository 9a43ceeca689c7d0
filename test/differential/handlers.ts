/** Small handlers, put together from a beginning, an ending, and something that is done after the ending. */
import { Readable } from 'node:stream';
import { chatChunk } from '../support/frames.ts';
import { AROUND_A_HOLD, ASKED_OTHERWISE } from './around.ts';
import { MISTAKES } from './mistakes.ts';
import { type Moment, MOMENTS } from './probe.ts';
import {
  asWritable,
  BEGINNINGS,
  DONE,
  FINISH,
  type SmallHandler,
  STATE,
  type Step,
} from './steps.ts';

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
  ...Object.entries({ ...MISTAKES, ...AROUND_A_HOLD }).map(([name, run]) => ({ name, run })),
  ...ASKED_OTHERWISE,
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
