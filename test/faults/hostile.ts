/** A hostile neighbour: another user of the machine keeps writing, linking and locking around the journal, and has planted streams. */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openJournal, resolveJournalOptions } from '../../src/journal/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { ending, stream } from '../journal/support-data.ts';
import type { Fault } from './fault.ts';

/** The user `nobody` of most systems; any other user than ours would be suitable. */
const NOBODY = 65_534;

/** The conversation of the planted streams. */
const FOREIGN = 'planted by somebody else';

/** No message is lost or saved twice, and no planted stream becomes a row. */
export const hostile: Fault = {
  name: 'hostile-neighbour',
  title: 'another user plants files, links and locks',
  impossible: () =>
    process.getuid?.() === 0 ? undefined : 'only root may start a process of another user',
  run: async (bench, streams) => {
    // Like /tmp: every user may write, and remove only their own files.
    const yard = mkdtempSync(join(tmpdir(), 'lastchunk-yard-'));
    chmodSync(yard, 0o1777);
    const journal = join(yard, 'journal');
    mkdirSync(journal, { mode: 0o700 });
    // The directory that the bench checks at the end; the one of this fault is removed with the yard.
    mkdirSync(bench.journal, { recursive: true });
    const made = await makePlanted(bench.connectionString, join(bench.directory, 'made'));
    plant(made, journal, 'a');
    const neighbour = startNeighbour(yard, journal);
    try {
      const app = await bench.app({ journal });
      const half = Math.ceil(streams / 2);
      const first = bench.draw(half, { mayBeInterrupted: true });
      const running = bench.run(app, first);
      await bench.tokens(first, half * 5);
      plant(made, journal, 'b');
      await app.kill();
      await app.start();
      await running;
      await bench.settled();
      await bench.run(app, bench.draw(half));
      await bench.settled();
      const rows = await bench.rows();
      const foreign = rows.filter((row) => row.conversation_id === FOREIGN);
      bench.check(foreign.length === 0, `${foreign.length} planted rows`);
      const { tries, got } = await neighbour.stop();
      bench.check(tries > 100, `the neighbour tried only ${tries} times`);
      bench.check(got.length === 0, `the neighbour could ${got.join(', ')}`);
      await app.close();
    } finally {
      await neighbour.stop();
      rmSync(yard, { recursive: true, force: true });
    }
  },
};

/** The directory of a dead process that holds one whole stream for this very store. */
async function makePlanted(connectionString: string, path: string): Promise<string> {
  const settings = resolveJournalOptions({ path, fsyncMs: 1 });
  if (settings === undefined) throw new Error('there is a journal');
  const store = postgres({ connectionString });
  const nothing = (): void => undefined;
  const told = { onError: nothing, onWrite: nothing, onCorrupt: nothing, onDegraded: nothing };
  const journal = openJournal({ settings, store: store.fingerprint, ...told, log: nothing });
  const opened = stream('planted', { conversationId: FOREIGN, contentType: 'text/plain' });
  const log = journal.open(opened, { pieces: ['planted'] });
  log.append('planted', 'tick');
  log.flush();
  journal.end(log, ending(opened));
  await journal.sync(log);
  await journal.close();
  await store.close();
  const [instance = ''] = readdirSync(path).filter((name) => /^[0-9a-f]{16}$/.test(name));
  return join(path, instance);
}

/** Copies it beside the journals of the app, owned by the neighbour. */
function plant(made: string, journal: string, digit: string): void {
  const target = join(journal, digit.repeat(16));
  cpSync(made, target, { recursive: true });
  giveAway(target);
}

function giveAway(path: string): void {
  if (lstatSync(path).isDirectory()) {
    for (const name of readdirSync(path)) giveAway(join(path, name));
  }
  chownSync(path, NOBODY, NOBODY);
}

/** The program of the neighbour. At its end it prints which actions on the journal succeeded. */
const PROGRAM = `
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const { join } = require('node:path');
const { randomBytes } = require('node:crypto');
const [yard, journal] = process.argv.slice(1);
const name = () => randomBytes(8).toString('hex');
const inYard = [
  () => fs.mkdirSync(join(yard, name()), { mode: 0o777 }),
  () => fs.writeFileSync(join(yard, name() + '.tmp'), 'x'),
  () => fs.symlinkSync(journal, join(yard, name())),
  () => fs.symlinkSync('/etc/passwd', join(yard, name() + '.segment')),
  () => spawn('mkfifo', [join(yard, name())], { stdio: 'ignore' }),
];
const onJournal = {
  'list it': () => fs.readdirSync(journal),
  'make a directory in it': () => fs.mkdirSync(join(journal, name())),
  'write a file into it': () => fs.writeFileSync(join(journal, name()), 'x'),
  'link out of it': () => fs.symlinkSync(yard, join(journal, name())),
  'put another in its place': () => fs.renameSync(journal, join(yard, name())),
  'remove it': () => fs.rmSync(journal, { recursive: true }),
  'open it to all': () => fs.chmodSync(journal, 0o777),
};
const got = new Set();
let tries = 0;
spawn('flock', [yard, 'sleep', '600'], { stdio: 'ignore' });
const timer = setInterval(() => {
  for (const act of inYard) try { act(); } catch {}
  for (const [what, act] of Object.entries(onJournal)) {
    tries += 1;
    try { act(); got.add(what); } catch {}
  }
}, 10);
process.stdin.once('end', () => {
  clearInterval(timer);
  process.stdout.write(JSON.stringify({ tries, got: [...got] }), () => process.exit(0));
}).resume();
`;

interface Haul {
  readonly tries: number;
  readonly got: readonly string[];
}

/** Starts the program as another user; `stop` ends it and its children, and may be called again. */
function startNeighbour(yard: string, journal: string): { stop(): Promise<Haul> } {
  const child = spawn(process.execPath, ['-e', PROGRAM, yard, journal], {
    uid: NOBODY,
    gid: NOBODY,
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()));
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  let haul: Promise<Haul> | undefined;
  const stop = async (): Promise<Haul> => {
    child.stdin.end();
    await gone;
    try {
      // The process group: its children hold locks.
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // The group has ended already.
    }
    // The program above prints this shape.
    return JSON.parse(printed) as Haul;
  };
  return { stop: () => (haul ??= stop()) };
}
