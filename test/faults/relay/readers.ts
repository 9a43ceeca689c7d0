/** Readers of streams that somebody else asked for: from any offset, on any instance. */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app.ts';
import type { Bench } from '../bench.ts';
import type { Conversation } from '../conversation.ts';
import type { Fleet } from './fleet.ts';

/** One that does not end by then is one that never ends. */
const PATIENCE_MS = 60_000;

const AT_ONCE = 6;

/** Between two readings of one reader: most streams are read, and none of them hundreds of times. */
const PAUSE_MS = 100;

/** What one reader got. */
export interface Reading {
  readonly of: Conversation;
  readonly offset: number;
  /** `undefined`: nobody answered. */
  readonly status: number | undefined;
  readonly bytes: Buffer;
  /** It had a regular end. */
  readonly isWhole: boolean;
  /** It had no end at all. */
  readonly isStuck: boolean;
}

/** Reads from `offset` on to the end, or until so many bytes have come. Never rejects. */
export function readFrom(
  app: App,
  of: Conversation,
  offset: number,
  atMost = Infinity,
): Promise<Reading> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let length = 0;
    let status: number | undefined;
    let isWhole = false;
    let isStuck = false;
    const url = `${app.address ?? 'http://127.0.0.1:1'}/streams/${of.streamId}?offset=${offset}`;
    const ask = get(url, { agent: false }, (answer) => {
      status = answer.statusCode;
      answer.on('data', (bytes: Buffer) => {
        pieces.push(bytes);
        length += bytes.length;
        if (length >= atMost) ask.destroy();
      });
      answer.on('end', () => (isWhole = true));
      // Its end is what it is about.
      answer.on('error', () => {});
    });
    const timer = setTimeout(() => {
      isStuck = true;
      ask.destroy();
    }, PATIENCE_MS);
    ask.on('error', () => {});
    ask.on('close', () => {
      clearTimeout(timer);
      resolve({ of, offset, status, bytes: Buffer.concat(pieces), isWhole, isStuck });
    });
  });
}

/** Reads streams at random offsets on instances at random, until `over`; says what is wrong with what came. */
export async function readAtRandom(
  bench: Bench,
  fleet: Fleet,
  conversations: readonly Conversation[],
  over: Promise<unknown>,
): Promise<void> {
  let running = true;
  void over.finally(() => (running = false));
  const readings: Reading[] = [];
  const reader = async (): Promise<void> => {
    while (running) {
      const known = conversations.filter(
        ({ streamId, tape }) => streamId !== undefined && tape !== undefined && tape.length > 0,
      );
      const apps = fleet.apps.filter(({ address }) => address !== undefined);
      const of = known[bench.random.int(0, known.length - 1)];
      const app = apps[bench.random.int(0, apps.length - 1)];
      if (of === undefined || app === undefined) {
        await sleep(PAUSE_MS);
        continue;
      }
      const offset = bench.random.int(0, of.tape?.length ?? 0);
      readings.push(await readFrom(app, of, offset));
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all([over, ...Array.from({ length: AT_ONCE }, reader)]);
  checkReadings(bench, readings);
}

/** Whatever came has to be what the client of the stream got too, as far as both go; a regular end is there for both. */
export function checkReadings(bench: Bench, readings: readonly Reading[]): void {
  const answered = readings.filter(({ status }) => status === 200);
  let bytes = 0;
  for (const { of, offset, bytes: read, isWhole, isStuck } of answered) {
    const { tape } = of;
    const expected = tape?.bytes.subarray(offset) ?? Buffer.alloc(0);
    const common = Math.min(expected.length, read.length);
    bytes += common;
    const where = `a reader of ${of.id} from ${offset}`;
    const isSame = read.subarray(0, common).equals(expected.subarray(0, common));
    bench.check(isSame, `${where} got other bytes than its client`);
    bench.check(!isStuck, `${where} got no end`);
    const isShort = isWhole && tape?.isWhole === true && read.length !== expected.length;
    bench.check(!isShort, `${where} got ${read.length} bytes, and its client ${expected.length}`);
  }
  for (const { of, offset, status } of readings) {
    const isKnown = status === undefined || EXPECTED.has(status);
    bench.check(isKnown, `a reader of ${of.id} from ${offset} was answered with ${status}`);
  }
  bench.check(bytes > 0, 'nobody read on elsewhere');
  bench.tell(
    `${answered.length} readers from random offsets got ${bytes} bytes, each the client's`,
  );
}

/** Nothing more to come, not known here yet, the engine behind the offset, the engine away. */
const EXPECTED = new Set([200, 204, 404, 416, 503]);
