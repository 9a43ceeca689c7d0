/**
 * A process that writes into a journal until it is killed. Arguments: the journal's path, and what to do. It says on
 * stdout what it has handed to the "client", one JSON value a line, always after the journal has it.
 */
import { openJournal, resolveJournalOptions } from '../../src/journal/index.ts';
import { ending, stream } from './support-data.ts';

const [path = '', mode = 'write', name = 'a'] = process.argv.slice(2);
const settings = resolveJournalOptions({ path, fsyncMs: 20 });
if (settings === undefined) throw new Error('there is a journal');
const say = (value: unknown): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};
const journal = openJournal({
  settings,
  onError: (error) => say({ error: String(error) }),
  onWrite: () => {},
  onCorrupt: () => {},
  onDegraded: () => {},
  log: () => {},
});

/** Streams that go on and on; one of three has ended. */
async function write(): Promise<void> {
  const streams = Array.from({ length: 9 }, (_, n) => {
    const opened = stream(`${name}-${n}`);
    const said: string[] = [];
    return { opened, said, log: journal.open(opened, { pieces: said }) };
  });
  for (let round = 0; ; round++) {
    for (const { log, said } of streams) {
      const piece = `${name}${round} `;
      said.push(piece);
      log.append(piece, 'tick');
    }
    if (round === 20) {
      for (const { log, opened } of streams.slice(0, 3)) journal.end(log, ending(opened));
      streams.splice(0, 3);
    }
    // A turn of the event loop: what was appended is in the journal, and a client would have it now.
    await new Promise((resolve) => setImmediate(resolve));
    say({ round });
  }
}

/** Reads what dead processes left, and dies in the middle. */
async function recover(): Promise<void> {
  let seen = 0;
  for await (const entry of journal.recover(new AbortController().signal)) {
    await entry.body();
    if (++seen <= 2) await entry.settle();
    say({ recovered: entry.opened.id, settled: seen <= 2 });
  }
  say({ done: true });
  setInterval(() => {}, 1000);
}

/** Hangs in the midst of making a message out of what it read. */
async function poison(): Promise<void> {
  for await (const entry of journal.recover(new AbortController().signal)) {
    if (!entry.opened.id.includes('poison')) continue;
    await entry.body();
    say({ reads: entry.opened.id });
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000);
  }
}

/** Reads one, and makes a message of it over many turns. */
async function slowPoison(): Promise<void> {
  for await (const entry of journal.recover(new AbortController().signal)) {
    await entry.body();
    for (let turn = 0; ; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (turn === 5) say({ makes: entry.opened.id });
    }
  }
}

say({ ready: process.pid });
const modes: Readonly<Record<string, () => Promise<void>>> = {
  recover,
  poison,
  'slow-poison': slowPoison,
};
await (modes[mode] ?? write)();
