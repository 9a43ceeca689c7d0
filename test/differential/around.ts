/** Small handlers of what else a response can do around its body: information, trailers, corks, time-outs, no body at all. */
import { chatChunk } from '../support/frames.ts';
import type { Probe } from './probe.ts';
import { begin, DONE, FINISH, type SmallHandler, STATE, type Step } from './steps.ts';

const CHAT = begin('text/event-stream', chatChunk({ content: 'one' }));

/** The marker, its end, and what the response says of itself then and later. */
function finish(probe: Probe): void {
  probe.call('write', FINISH, probe.callback('marker'));
  probe.call('end', DONE, probe.callback('end'));
  probe.ask(...STATE);
  probe.at('in 10 ms', () => probe.ask(...STATE));
}

function inform(probe: Probe): void {
  probe.call('writeContinue');
  probe.call('writeProcessing');
  probe.call('writeEarlyHints', { link: '</a.css>; rel=preload' });
}

/** Each by a name that says all of it. */
export const AROUND_A_HOLD: Readonly<Record<string, Step>> = {
  'information before the head, and a chat': (probe) => {
    inform(probe);
    CHAT(probe);
    finish(probe);
  },
  'information between the head and the marker': (probe) => {
    CHAT(probe);
    inform(probe);
    finish(probe);
  },
  'trailers that the head announces': (probe) => {
    probe.call('setHeader', 'trailer', 'x-sum');
    CHAT(probe);
    probe.call('write', FINISH);
    probe.call('addTrailers', { 'x-sum': '7' });
    probe.call('end', probe.callback('end'));
  },
  'trailers behind a marker, in a later turn': (probe) => {
    probe.call('setHeader', 'trailer', 'x-sum');
    CHAT(probe);
    probe.call('write', FINISH);
    probe.at('next turn', () => {
      probe.call('addTrailers', { 'x-sum': '7' });
      probe.call('end', probe.callback('end'));
    });
  },
  'a head that is flushed a turn before its body': (probe) => {
    begin('text/event-stream')(probe);
    probe.call('flushHeaders');
    probe.at('next turn', finish);
  },
  'a head that is flushed behind the marker': (probe) => {
    CHAT(probe);
    probe.call('write', FINISH);
    probe.call('flushHeaders');
    probe.call('end', probe.callback('end'));
  },
  'a connection that its answer closes': (probe) => {
    probe.call('setHeader', 'connection', 'close');
    CHAT(probe);
    finish(probe);
  },
  'a body without coding and length': (probe) => {
    probe.set('useChunkedEncodingByDefault', false);
    CHAT(probe);
    finish(probe);
  },
  'a status without a body: 204': (probe) => {
    probe.set('statusCode', 204);
    CHAT(probe);
    finish(probe);
  },
  'a status without a body: 304': (probe) => {
    probe.set('statusCode', 304);
    CHAT(probe);
    finish(probe);
  },
  'a cork that stays': (probe) => {
    CHAT(probe);
    probe.call('cork');
    finish(probe);
  },
  'a cork that stays, and no end': (probe) => {
    CHAT(probe);
    probe.call('cork');
    probe.call('write', FINISH, probe.callback('marker'));
  },
  'a cork from before the marker, taken off in a later turn': (probe) => {
    CHAT(probe);
    probe.call('cork');
    probe.call('write', FINISH, probe.callback('marker'));
    probe.at('next turn', () => {
      probe.call('uncork');
      probe.call('end', probe.callback('end'));
    });
  },
  'two corks, one of them taken off': (probe) => {
    CHAT(probe);
    probe.call('cork');
    probe.call('cork');
    probe.call('write', ': more\n\n');
    probe.call('uncork');
    finish(probe);
  },
  'a connection that is corked, and uncorked in a later turn': (probe) => {
    probe.callOn(probe.connection, 'cork');
    CHAT(probe);
    finish(probe);
    const { connection } = probe;
    probe.at('next turn', () => probe.callOn(connection, 'uncork'));
  },
  'a time-out of the response from before its end': (probe) => {
    probe.call('setTimeout', 1, probe.callback('timeout'));
    CHAT(probe);
    finish(probe);
  },
  'a time-out of the request from before the end': (probe) => {
    probe.callOn(probe.req, 'setTimeout', 1, probe.callback('timeout'));
    CHAT(probe);
    finish(probe);
  },
  'a time-out of the connection from before the end': (probe) => {
    probe.callOn(probe.connection, 'setTimeout', 1);
    CHAT(probe);
    finish(probe);
  },
  'a long time-out that is set, set anew and taken off': (probe) => {
    probe.call('setTimeout', 60_000);
    CHAT(probe);
    probe.call('setTimeout', 90_000);
    finish(probe);
    probe.at('next turn', () => probe.call('setTimeout', 0));
  },
  'a marker, and res.destroy() in a later turn': (probe) => {
    CHAT(probe);
    probe.call('write', FINISH, probe.callback('marker'));
    probe.at('next turn', () => probe.call('destroy'));
  },
  'forty small writes, a marker and an end': (probe) => {
    begin('text/event-stream')(probe);
    for (let count = 0; count < 40; count += 1) probe.call('write', `: ${'-'.repeat(500)}\n\n`);
    probe.call('once', 'drain', () => probe.events.push('res drain'));
    finish(probe);
  },
  'a connection whose options are set behind its end': (probe) => {
    CHAT(probe);
    finish(probe);
    const { connection } = probe;
    for (const name of ['setNoDelay', 'setKeepAlive', 'pause', 'resume', 'ref']) {
      probe.callOn(connection, name);
    }
  },
  'a write in the callback of end': (probe) => {
    CHAT(probe);
    probe.call('write', FINISH);
    probe.call('end', () => {
      probe.events.push('callback of end');
      probe.call('write', 'late', probe.callback('write'));
    });
  },
};

/** Whose clients ask in another way. */
export const ASKED_OTHERWISE: readonly SmallHandler[] = [
  { name: 'HEAD of a chat', asking: { method: 'HEAD' }, run: asChat },
  { name: 'DELETE of a chat', asking: { method: 'DELETE' }, run: asChat },
  {
    name: 'a chat for a client that expects 100-continue',
    asking: { method: 'POST', headers: { expect: '100-continue' } },
    run: asChat,
  },
  {
    name: 'a chat for a client that wants its connection closed',
    asking: { headers: { connection: 'close' } },
    run: asChat,
  },
  {
    name: 'a chat for a client that asks for an upgrade which nobody serves',
    asking: { headers: { connection: 'upgrade', upgrade: 'nothing' } },
    run: asChat,
  },
];

function asChat(probe: Probe): void {
  CHAT(probe);
  finish(probe);
}
