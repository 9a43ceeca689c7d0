/** What small handlers are put together from: their beginnings, and what they are asked. */
import { chatChunk } from '../support/frames.ts';
import type { Asking } from '../support/http-client.ts';
import type { Probe } from './probe.ts';

export type Step = (probe: Probe) => void;

/** One of them, by a name that says all of it. */
export interface SmallHandler {
  readonly name: string;
  readonly run: Step;
  /** How its client asks; a GET without a body by default. */
  readonly asking?: Pick<Asking, 'method' | 'headers'>;
}

export const FINISH = chatChunk({}, 'stop');
export const DONE = 'data: [DONE]\n\n';

/** Asked of every response, right after its ending and once more at the end of each handler. */
export const STATE = [
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

export function begin(contentType: string, ...chunks: readonly string[]): Step {
  return (probe) => {
    probe.call('setHeader', 'content-type', contentType);
    for (const chunk of chunks) probe.call('write', chunk);
  };
}

export const BEGINNINGS = {
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

/** The response as what a stream is piped into. */
export function asWritable({ res }: Probe): NodeJS.WritableStream {
  // A response is one, whichever protocol it is of.
  return res as NodeJS.WritableStream;
}
