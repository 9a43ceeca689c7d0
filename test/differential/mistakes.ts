/** Small handlers in which something goes wrong in the very call that is held, or nearly does. */
import { Readable } from 'node:stream';
import { chatChunk } from '../support/frames.ts';
import { asWritable, begin, BEGINNINGS, DONE, FINISH, STATE, type Step } from './steps.ts';

/** Things that go wrong in the very call that is held. */
export const MISTAKES: Readonly<Record<string, Step>> = {
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
