/** Options are checked at the door, and the error says which one and what it may be. */
import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { thrownBy } from '../support/thrown-by.ts';

/** What JavaScript, or a cast, may hand us: the option, and what is wrong with it. */
const BAD_GUARDS: ReadonlyArray<readonly [name: string, options: object]> = [
  ['polcy', { polcy: {} }],
  ['message', { message: 'no function' }],
  ['route', { route: 7 }],
  ['route', { route: '' }],
  ['policy', { policy: 'keep' }],
  ['policy', { policy: { gone: 'keep' } }],
  ['policy', { policy: { disconnected: 'save' } }],
  ['policy', { policy: { completed: 'finish' } }],
  ['format', { format: 'opnai' }],
  ['format', { format: 7 }],
  ['format', { format: { name: 'mine' } }],
  ['stream', { stream: 'yes' }],
  ['stream', { stream: false }],
  ['maxBytes', { maxBytes: -1 }],
  ['maxBytes', { maxBytes: 2.5 * 1024 + 0.1 }],
  ['maxBytes', { maxBytes: Number.NaN }],
  ['finish', { finish: true }],
  ['timeout', { finish: { timeout: 1 } }],
  ['timeoutMs', { finish: { timeoutMs: -1 } }],
  ['maxBytes', { finish: { maxBytes: '16MB' } }],
  ['maxConcurrent', { finish: { maxConcurrent: Infinity } }],
  ['maxConcurrentPerKey', { finish: { maxConcurrentPerKey: 0 } }],
  ['finish.key', { finish: { key: 'ip' } }],
  ['confirmTimeoutMs', { confirmTimeoutMs: -5 }],
  ['confirmTimeoutMs', { confirmTimeoutMs: '2s' }],
  ['missingAfterMs', { missingAfterMs: null }],
  ['idleTimeoutMs', { idleTimeoutMs: -1 }],
  ['stallTimeoutMs', { stallTimeoutMs: 1.5 }],
  ['headers', { headers: 'no' }],
  ['events', { events: 1 }],
];

describe('an invalid option', () => {
  it.each(BAD_GUARDS)('of guard() throws, and the error names it: %s %j', (name, options) => {
    const { keep } = createInMemoryInstance();
    expect(thrownBy(() => keep.guard(options))).toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining(name),
    });
  });

  it.each([
    ['maxBytes', { maxBytes: 100 }],
    ['polcy', { policy: {} }],
  ])('of observe() throws: %s', (_, options) => {
    const { keep } = createInMemoryInstance();
    expect(thrownBy(() => keep.observe(options as object))).toMatchObject({ code: 'bad-option' });
  });

  it.each([
    ['stor', { stor: createMemoryStore() }],
    ['maxPendingBytes', { maxPendingBytes: 1000 }],
    ['maxPendingBytes', { maxPendingBytes: '256 MiB' }],
    ['store', { store: 'postgres://localhost/db' }],
    ['store', { store: { save: 'no function' } }],
    ['journal', { journal: 7, store: createMemoryStore() }],
    ['fsyncMs', { journal: { path: tmpdir(), fsyncMs: -1 }, store: createMemoryStore() }],
    ['metrics', { metrics: 'prometheus' }],
    ['logger', { logger: { info: 'no function' } }],
    ['observer', { observer: 7 }],
  ])('of lastchunk() throws, and the error names it: %s', (name, options) => {
    const error = thrownBy(() => lastchunk(options as object));
    expect(error).toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining(name),
    });
  });

  it('throws an error without its value, which may be secret', () => {
    const secret = { connectionString: 'postgres://user:hunter2@host/db' };
    const error = thrownBy(() => lastchunk({ store: secret } as object));
    expect(error.message).not.toContain('hunter2');
  });

  it('throws if it is the path of a file, given as the journal', async () => {
    const home = await mkdtemp(join(tmpdir(), 'lastchunk-options-'));
    onTestFinished(() => rm(home, { recursive: true, force: true }));
    const file = join(home, 'file');
    await writeFile(file, '');
    const store = createMemoryStore();
    expect(thrownBy(() => lastchunk({ store, journal: file }))).toMatchObject({
      code: 'journal-unusable',
    });
  });

  it.each([[undefined], [{}], [{ authorize: true }]])(
    'throws if stopHandler has no authorize function: %j',
    (options) => {
      const { keep } = createInMemoryInstance();
      // What JavaScript may hand us.
      const given = options as unknown as Parameters<typeof keep.stopHandler>[0];
      expect(thrownBy(() => keep.stopHandler(given))).toMatchObject({
        code: 'bad-option',
        message: expect.stringContaining('authorize'),
      });
    },
  );
});
