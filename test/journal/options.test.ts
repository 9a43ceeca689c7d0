import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeFileSystem, fileSystemOf } from '../../src/journal/fs.ts';
import { resolveJournalOptions } from '../../src/journal/index.ts';
import type { JournalOption } from '../../src/journal/index.ts';
import { endJson, openJson, parseEnding, parseOpened } from '../../src/journal/record-json.ts';
import { emptyDirectory, ending, open, stream } from './support.ts';

const MIB = 1024 * 1024;

describe('the journal option', () => {
  it('has a default for everything', () => {
    expect(resolveJournalOptions(undefined)).toEqual({
      path: resolve('.lastchunk'),
      given: false,
      maxBytes: 1024 * MIB,
      flushMs: 0,
      fsyncMs: 100,
      ephemeral: false,
    });
  });

  it('may be a path, or false', () => {
    expect(resolveJournalOptions('/var/journal')).toMatchObject({
      path: '/var/journal',
      given: true,
    });
    expect(resolveJournalOptions(false)).toBeUndefined();
  });

  it.each<[JournalOption, RegExp]>([
    [{ path: '' }, /`journal\.path` must be the path of a directory/],
    [{ flushMs: 1001 }, /`journal\.flushMs` must be a whole number from 0 to 1000, not 1001/],
    [{ fsyncMs: 0 }, /`journal\.fsyncMs` must be a whole number from 1 to 60000, not 0/],
    [{ maxBytes: 1 }, /`journal\.maxBytes` must be a whole number from 16777216 to /],
  ])('refuses %o and names the range', (option, message) => {
    expect(() => resolveJournalOptions(option)).toThrowError(
      expect.objectContaining({ code: 'bad-option', message: expect.stringMatching(message) }),
    );
  });

  it('refuses an unknown option', () => {
    const option: object = { maxByte: 1 };
    expect(() => resolveJournalOptions(option)).toThrowError(/unknown option `maxByte` of journal/);
  });
});

describe('the file system', () => {
  it('is named in one line of the log at the start', () => {
    const path = emptyDirectory();
    const { lines, journal } = open(path);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(`the journal is in ${path}, on ${fileSystemOf(path)}`);
    expect(journal.state().fileSystem).toBe(fileSystemOf(path));
  });

  it('is tmpfs at /dev/shm, and disk if it is unknown', () => {
    expect(fileSystemOf('/dev/shm')).toBe(existsSync('/dev/shm') ? 'tmpfs' : 'disk');
    expect(fileSystemOf('/does/not/exist')).toBe('disk');
  });

  it('is warned about if it does not outlive the container, unless `ephemeral` is set', () => {
    expect(describeFileSystem('/j', 'overlay', false)).toMatchObject({ level: 'warn' });
    expect(describeFileSystem('/j', 'tmpfs', true)).toMatchObject({ level: 'info' });
    expect(describeFileSystem('/j', 'network', true)).toMatchObject({ level: 'warn' });
    expect(describeFileSystem('/j', 'disk', false)).toMatchObject({ level: 'info' });
  });
});

describe('the open and end records of a stream', () => {
  it('return what was written', () => {
    const opened = stream(1, { traceparent: '00-a-b-01', events: true, conversationId: null });
    expect(parseOpened(openJson({ stream: opened, instance: 'instance', store: 'store' }))).toEqual(
      opened,
    );
    const facts = ending(opened, {
      metadata: { finish: 'stop' },
      traceId: 'abc',
      outcome: 'failed',
      side: 'upstream',
    });
    expect(parseEnding(endJson(facts), opened)).toEqual(facts);
  });

  it('omit metadata that JSON cannot hold, or that is larger than a record', () => {
    const cyclic: Record<string, unknown> = {};
    cyclic['self'] = cyclic;
    for (const metadata of [cyclic, { big: 'x'.repeat(300_000) }, { big: 1n }]) {
      const opened = stream(1, { metadata });
      expect(parseOpened(openJson({ stream: opened, instance: '', store: undefined }))).toEqual({
        ...opened,
        metadata: null,
      });
      expect(parseEnding(endJson(ending(opened)), opened).metadata).toBeNull();
    }
  });

  it('are completed with defaults if an older version wrote fewer fields', () => {
    const opened = parseOpened('{"id":"s","messageId":"m"}');
    expect(opened).toMatchObject({ role: 'assistant', format: 'auto', route: 'unmatched' });
    expect(parseEnding('{"outcome":"unheard of"}', opened)).toMatchObject({
      id: 'm',
      streamId: 's',
      outcome: 'interrupted',
      side: 'server',
      complete: false,
    });
  });
});
