/** A process that is killed while it streams, and those that take over what it left. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import { until } from '../support/until.ts';
import { createGuard, query, useRealWorld, world } from './real.ts';

useRealWorld();

interface Seen {
  readonly id: string;
  readonly text: string;
  readonly hasEnded: boolean;
}

/** Streams in another process until `until` holds, then kills it; returns what its clients had seen. */
async function crash(isEnough: (seen: ReadonlyMap<string, Seen>) => boolean) {
  const script = fileURLToPath(new URL('crash-child.ts', import.meta.url));
  const url = new URL(world.connectionString);
  url.port = String(world.proxy.port);
  const child = spawn(process.execPath, ['--import', 'tsx', script, url.href, world.journalPath], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const seen = new Map<string, Seen>();
  const output = createInterface({ input: child.stdout });
  output.on('line', (line) => {
    // The child writes nothing else.
    const said = JSON.parse(line) as Seen;
    seen.set(said.id, said);
  });
  await until('enough was streamed', () => isEnough(seen));
  child.kill('SIGKILL');
  await once(output, 'close');
  return seen;
}

const content = () =>
  query<{ id: string; content: string; outcome: string; complete: boolean }>(
    'SELECT id, content, outcome, complete FROM lastchunk_messages',
  );

async function migrate(): Promise<void> {
  const store = postgres({ connectionString: world.connectionString });
  await store.migrate();
  await store.close();
}

test('the next process saves what clients of a killed process have seen, once', async () => {
  await migrate();
  const seen = await crash(
    (all) => all.size === 12 && [...all.values()].some((one) => one.text.length > 900),
  );
  const next = await createGuard();
  await until('all streams have a row', async () => (await content()).length === 12);
  const rows = await content();
  for (const { id, text, hasEnded } of seen.values()) {
    const row = rows.find((one) => one.id === id);
    expect(row?.content.startsWith(text)).toBe(true);
    expect([row?.outcome, row?.complete]).toEqual(
      hasEnded ? ['completed', true] : ['interrupted', false],
    );
  }
  expect(next.account.saves).toEqual([]);
});

test('the database is down too: journaled and unfinished messages are both saved when it is back', async () => {
  await migrate();
  await world.database.stop();
  const seen = await crash((all) => [...all.values()].filter((one) => one.hasEnded).length === 4);
  const next = await createGuard();
  await until('the store is known to be away', () => next.keeper.state().circuit === 'open');
  await world.database.start();
  await until('all are recovered', () => next.account.recovered.length === 12);
  const rows = await content();
  expect(rows.map(({ outcome }) => outcome).filter((one) => one === 'completed')).toHaveLength(4);
  for (const { id, text } of seen.values()) {
    expect(rows.find((one) => one.id === id)?.content.startsWith(text)).toBe(true);
  }
});

test('two processes that start at once recover each message once', async () => {
  await migrate();
  await world.database.stop();
  await crash((all) => [...all.values()].filter((one) => one.hasEnded).length === 4);
  await world.database.start();
  const [one, other] = await Promise.all([createGuard(), createGuard()]);
  const recovered = (): string[] => [...one.account.recovered, ...other.account.recovered];
  await until('all are recovered', () => recovered().length >= 12);
  expect(new Set(recovered()).size).toBe(12);
  expect(recovered()).toHaveLength(12);
  expect(await content()).toHaveLength(12);
});
