/** A process that dies with streams in its journal. Arguments: the compiled package, the journal, how many. */
import { load } from '../built.ts';
import { words } from '../messages.ts';

const [directory = '', path = '', count = '0'] = process.argv.slice(2);

const STREAM_BYTES = 4_096;
const CHUNKS = 16;

const { openJournal, resolveJournalOptions } = await load(directory, 'journal/index.js');
const settings = resolveJournalOptions(path);
if (settings === undefined) throw new Error('a path is a journal');
const journal = openJournal({
  settings,
  onError: fail,
  onWrite: ignore,
  onCorrupt: fail,
  onDegraded: fail,
  log: ignore,
});

for (let number = 0; number < Number(count); number++) {
  const id = `00000000-0000-7000-8000-${String(number).padStart(12, '0')}`;
  const pieces: string[] = [];
  const log = journal.open(opened(id), { pieces });
  const text = words(STREAM_BYTES);
  for (let at = 0; at < STREAM_BYTES; at += STREAM_BYTES / CHUNKS) {
    const piece = text.slice(at, at + STREAM_BYTES / CHUNKS);
    pieces.push(piece);
    log.append(piece, 'tick');
    log.flush();
  }
}
process.send?.('written');
// Until it is killed: a process that ends by itself leaves nothing unfinished.
setInterval(ignore, 1_000);

function opened(id: string) {
  return {
    id,
    messageId: id,
    conversationId: 'conversation',
    role: 'assistant',
    metadata: null,
    route: '/chat',
    format: 'auto',
    contentType: 'text/plain',
    contentEncoding: 'identity',
    events: false,
    startedAtMs: Date.now(),
    traceparent: null,
  };
}

function ignore(): void {
  // Nobody asks.
}

function fail(error: unknown): void {
  throw error instanceof Error ? error : new Error(String(error));
}
