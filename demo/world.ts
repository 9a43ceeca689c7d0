/** Puts together what the chaos breaks: a database, a model, and the app between them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAppProcess } from './app-process.ts';
import { openDatabase } from './database.ts';
import type { World } from './faults.ts';
import { createReplicas } from './replicas.ts';
import { startUpstream } from './upstream.ts';

/** A world that can end. */
export interface OpenWorld extends World {
  /** Stops everything and leaves nothing behind. */
  close(): Promise<void>;
}

/**
 * Starts everything, or uses what the environment names. However this process ends, the app, the server and
 * the files go with it. The ids of the run's conversations start with `run`; `onCrash` is told when the app dies
 * by itself.
 */
export async function openWorld(
  run: string,
  log: string | undefined,
  onCrash: (error: Error) => void,
): Promise<OpenWorld> {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-demo-'));
  process.once('exit', () => rmSync(home, { recursive: true, force: true }));
  const database = await openDatabase(given('DATABASE_URL'), run);
  const upstream = given('OPENAI_BASE_URL') === undefined ? await startUpstream() : undefined;
  const env = {
    DATABASE_URL: database.connectionString,
    ...(upstream && { OPENAI_BASE_URL: upstream.url, OPENAI_API_KEY: 'not needed' }),
  };
  const output = log ?? join(home, 'app.log');
  const app = createAppProcess({ ...env, JOURNAL: join(home, 'journal') }, output, onCrash);
  await app.start();
  const replicas = await createReplicas({ env, home, log: output, onCrash });
  return {
    app,
    replicas,
    database,
    upstream,
    close: async () => {
      await Promise.all([app.kill(), replicas.close()]);
      upstream?.close();
      await database.close();
    },
  };
}

function given(name: string): string | undefined {
  return process.env[name] === '' ? undefined : process.env[name];
}
