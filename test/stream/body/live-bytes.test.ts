/** What answers on their way take in memory together is bounded, and what leaves memory is read back. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AppRequest, GuardOptions } from '../../../src/index.ts';
import { Log } from '../../../src/journal/write/stream-log.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

const MIB = 1024 * 1024;

type Write = (res: ServerResponse) => void;

/** An instance whose answers may take 1 MiB together, and a server that writes, waits for the gate, and goes on. */
async function serveBounded({ journal }: { journal: boolean }, options: GuardOptions = {}) {
  const path = journal ? await mkdtemp(join(tmpdir(), 'lastchunk-live-')) : undefined;
  onTestFinished(async () => {
    if (path !== undefined) await rm(path, { recursive: true, force: true });
  });
  const instance = createInMemoryInstance({ journal: path ?? false, maxLiveBytes: MIB });
  const go = createGate();
  const answers = new Map<string, { first: Write; rest: Write }>();
  const message = ({ url = '' }: AppRequest) => ({ id: url });
  const server = await serve((req, res) => {
    const guarded = instance.keep.guard({ message, ...options }, (_req, given: ServerResponse) => {
      const answer = answers.get(req.url ?? '');
      answer?.first(given);
      void go.promise.then(() => answer?.rest(given));
    });
    void guarded(req, res);
  });
  /** Asks for an answer; resolves when its first part is written. */
  const ask = async (name: string, first: Write, rest: Write) => {
    const written = createGate();
    answers.set(`/${name}`, {
      first: (res) => {
        first(res);
        written.open();
      },
      rest,
    });
    const client = await openClient(server, `/${name}`);
    await written.promise;
    return client;
  };
  return { instance, go, ask, path, row: (name: string) => instance.store.rows.get(`/${name}`) };
}

const plain =
  (...pieces: readonly string[]): Write =>
  (res) => {
    res.setHeader('content-type', 'text/plain');
    for (const piece of pieces) res.write(piece);
  };

const end: Write = (res) => res.end('the end');

describe('with a journal', () => {
  it('a body beyond the memory limit leaves memory, and its message is whole', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: true });
    const pieces = Array.from({ length: 48 }, (_, index) => `${index} é漢👩‍🚀 `.repeat(4_000));
    const client = await ask('large', plain(...pieces), end);
    expect(instance.keep.health().capture?.bytes).toBeLessThanOrEqual(MIB);
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('large')?.text).toBe(`${pieces.join('')}the end`);
    expect(row('large')).toMatchObject({ complete: true, droppedBytes: 0 });
    expect(instance.keep.health()).toMatchObject({ capture: { bytes: 0 }, reasons: [] });
    expect(instance.recorded.internalErrors).toEqual([]);
  });

  it('many small bodies leave memory as well, the largest first', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: true });
    const names = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const clients = await Promise.all(
      names.map((name, index) => ask(name, plain(name, 'x'.repeat(index * 10_000)), end)),
    );
    expect(instance.keep.health().capture?.bytes).toBeLessThanOrEqual(MIB);
    go.open();
    for (const client of clients) await client.over();
    await instance.recorded.ended(names.length);
    for (const [index, name] of names.entries()) {
      expect(row(name)?.text).toBe(`${name}${'x'.repeat(index * 10_000)}the end`);
      expect(row(name)?.complete).toBe(true);
    }
  });

  it('frames that were only on disk are read as frames', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: true });
    const words = Array.from({ length: 12_000 }, (_, index) => `word ${index} `);
    const client = await ask(
      'chat',
      (res) => {
        res.setHeader('content-type', 'text/event-stream');
        for (const word of words) res.write(chatChunk({ content: word }));
      },
      (res) => {
        res.write(chatChunk({ content: 'last' }));
        res.write(chatChunk({}, 'stop'));
        res.end('data: [DONE]\n\n');
      },
    );
    expect(instance.keep.health().capture?.bytes).toBeLessThanOrEqual(MIB);
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('chat')?.text).toBe(`${words.join('')}last`);
    expect(row('chat')).toMatchObject({
      complete: true,
      metadata: { lastchunk: { finishReason: 'stop' } },
    });
  });

  it('an encoded body is decoded from its parts on disk and in memory', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: true });
    const text = randomBytes(2 * MIB).toString('base64');
    const bytes = gzipSync(text);
    const client = await ask(
      'gzip',
      (res) => {
        res.setHeader('content-type', 'text/plain');
        res.setHeader('content-encoding', 'gzip');
        for (let at = 0; at < bytes.length - 1_000; at += 50_000) {
          res.write(bytes.subarray(at, Math.min(at + 50_000, bytes.length - 1_000)));
        }
      },
      (res) => res.end(bytes.subarray(bytes.length - 1_000)),
    );
    expect(instance.keep.health().capture?.bytes).toBeLessThanOrEqual(MIB);
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('gzip')?.text === text).toBe(true);
    expect(row('gzip')?.complete).toBe(true);
  });

  it('bytes that cannot be read back are counted: the text is a prefix, and the message is not complete', async () => {
    const { instance, go, ask, path = '', row } = await serveBounded({ journal: true });
    const pieces = Array.from({ length: 24 }, (_, index) => `${index} `.repeat(20_000));
    const client = await ask('cut', plain(...pieces), end);
    for (const name of await readdir(path, { recursive: true })) {
      if (name.endsWith('.segment')) await truncate(join(path, name), 500_000);
    }
    go.open();
    await client.over();
    await instance.recorded.ended();
    const kept = row('cut');
    const whole = `${pieces.join('')}the end`;
    expect(kept?.complete).toBe(false);
    expect(whole.startsWith(kept?.text ?? 'nothing')).toBe(true);
    expect(kept?.droppedBytes).toBe(whole.length - (kept?.text.length ?? 0));
    expect(instance.recorded.internalErrors.map(({ where }) => where)).toContain('journal');
    expect(instance.recorded.facts).toEqual([{ unknownText: false, cut: true }]);
  });

  it('a held end waits for a slow disk only until confirmTimeoutMs', async () => {
    const options = { confirmTimeoutMs: 200 };
    const { instance, go, ask, row } = await serveBounded({ journal: true }, options);
    const disk = createGate();
    const { readBack } = Log.prototype;
    const slow = vi.spyOn(Log.prototype, 'readBack').mockImplementation(async function (
      this: Log,
      bytes,
    ) {
      await disk.promise;
      return readBack.call(this, bytes);
    });
    onTestFinished(() => slow.mockRestore());
    const pieces = Array.from({ length: 24 }, (_, index) => `${index} `.repeat(20_000));
    const client = await ask('slow', plain(...pieces), end);
    go.open();
    expect((await client.over()).whole).toBe(true);
    expect(row('slow')).toBeUndefined();
    expect(instance.recorded.holds).toEqual(['unconfirmed']);
    expect(instance.logbook.errors().join()).toContain('before its message was safe');
    disk.open();
    expect(await instance.recorded.ended()).toMatchObject({ save: 'saved' });
    expect(row('slow')).toMatchObject({ text: `${pieces.join('')}the end`, complete: true });
  });

  it('a stream that goes on after its end is continued in memory', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: true });
    const word = chatChunk({ content: 'word '.repeat(10_000) });
    const client = await ask(
      'again',
      (res) => {
        res.setHeader('content-type', 'text/event-stream');
        for (let count = 0; count < 40; count += 1) res.write(word);
        res.write(chatChunk({}, 'stop'));
      },
      (res) => {
        res.write(chatChunk({ content: 'more' }));
        res.end(chatChunk({}, 'stop'));
      },
    );
    await client.sees('"stop"');
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('again')).toMatchObject({ revision: 1, complete: true });
    expect(row('again')?.text).toBe(`${'word '.repeat(400_000)}more`);
  });
});

describe('without a journal', () => {
  it('the largest bodies are cut, counted and reported, and the small ones stay whole', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: false });
    const large = 'x'.repeat(100_000);
    const clients = [
      await ask('small', plain('small '), end),
      await ask('large', plain(...Array.from({ length: 9 }, () => large)), end),
      await ask('larger', plain(...Array.from({ length: 24 }, () => large)), end),
    ];
    const { capture, reasons, status } = instance.keep.health();
    expect(capture?.bytes).toBeLessThanOrEqual(MIB);
    expect([status, reasons]).toEqual(['degraded', ['answers-cut']]);
    go.open();
    for (const client of clients) await client.over();
    await instance.recorded.ended(3);
    expect(row('small')).toMatchObject({ text: 'small the end', complete: true, droppedBytes: 0 });
    for (const [name, count] of [
      ['large', 9],
      ['larger', 24],
    ] as const) {
      const kept = row(name)?.text ?? '';
      const whole = `${large.repeat(count)}the end`;
      expect(row(name)?.complete).toBe(false);
      expect(kept.length).toBeGreaterThan(100_000);
      expect(whole.startsWith(kept)).toBe(true);
      expect(row(name)?.droppedBytes).toBe(whole.length - kept.length);
    }
    expect(instance.recorded.facts.filter(({ cut }) => cut)).toHaveLength(2);
    expect(instance.logbook.errors().join()).toContain('the largest are cut');
  });

  it('one large write is cut within itself, after a whole character', async () => {
    const { instance, go, ask, row } = await serveBounded({ journal: false });
    const client = await ask('one', plain('漢'.repeat(600_000)), end);
    expect(instance.keep.health().capture?.bytes).toBeLessThanOrEqual(MIB);
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('one')?.text).toMatch(/^漢{100000,}$/);
  });
});

describe('a handler that writes one character at a time', () => {
  it.each([
    ['characters', (text: string) => Array.from(text)],
    ['bytes', (text: string) => [...Buffer.from(text)].map((byte) => Buffer.from([byte]))],
  ])('has its pieces joined in memory, without a lost character: %s', async (_, split) => {
    const { instance, go, ask, row } = await serveBounded({ journal: false });
    const text = 'naïve 漢字 👩‍🚀 '.repeat(2_000);
    const client = await ask(
      'slow',
      (res) => {
        res.setHeader('content-type', 'text/plain');
        for (const piece of split(text)) res.write(piece);
      },
      end,
    );
    // An estimate: of each piece its bytes and 32 more, which are nearly all gone.
    expect(instance.keep.health().capture?.bytes).toBeLessThan(Buffer.byteLength(text) * 2);
    go.open();
    await client.over();
    await instance.recorded.ended();
    expect(row('slow')?.text).toBe(`${text}the end`);
  });
});
