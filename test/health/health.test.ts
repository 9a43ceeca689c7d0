import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JournalState } from '../../src/journal/port.ts';
import { HealthMonitor, type SaverFacts } from '../../src/health/monitor.ts';
import { aSave, aStream } from '../telemetry/facts.ts';

const NOW = 1_700_000_000_000;

const WORKS: SaverFacts = {
  pending: 0,
  oldestPendingMs: 0,
  circuit: 'closed',
  lastSuccessMs: NOW - 1000,
};
const AWAY: SaverFacts = {
  pending: 2,
  oldestPendingMs: NOW - 3000,
  circuit: 'open',
  lastFailure: { atMs: NOW - 500, errorType: 'ECONNREFUSED' },
  lastSuccessMs: NOW - 9000,
};
const JOURNAL: JournalState = {
  entries: 1,
  bytes: 100,
  capacityBytes: 1000,
  oldestEntryMs: NOW - 20_000,
  degraded: undefined,
  corruptRecords: 0,
  fileSystem: 'disk',
  ephemeral: false,
};

beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

describe('status', () => {
  const journal = (facts: Partial<JournalState>) => () => ({ ...JOURNAL, ...facts });

  it.each([
    ['healthy', [], {}],
    ['healthy', [], { saver: () => WORKS, journal: journal({}) }],
    ['healthy', [], { saver: () => WORKS }],
    ['failing', ['closing'], { saver: () => WORKS, closing: () => true }],
    ['degraded', ['store-away'], { saver: () => AWAY, journal: journal({}) }],
    ['failing', ['store-away'], { saver: () => AWAY }],
    [
      'failing',
      ['store-away', 'journal-degraded'],
      { saver: () => AWAY, journal: journal({ degraded: 'full' }) },
    ],
    [
      'degraded',
      ['journal-degraded'],
      { saver: () => WORKS, journal: journal({ degraded: 'slow' }) },
    ],
    [
      'degraded',
      ['journal-ephemeral'],
      { saver: () => WORKS, journal: journal({ fileSystem: 'overlay' }) },
    ],
    [
      'degraded',
      ['journal-ephemeral'],
      { saver: () => WORKS, journal: journal({ fileSystem: 'tmpfs' }) },
    ],
    [
      'healthy',
      [],
      { saver: () => WORKS, journal: journal({ fileSystem: 'tmpfs', ephemeral: true }) },
    ],
    [
      'degraded',
      ['journal-attention'],
      { saver: () => WORKS, journal: journal({ problems: { damaged: 1 } }) },
    ],
  ] as const)('is %s for the reasons %j', (status, reasons, sources) => {
    expect(new HealthMonitor(sources).health()).toMatchObject({ status, reasons });
  });

  it('is failing for five minutes after a message was lost', () => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    monitor.onSave?.(aSave(aStream(), { result: 'journaled' }));
    expect(monitor.health().status).toBe('healthy');
    monitor.onSave?.(aSave(aStream(), { result: 'lost' }));
    vi.advanceTimersByTime(5 * 60_000 - 1);
    expect(monitor.health()).toMatchObject({ status: 'failing', reasons: ['message-lost'] });
    vi.advanceTimersByTime(1);
    expect(monitor.health().status).toBe('healthy');
  });
});

describe('a refused message', () => {
  const about = { streamId: 's', messageId: 'm', route: '/chat', traceparent: null };

  it.each(['onReplayed', 'onRecovered'] as const)('is a reason for five minutes: %s', (tell) => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    monitor.onSave(aSave(aStream()));
    monitor.onSave(aSave(aStream(), { result: 'journaled' }));
    monitor[tell]('saved', about);
    expect(monitor.health().status).toBe('healthy');
    monitor[tell]('refused', about);
    vi.advanceTimersByTime(5 * 60_000 - 1);
    expect(monitor.health()).toMatchObject({ status: 'degraded', reasons: ['message-refused'] });
    vi.advanceTimersByTime(1);
    expect(monitor.health().status).toBe('healthy');
  });
});

describe('a save rate of 0', () => {
  it('is never shown with the status healthy', () => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    monitor.onSave(aSave(aStream(), { result: 'missing' }));
    for (let minute = 0; minute < 90; minute += 1) {
      const { status, saveRate } = monitor.health();
      expect(Object.values(saveRate).includes(0) && status === 'healthy').toBe(false);
      vi.advanceTimersByTime(60_000);
    }
    expect(monitor.health().status).toBe('healthy');
  });
});

describe('a wall clock that is set', () => {
  it.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('%s by an hour does not change how long a reason lasts', (_, by) => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    monitor.onSave?.(aSave(aStream(), { result: 'lost' }));
    vi.advanceTimersByTime(60_000);
    vi.setSystemTime(NOW + by);
    expect(monitor.health()).toMatchObject({
      reasons: ['message-lost', 'nothing-saved'],
      saveRate: { fiveMinutes: 0, oneHour: 0 },
    });
    vi.advanceTimersByTime(4.5 * 60_000);
    expect(monitor.health()).toMatchObject({
      status: 'degraded',
      reasons: ['nothing-saved'],
      saveRate: { oneHour: 0 },
    });
  });

  it('back does not keep the store from being probed', async () => {
    const probe = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const monitor = new HealthMonitor({ saver: () => WORKS, probe });
    monitor.health();
    vi.setSystemTime(NOW - 3_600_000);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    vi.advanceTimersByTime(5000);
    monitor.health();
    expect(probe).toHaveBeenCalledTimes(2);
  });
});

describe('facts', () => {
  it('of the pool are read before the probe uses the pool', () => {
    let waiting = 0;
    const monitor = new HealthMonitor({
      pool: () => ({ total: 1, idle: 1, waiting, max: 4 }),
      probe: async () => {
        waiting = 1;
      },
    });
    expect(monitor.health().pool?.waiting).toBe(0);
  });

  it('include pool, circuit and save rate', () => {
    const pool = { total: 4, idle: 1, waiting: 2, max: 4 };
    const monitor = new HealthMonitor({ saver: () => AWAY, pool: () => pool });
    monitor.onSave?.(aSave(aStream(), { result: 'journaled' }));
    const saveRate = { fiveMinutes: 1, oneHour: 1 };
    expect(monitor.health()).toMatchObject({ pool, saveRate, store: { circuit: 'open' } });
  });

  it('of pending saves include the saves of the app itself', () => {
    const pending = () => ({ count: 3, oldestMs: NOW - 2000 });
    const health = new HealthMonitor({ pending }).health();
    expect(health).toMatchObject({ pending: 3, oldestPendingSeconds: 2 });
  });

  it('have a reason for five minutes after a message was missing, which is not lost yet', () => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    monitor.onSave?.(aSave(aStream(), { result: 'missing' }));
    monitor.onSave?.(aSave(aStream()));
    const missing = { status: 'degraded', reasons: ['message-missing'] };
    expect(monitor.health()).toMatchObject(missing);
    vi.advanceTimersByTime(5 * 60_000);
    expect(monitor.health().status).toBe('healthy');
  });

  it('are those of the saver and the journal, ages in seconds', () => {
    const health = new HealthMonitor({ saver: () => AWAY, journal: () => JOURNAL }).health();
    expect(health).toMatchObject({
      store: {
        reachable: false,
        lastSuccess: new Date(NOW - 9000),
        lastFailure: { at: new Date(NOW - 500), errorType: 'ECONNREFUSED' },
      },
      pending: 2,
      oldestPendingSeconds: 3,
      journal: { entries: 1, bytes: 100, capacityBytes: 1000, oldestEntrySeconds: 20 },
    });
  });

  it('of a store that was never used are unknown', () => {
    const saver = () => ({ ...WORKS, lastSuccessMs: 0 });
    expect(new HealthMonitor({ saver }).health()).toMatchObject({
      status: 'healthy',
      store: { reachable: undefined, lastSuccess: undefined, lastFailure: undefined },
      oldestPendingSeconds: 0,
    });
  });

  it('of parts that are not configured are undefined', () => {
    expect(new HealthMonitor().health()).toMatchObject({ store: undefined, journal: undefined });
  });
});

describe('the probe of the store', () => {
  const flush = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
  };

  it('runs in the background, at most every five seconds, and shows in the next call of health()', async () => {
    let answer: () => Promise<void> = () =>
      Promise.reject(Object.assign(new Error(), { code: 'EPIPE' }));
    const probe = vi.fn<() => Promise<void>>(() => answer());
    const monitor = new HealthMonitor({ saver: () => ({ ...WORKS, lastSuccessMs: 0 }), probe });
    expect(monitor.health().store?.reachable).toBeUndefined();
    await flush();
    expect(monitor.health()).toMatchObject({
      status: 'failing',
      store: { reachable: false, lastFailure: { errorType: 'EPIPE' } },
    });
    expect(probe).toHaveBeenCalledTimes(1);
    answer = () => Promise.resolve();
    vi.advanceTimersByTime(5000);
    monitor.health();
    await flush();
    expect(monitor.health()).toMatchObject({ status: 'healthy', store: { reachable: true } });
    expect(probe).toHaveBeenCalledTimes(2);
  });

  it('never runs twice at once, however long the store does not answer', () => {
    const probe = vi.fn<() => Promise<void>>(() => new Promise(() => undefined));
    const monitor = new HealthMonitor({ saver: () => WORKS, probe });
    for (let minute = 0; minute < 10; minute += 1) {
      monitor.health();
      vi.advanceTimersByTime(60_000);
    }
    expect(probe).toHaveBeenCalledTimes(1);
  });

  it('shares the query of the start, which may take longer than five seconds', async () => {
    let answer = (): void => undefined;
    const probe = vi.fn<() => Promise<void>>(() => new Promise((resolve) => (answer = resolve)));
    const monitor = new HealthMonitor({ saver: () => WORKS, probe });
    const ask = monitor.asker();
    const [first, second] = [ask?.(), ask?.()];
    vi.advanceTimersByTime(60_000);
    monitor.health();
    expect(probe).toHaveBeenCalledTimes(1);
    answer();
    await first;
    await second;
    monitor.health();
    expect(probe).toHaveBeenCalledTimes(2);
  });

  it('reports once that the store is reachable, whichever part asked it', async () => {
    const probe = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const monitor = new HealthMonitor({ saver: () => WORKS, probe });
    const told = vi.fn<() => void>();
    monitor.whenReachable(told);
    monitor.health();
    await flush();
    monitor.onAttempt(undefined);
    expect(told).toHaveBeenCalledTimes(1);
  });

  it('leaves that report to the circuit once a save has failed', () => {
    const monitor = new HealthMonitor({ saver: () => WORKS });
    const told = vi.fn<() => void>();
    monitor.whenReachable(told);
    monitor.onAttempt('ECONNREFUSED');
    monitor.onAttempt(undefined);
    expect(told).not.toHaveBeenCalled();
  });

  it('is overridden by a later result of the saver', async () => {
    let saver = WORKS;
    const monitor = new HealthMonitor({ saver: () => saver, probe: () => Promise.resolve() });
    monitor.health();
    await flush();
    vi.advanceTimersByTime(100);
    saver = { ...AWAY, lastFailure: { atMs: Date.now(), errorType: '57P01' } };
    expect(monitor.health().store?.reachable).toBe(false);
  });
});
