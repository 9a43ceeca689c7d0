/**
 * A process with a heap of 512 MiB and more answers than fit into it. Arguments: the database's URL, and the name of the scenario. Prints a
 * `MemoryReport`.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { until } from '../support/until.ts';

/** The report that the process prints at its end. */
export interface MemoryReport {
  readonly answers: number;
  /** Number of rows that are complete and contain every byte. */
  readonly whole: number;
  readonly rows: number;
  /** Counts of first results of saves, by result. */
  readonly results: Readonly<Record<string, number>>;
  readonly internalErrors: readonly string[];
  readonly captureBytes: number;
}

const MIB = 1024 * 1024;

/**
 * `large`: clients read to the end, and all answers end in one tick, so that all messages are due at once; `abandoned`: clients leave after
 * the beginning, which is written character by character, and the answers are finished without them.
 */
const SCENARIOS = {
  large: { answers: 20, letters: 0, pieces: 320, pieceBytes: 64 * 1024, leaves: false },
  abandoned: { answers: 2_000, letters: 2_000, pieces: 12, pieceBytes: 16 * 1024, leaves: true },
} as const;

const [connectionString = '', name = ''] = process.argv.slice(2);
if (name !== 'large' && name !== 'abandoned') throw new Error(`no scenario ${name}`);
const { answers, letters, pieces, pieceBytes, leaves } = SCENARIOS[name];

const path = await mkdtemp(join(tmpdir(), 'lastchunk-memory-'));
const results: Record<string, number> = {};
const internalErrors: string[] = [];
let ends = 0;
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal: path,
  logger: { debug() {}, info() {}, warn() {}, error() {} },
  observer: {
    onSave({ kind, result }) {
      if (kind === 'first') results[result] = (results[result] ?? 0) + 1;
    },
    onEnd: () => void (ends += 1),
    onInternalError: (where, error) => void internalErrors.push(`${where}: ${String(error)}`),
  },
});

const piece = (index: number): string => `${index} `.padEnd(pieceBytes, 'lorem ipsum ');
const goOn = createGate();
const allWritten = createGate();
let written = 0;
const guard = keep.guard(
  { maxBytes: 32 * MIB, finish: { maxConcurrent: answers }, missingAfterMs: 600_000 },
  async (_req: IncomingMessage, res: ServerResponse) => {
    res.setHeader('content-type', 'text/plain');
    for (let count = 0; count < letters; count += 1) res.write('x');
    res.write('begun ');
    if (leaves) await goOn.promise;
    for (let index = 0; index < pieces; index += 1) {
      if (!res.write(piece(index))) await once(res, 'drain');
      else await new Promise(setImmediate);
    }
    written += 1;
    if (written === answers) allWritten.open();
    if (!leaves) await allWritten.promise;
    res.end();
  },
);
const server = createServer((req, res) => void guard(req, res)).listen(0, '127.0.0.1');
await once(server, 'listening');
// A server that listens on TCP has an address object.
const { port } = server.address() as AddressInfo;
const agent = new Agent({ keepAlive: false, maxSockets: leaves ? 100 : answers });

async function visit(): Promise<void> {
  const request = get({ host: '127.0.0.1', port, agent });
  // `once` resolves to the arguments of the event.
  const [reply] = (await once(request, 'response')) as [IncomingMessage];
  reply.on('error', () => {
    // The client left on purpose.
  });
  if (!leaves) {
    reply.resume();
    await once(reply, 'end');
    return;
  }
  await once(reply, 'data');
  request.destroy();
}

await Promise.all(Array.from({ length: answers }, visit));
goOn.open();
await untilLong(() => ends === answers);
await keep.flush();
const reader = new pg.Pool({ connectionString, max: 1 });
const hash = createHash('md5').update(`${'x'.repeat(letters)}begun `);
for (let index = 0; index < pieces; index += 1) hash.update(piece(index));
const sql = `SELECT count(*)::int AS rows, count(*) FILTER (WHERE complete AND md5(content) = $1)::int AS whole
  FROM lastchunk_messages`;
interface Counted {
  readonly rows: number;
  readonly whole: number;
}
let counted: Counted = { rows: 0, whole: 0 };
// Messages in the journal are saved by the replay.
await untilLong(async () => {
  const found = await reader.query<Counted>(sql, [hash.copy().digest('hex')]);
  counted = found.rows[0] ?? counted;
  return counted.rows === answers;
}).catch(() => undefined);
const captureBytes = keep.health().capture?.bytes ?? -1;
const report: MemoryReport = { answers, ...counted, results, internalErrors, captureBytes };
await reader.end();
server.closeAllConnections();
server.close();
await keep.close({ deadlineMs: 10_000 });
await rm(path, { recursive: true, force: true });
process.stdout.write(JSON.stringify(report));

/** Waits longer than `until`, for busy machines. */
async function untilLong(check: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 6; tries += 1) {
    const done = await until('it is done', check).catch(() => false);
    if (done) return;
  }
  throw new Error('waited in vain');
}
