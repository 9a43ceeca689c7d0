/**
 * A process that streams answers until it is killed. Arguments: the database's URL and the journal's path. On stdout it
 * says, one JSON value a line, what a client of it has seen, always after the journal has it.
 */
import { openJournal, resolveJournalOptions } from '../../src/journal/index.ts';
import { MessageKeeper } from '../../src/saver/index.ts';
import { combine } from '../../src/core/observer.ts';
import { postgres } from '../../src/postgres/index.ts';
import { messageOf, openedStream, readText } from './fakes.ts';

const [connectionString = '', path = ''] = process.argv.slice(2);
const settings = resolveJournalOptions(path);
if (settings === undefined) throw new Error('there is a journal');
const nothing = (): void => undefined;
const keeper = new MessageKeeper({
  store: postgres({ connectionString }),
  journal: openJournal({
    settings,
    onError: nothing,
    onWrite: nothing,
    onCorrupt: nothing,
    onDegraded: nothing,
    log: nothing,
  }),
  read: readText,
  observer: combine([], nothing),
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
});
keeper.start();

const streams = Array.from({ length: 12 }, (_, index) => {
  const opened = openedStream({ id: `crashed-${index}`, messageId: `answer-${index}` });
  const pieces: string[] = [];
  return { opened, pieces, log: keeper.open(opened, { pieces }) };
});
for (let round = 0; ; round += 1) {
  for (const [index, { opened, pieces, log }] of streams.entries()) {
    const hasEnded = index % 3 === 0 && round >= 30;
    if (!hasEnded) {
      pieces.push(`${index}.${round} `);
      log?.append(`${index}.${round} `, 'tick');
      log?.flush();
    }
    const seen = { id: opened.messageId, text: pieces.join(''), hasEnded };
    if (hasEnded && round === 30) {
      keeper.save({
        message: messageOf(opened, { text: seen.text }),
        stream: { ...opened, method: 'POST', guarded: true, chunks: 30, bytes: 0 },
        log,
        holds: () => false,
        confirmTimeoutMs: 2_000,
        missingAfterMs: 60_000,
      });
    }
    process.stdout.write(`${JSON.stringify(seen)}\n`);
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
