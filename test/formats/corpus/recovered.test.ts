/** The corpus, recovered: the process that sent the streams is killed, and another one reads its journal. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../../src/core/message.ts';
import { lastchunk } from '../../../src/index.ts';
import { createLogbook } from '../../support/logbook.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { soon, until } from '../../support/until.ts';
import { ALL_KEYS, compare, CONTENT_KEYS } from './compare.ts';
import { FIXTURES, type Fixture } from './fixture.ts';

/** By conversation: what the process that came next has saved. */
const rows = new Map<string, Message>();
let journal: string;

beforeAll(async () => {
  journal = await mkdtemp(join(tmpdir(), 'lastchunk-corpus-'));
  const script = fileURLToPath(new URL('child.ts', import.meta.url));
  const command = ['--import', 'tsx', script, journal];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  try {
    // The child prints one line, its URL.
    const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    for (const fixture of FIXTURES) await send(url, fixture);
  } finally {
    child.kill('SIGKILL');
    await exit;
  }
  await recover();
});

afterAll(async () => {
  await rm(journal, { recursive: true, force: true });
});

/** One answer that ends, and one that is written and does not: what a client has of it was journaled before. */
async function send(url: string, { id, body, compressed, cuts }: Fixture): Promise<void> {
  const cut = cuts.includes('end') ? 'end' : 'whole';
  await receive(`${url}/${cut}/auto/${id}`, Infinity);
  if (!compressed && cut === 'whole') await receive(`${url}/whole/auto/${id}?open`, body.length);
}

/** Resolves when so many bytes have come, or the response is over. */
async function receive(url: string, enough: number): Promise<void> {
  const accept = { 'accept-encoding': 'gzip' };
  const [response] = await soon(
    'the head',
    once(get(url, { headers: accept, agent: false }), 'response'),
  );
  let bytes = 0;
  for await (const piece of response) {
    bytes += (piece as Buffer).length;
    if (bytes >= enough) break;
  }
}

/** Another process's work is done when the directory of the killed one has gone, also from where it was taken to. */
async function recover(): Promise<void> {
  const left = (await readdir(journal)).filter((name) => name !== '.gitignore');
  const store = createMemoryStore();
  const keep = lastchunk({ store, journal, logger: createLogbook().logger });
  await until('all of the journal is read', async () => {
    const now = await readdir(journal, { recursive: true });
    return !now.some((path) => left.some((name) => path.includes(name)));
  });
  await keep.close({ deadlineMs: 10_000 });
  for (const row of store.rows.values()) rows.set(String(row.conversationId), row);
}

function mismatches(fixture: Fixture): readonly string[] {
  const isEnd = fixture.cuts.includes('end');
  const path = `/${isEnd ? 'end' : 'whole'}/auto/${fixture.id}`;
  const ended = compare(fixture, rows.get(path), ALL_KEYS).map((one) => `ended: ${one}`);
  if (fixture.compressed || isEnd) return ended;
  const cut = compare(fixture, rows.get(`${path}?open`), CONTENT_KEYS);
  return [...ended, ...cut.map((one) => `cut off: ${one}`)];
}

describe('a stream of', () => {
  it.each(FIXTURES)('$id is recovered as its client read it', (fixture) => {
    const wrong = mismatches(fixture);
    expect(wrong).toEqual([]);
  });
});
