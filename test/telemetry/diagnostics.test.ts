/** Every event reaches its channel and, with NODE_DEBUG, stderr; neither shows what a user wrote. */
import { spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { combine } from '../../src/core/observer.ts';
import {
  createDiagnostics,
  type DiagnosticMessage,
  DIAGNOSTIC_EVENTS,
} from '../../src/telemetry/diagnostics.ts';
import { aSave, aStream, anEnd } from './facts.ts';

/** What comes on each channel, in order. */
function listen(): { readonly channel: string; readonly message: DiagnosticMessage }[] {
  const heard: { channel: string; message: DiagnosticMessage }[] = [];
  for (const { channel } of Object.values(DIAGNOSTIC_EVENTS)) {
    const onMessage = (message: unknown): void => {
      heard.push({ channel, message: message as DiagnosticMessage });
    };
    subscribe(channel, onMessage);
    onTestFinished(() => void unsubscribe(channel, onMessage));
  }
  return heard;
}

/** Calls every callback of an observer once. */
function tellAll(tell: ReturnType<typeof combine>): void {
  const stream = aStream({ id: 'abc', conversationId: 'of a user' });
  const journaled = { streamId: 'abc', messageId: 'm', route: '/chat', traceparent: null };
  tell.onRoute('/chat');
  tell.onStart(stream);
  tell.onFirstChunk(stream, 3);
  tell.onPhase(stream, { event: 'began', from: 'undecided', to: 'open' });
  tell.onDisconnect(stream);
  tell.onFinishing(stream, true);
  tell.onFinishRefused(stream, 'time');
  tell.onHold(stream, 'saved', 4);
  tell.onUnrecognised(stream, 'image/png');
  tell.onEnd(anEnd(stream, { outcome: 'disconnected', side: 'client' }));
  tell.onDue(stream);
  tell.onSkip(stream, 'empty');
  tell.onMessage(stream, { unknownText: false, cut: true });
  tell.onSave(aSave(stream));
  tell.onAttempt('57P01');
  tell.onIdConflict('asked', 'given');
  tell.onUnnamed(stream, new Error('text of a message'));
  tell.onReplayed('saved', journaled);
  tell.onRecovered('refused', journaled);
  tell.onJournalWrite(0.001);
  tell.onRelayFlush(0.001, 600);
  tell.onTakeover('claimed');
  tell.onResume('/chat', 'relay', 'resumed');
  tell.onRemoteStop('stopped');
  tell.onNoise(stream, { reason: 'own-abort', signature: 'ECONNRESET' });
  tell.onPoolWatched('main');
  tell.onPoolFinding({ pool: 'main', kind: 'long', place: 'a.ts:1', heldMs: 9, route: undefined });
  tell.onInternalError('store', new Error('text of a message'));
}

describe('diagnostics', () => {
  it('publishes each event once, on its own channel', () => {
    const heard = listen();
    tellAll(
      combine([createDiagnostics()], (error) => {
        throw error;
      }),
    );
    const channels = Object.values(DIAGNOSTIC_EVENTS).map(({ channel }) => channel);
    expect(new Set(channels).size).toBe(channels.length);
    expect(heard.map(({ channel }) => channel).toSorted()).toEqual(channels.toSorted());
    const of = (name: string) => heard.find(({ channel }) => channel === name)?.message;
    expect(of('lastchunk:stream:end')).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(of('lastchunk:stream:hold')).toMatchObject({ released: 'saved', durationMs: 4 });
    expect(of('lastchunk:internal-error')).toMatchObject({ where: 'store' });
  });

  it('creates no message if a channel has no subscriber', () => {
    const { onEnd } = createDiagnostics();
    const summary = new Proxy(anEnd(aStream({}), {}), {
      ownKeys: () => {
        throw new Error('was looked at');
      },
    });
    expect(() => onEnd?.(summary)).not.toThrow();
  });

  it('prints each event for NODE_DEBUG, without text and conversation id', () => {
    const script = fileURLToPath(new URL('diagnostics-child.ts', import.meta.url));
    const run = (debug: string): string =>
      spawnSync(process.execPath, ['--import', 'tsx', script], {
        env: { ...process.env, NODE_DEBUG: debug },
        encoding: 'utf8',
      }).stderr;
    const printed = run('lastchunk');
    expect(printed).toMatch(/^LASTCHUNK \d+: lastchunk:stream:start stream=abc route=\/chat$/m);
    expect(printed).toMatch(/lastchunk:stream:end stream=abc route=\/chat outcome=completed/);
    expect(printed).toMatch(/lastchunk:internal-error where=store error=Error$/m);
    expect(printed).not.toMatch(/of a user|text of a message/);
    expect(printed).toContain('requestedId=one?LASTCHUNK 1: forged?[2J messageId=given\n');
    expect(run('http2')).not.toMatch(/LASTCHUNK/);
  });

  it('has each of its channels on the page about debugging', async () => {
    const page = await readFile(
      new URL('../../docs/contributing/debugging.md', import.meta.url),
      'utf8',
    );
    const listed = [...page.matchAll(/^\| `(lastchunk:[\w:-]+)`/gm)].map(([, name]) => name);
    const channels = Object.values(DIAGNOSTIC_EVENTS).map(({ channel }) => channel);
    expect(listed).toEqual(channels);
  });
});
