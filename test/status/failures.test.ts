/** The memory of failures: what is told of each, and that it does not grow. */
import { expect, it } from 'vitest';
import { RecentFailures } from '../../src/status/failures.ts';
import { aSave, aStream } from '../telemetry/facts.ts';

it('a kind of failure is one entry with a count and its times, the newest first', () => {
  const failures = new RecentFailures();
  failures.onSave(aSave(aStream(), { result: 'lost', errorType: '53100' }));
  failures.onHold(aStream(), 'unconfirmed');
  failures.onSave(aSave(aStream(), { result: 'lost', errorType: '53100' }));
  failures.onSave(aSave(aStream(), { result: 'saved' }));
  failures.onHold(aStream(), 'saved');
  expect(failures.list()).toMatchObject([
    { kind: 'lost', count: 2, detail: '53100, its disk is full', route: '/chat/:id' },
    { kind: 'unconfirmed', count: 1, runbook: 'LastchunkHoldsUnconfirmed' },
  ]);
});

it('each event has an entry with its meaning', () => {
  const failures = new RecentFailures();
  const message = { streamId: 's', messageId: 'm', route: '/chat', traceparent: null };
  failures.onReplayed('refused', message);
  failures.onReplayed('saved', message);
  failures.onRecovered('refused', message);
  failures.onAttempt('ECONNREFUSED');
  failures.onAttempt(undefined);
  failures.onUnnamed(aStream(), new TypeError('what a user wrote'));
  failures.onMessage(aStream(), { unknownText: true, cut: true });
  failures.onFinishRefused(aStream(), 'bytes');
  failures.onPoolFinding({
    pool: 'app',
    kind: 'leaked',
    place: 'a.ts:1',
    heldMs: 1,
    route: undefined,
  });
  failures.onInternalError('journal', new Error('what a user wrote'));
  const told = failures.list().map(({ kind, count, detail }) => `${kind} ${count} ${detail ?? ''}`);
  expect(told.toReversed()).toEqual([
    'refused 2 ',
    'attempt 1 ECONNREFUSED, no server listens at its address',
    expect.stringMatching(/^unnamed 1 TypeError at .*failures\.test\.ts:\d+/),
    'unknown 1 ',
    'cut 1 ',
    'finish-refused 1 bytes',
    'leaked 1 pool app, a.ts:1',
    expect.stringMatching(/^internal 1 journal: Error/),
  ]);
  expect(JSON.stringify(failures.list())).not.toContain('what a user wrote');
});

it('thirty kinds are kept, and the oldest one is dropped', () => {
  const failures = new RecentFailures();
  for (let n = 0; n < 40; n += 1) failures.onAttempt(`E${n}`);
  const known = failures.list();
  expect([known.length, known[0]?.detail, known.at(-1)?.detail]).toEqual([30, 'E39', 'E10']);
});
