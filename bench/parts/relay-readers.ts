/** What readers get of a relay: how soon a token is with them, here and in another instance, and what is left of a killed one. */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { figure, quantile } from '../figures.ts';
import { agesUs, stampsIn } from '../frames.ts';
import type { Bench } from '../part.ts';
import { startServer } from '../servers.ts';

/** Streams that others follow. */
const FOLLOWED = { streams: 20, tokens: 100, gapMs: 50 };

/** A reader that begins catches up first; ages are taken from so much later on. */
const CATCH_UP_MS = 1_000;

/** Instances are killed while each has so many streams, at a random moment between two flushes. */
const KILLED = { streams: 20, tokens: 1_000, gapMs: 20, afterMs: 2_000, flushMs: 250, kills: 4 };
const QUICK = { kills: 1 };

/** A reader that got nothing for so long will get no more: longer than a lease and the wait for a claim. */
const SILENT_MS = 12_000;

/** How one way of sharing is started, and its name in the results. */
interface SharingWay {
  readonly title: string;
  readonly args: readonly string[];
}

/** Two servers: streams are read in one, and followed in the other. */
export async function measureFollowing(
  { built, found }: Bench,
  { title, args }: SharingWay,
): Promise<void> {
  const [owner, other] = await Promise.all([
    startServer(built, 'relay', { args }),
    startServer(built, 'relay', { args }),
  ]);
  const [own, followed]: [number[], number[]] = [[], []];
  const { streams, tokens, gapMs } = FOLLOWED;
  await Promise.all(
    Array.from({ length: streams }, async () => {
      const beginMs = performance.now();
      let isFollowed = false;
      let following: Promise<void> | undefined;
      await read(owner.port, `/stream/${nextId()}/${tokens}/${gapMs}`, (data, id) => {
        own.push(...agesUs(data).map((us) => us / 1_000));
        if (isFollowed || performance.now() - beginMs < CATCH_UP_MS) return;
        isFollowed = true;
        const sinceMs = performance.now() + CATCH_UP_MS;
        following = read(other.port, `/streams/${id}`, (piece) => {
          const bornMs = performance.now() - sinceMs;
          followed.push(...agesUs(piece).flatMap((us) => (us / 1_000 < bornMs ? us / 1_000 : [])));
        });
      });
      await following;
    }),
  );
  await Promise.all([owner.stop(), other.stop()]);
  if (followed.length === 0) throw new Error(`nothing was followed: ${title}`);
  found(figure(`until a client has a token, own p50: ${title}`, 'ms', [quantile(own, 0.5)]));
  found(figure(`until a client has a token, own p99: ${title}`, 'ms', [quantile(own, 0.99)]));
  found(
    figure(`until a client has a token, elsewhere p50: ${title}`, 'ms', [quantile(followed, 0.5)]),
  );
  found(
    figure(`until a client has a token, elsewhere p99: ${title}`, 'ms', [quantile(followed, 0.99)]),
  );
}

/**
 * The owner is killed while clients read its streams. What they got is compared with what a reader gets in another instance: tokens
 * that only the client has are lost to everybody else.
 */
export async function measureLoss(
  { built, quick, found }: Bench,
  { title, args }: SharingWay,
): Promise<void> {
  const tokens: number[] = [];
  const ms: number[] = [];
  for (let kill = 0; kill < (quick ? QUICK : KILLED).kills; kill++) {
    const owner = await startServer(built, 'relay', { args });
    const other = await startServer(built, 'relay', { args });
    const ids = Array.from({ length: KILLED.streams }, nextId);
    const seen = ids.map(async (asked) => {
      const got = { id: '', stamps: [] as bigint[] };
      await read(owner.port, `/stream/${asked}/${KILLED.tokens}/${KILLED.gapMs}`, (data, id) => {
        got.id = id;
        got.stamps.push(...stampsIn(data));
      }).catch(() => {
        // It was killed: that is what this is about.
      });
      return got;
    });
    await sleep(KILLED.afterMs + Math.random() * KILLED.flushMs);
    await owner.kill();
    await Promise.all(
      (await Promise.all(seen)).map(async ({ id, stamps }) => {
        const [first, last] = [stamps[0], stamps.at(-1)];
        if (first === undefined || last === undefined) throw new Error(`nothing came: ${title}`);
        const kept = await keptBy(other.port, id);
        tokens.push(stamps.filter((stamp) => kept === undefined || stamp > kept).length);
        ms.push(Math.max(0, Number(last - (kept ?? first)) / 1e6));
      }),
    );
    await other.stop();
  }
  found(figure(`lost at SIGKILL, tokens of a stream, p50: ${title}`, '', [quantile(tokens, 0.5)]));
  found(figure(`lost at SIGKILL, tokens of a stream, worst: ${title}`, '', [Math.max(...tokens)]));
  found(figure(`lost at SIGKILL, the last, worst: ${title}`, 'ms', [Math.max(...ms)]));
}

/** The newest token that a reader gets of a stream whose owner is gone; `undefined` for none. */
async function keptBy(port: number, id: string): Promise<bigint | undefined> {
  const stamps: bigint[] = [];
  await read(port, `/streams/${id}`, (data) => stamps.push(...stampsIn(data)), SILENT_MS).catch(
    () => {
      // An irregular end, an answer that is no 200, or silence: what came until then is what there is.
    },
  );
  return stamps.at(-1);
}

/** Reads an answer to its end; `onData` is told the id of its stream. Rejects when nothing comes for `silentMs`. */
export function read(
  port: number,
  path: string,
  onData: (data: Buffer, id: string) => void,
  silentMs = 0,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get({ port, path, host: '127.0.0.1', agent: false }, (answer) => {
      if (answer.statusCode !== 200)
        reject(new Error(`${path} was answered with ${answer.statusCode}`));
      const id = String(answer.headers['x-stream-id'] ?? answer.headers['x-bench-stream']);
      answer
        .on('data', (data: Buffer) => onData(data, id))
        .on('end', resolve)
        .on('error', reject);
    }).on('error', reject);
    request.setTimeout(silentMs, () => request.destroy(new Error('nothing more came')));
  });
}

let ids = 0;
/** An id that no other stream of this run has. */
export function nextId(): string {
  ids += 1;
  return `${process.pid}-${ids}`;
}
