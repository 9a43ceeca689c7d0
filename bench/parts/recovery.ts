/** The journal of a dead process, saved: by the operator's command, and by an app that is started again. */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { load } from '../built.ts';
import { figure } from '../figures.ts';
import { inTurn } from '../rounds.ts';
import type { Bench } from '../part.ts';

const STREAMS = 10_000;
const ROUNDS = { rounds: 3 };
const QUICK = { streams: 500, rounds: 1 };

export async function benchRecovery(bench: Bench): Promise<void> {
  const { quick, found, note, databases } = bench;
  const count = quick ? QUICK.streams : STREAMS;
  const connectionString = await databases.open(quick ? 'off' : 'on');
  const database = new pg.Pool({ connectionString, max: 1 });
  const { postgres } = await load(bench.built.directory, 'postgres/index.js');
  const store = postgres({ connectionString });
  await store.migrate();
  await store.close();
  let said = '';
  // The keys of WAYS.
  const names = Object.keys(WAYS) as (keyof typeof WAYS)[];
  const seconds = await inTurn(names, quick ? QUICK : ROUNDS, async (name) => {
    const path = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
    await leaveStreams(bench, path, count);
    const startMs = performance.now();
    said = (await WAYS[name]({ bench, path, connectionString, count })) || said;
    const took = (performance.now() - startMs) / 1_000;
    await check(database, count);
    await database.query('TRUNCATE lastchunk_messages');
    rmSync(path, { recursive: true });
    return took;
  });
  await database.end();
  found(figure('lastchunk journal replay', 's', seconds.command));
  found(figure('started again', 's', seconds.restart));
  note(`lastchunk journal replay said: ${said.trim().split('\n').join(' | ')}`);
}

interface Task {
  readonly bench: Bench;
  readonly path: string;
  readonly connectionString: string;
  readonly count: number;
}

/** Each resolves when all is saved, to what it has said. */
const WAYS = { command: replayByCommand, restart: startAgain };

/** From the start of `lastchunk journal replay` to its end. */
async function replayByCommand({ bench, path, connectionString }: Task): Promise<string> {
  const bin = join(bench.built.directory, 'cli', 'bin.js');
  const child = spawn(
    process.execPath,
    [bin, 'journal', 'replay', '--dir', path, '--database-url', connectionString],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  const hear = (text: string): void => {
    said += text;
  };
  child.stderr.setEncoding('utf8').on('data', hear);
  child.stdout.setEncoding('utf8').on('data', hear);
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`journal replay ended with ${String(code)}:\n${said}`);
  return said;
}

/** From `lastchunk()` to the last message, in this process. */
async function startAgain({ bench, path, connectionString, count }: Task): Promise<string> {
  const { lastchunk } = await load(bench.built.directory, 'index.js');
  const { postgres } = await load(bench.built.directory, 'postgres/index.js');
  let onAll = (): void => {};
  const all = new Promise<void>((resolve) => {
    onAll = resolve;
  });
  let recovered = 0;
  const onRecovered = (): void => {
    recovered += 1;
    if (recovered === count) onAll();
  };
  const store = postgres({ connectionString });
  const keep = lastchunk({ store, journal: path, observer: { onRecovered } });
  await all;
  await keep.close();
  return '';
}

/** A process that writes the streams and is killed. */
async function leaveStreams({ built }: Bench, path: string, count: number): Promise<void> {
  const child = fork(join(built.servers, 'casualty.js'), [built.directory, path, String(count)], {
    execArgv: [],
  });
  const exited = once(child, 'exit');
  const died = exited.then(([code]) => {
    throw new Error(`the process to be killed ended with ${String(code)}`);
  });
  died.catch(() => undefined); // Only an exit before it has written is a failure.
  await Promise.race([once(child, 'message'), died]);
  child.kill('SIGKILL');
  await exited;
}

async function check(database: pg.Pool, count: number): Promise<void> {
  const { rows } = await database.query<{ count: string }>(
    "SELECT count(*) AS count FROM lastchunk_messages WHERE outcome = 'interrupted' AND length(content) = 4096",
  );
  if (Number(rows[0]?.count) !== count) throw new Error(`${rows[0]?.count} of ${count} were saved`);
}
