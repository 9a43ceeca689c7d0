/** Several instances of one app over one store and one relay, both in memory; each has its own server. */
import express, { type Express } from 'express';
import { onTestFinished } from 'vitest';
import { type GuardOptions, lastchunk, type LastchunkOptions } from '../../src/index.ts';
import { createLogbook } from './logbook.ts';
import { createMemoryRelay, type MemoryRelay } from './memory-relay.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { createRecordingObserver } from './recording-observer.ts';
import { chatChunk } from './frames.ts';
import { type HttpClient, openClient } from './http-client.ts';
import { serve } from './test-server.ts';
import { until } from './until.ts';

/** A handler; the test makes its writes. */
export interface Talk {
  readonly res: express.Response;
  readonly streamId: string;
}

/** What all replicas share. */
export interface Shared {
  readonly store: MemoryStore;
  readonly relay: MemoryRelay;
}

/** Creates an empty store and an empty relay. */
export function createShared(): Shared {
  return { store: createMemoryStore(), relay: createMemoryRelay() };
}

/** Options of a replica. */
export interface ReplicaOptions extends Omit<LastchunkOptions, 'store'> {
  readonly guard?: GuardOptions;
  /** Adds middleware before all routes. */
  readonly before?: (app: Express) => void;
  /** Adds further routes. */
  readonly routes?: (app: Express) => void;
}

/**
 * Starts one instance: `POST /chat/:id` begins a stream that the test continues, `/streams/:streamId` resumes (GET) or stops
 * (DELETE) one, and `GET /chat/:id/stream` resumes that of a conversation.
 */
export async function startReplica(
  { store, relay }: Shared,
  { guard = {}, before, routes, ...options }: ReplicaOptions = {},
) {
  const network = { isCut: false };
  const recorded = createRecordingObserver();
  const logbook = createLogbook();
  const keep = lastchunk({
    // Not closed with an instance, because other instances use it.
    store: { save: (messages) => store.save(messages), close: () => Promise.resolve() },
    journal: false,
    relay: { engine: relay.connect(() => network.isCut), flushMs: 10, leaseMs: 2_000 },
    observer: recorded.observer,
    logger: logbook.logger,
    ...options,
  });
  const talks: Talk[] = [];
  const app = express().set('env', 'test');
  before?.(app);
  const authorize = (req: express.Request): boolean => req.get('x-user') !== 'mallory';
  app.post(
    '/chat/:id',
    keep.guard({ message: (req) => ({ conversationId: req.params['id'] }), ...guard }),
    (_req, res) => {
      talks.push({ res, streamId: keep.stream(res)?.id ?? '' });
    },
  );
  app.get('/streams/:streamId', keep.resumeHandler({ authorize }));
  app.delete('/streams/:streamId', keep.stopHandler({ authorize }));
  app.get(
    '/chat/:id/stream',
    keep.resumeHandler({
      authorize,
      find: (req) => ({ conversationId: String(req.params['id']) }),
    }),
  );
  routes?.(app);
  const server = await serve(app);
  onTestFinished(async () => {
    store.fail(undefined);
    store.answer();
    network.isCut = false;
    relay.fail(undefined);
    relay.answer();
    await keep.close({ deadlineMs: 1_000 });
  });
  return { keep, server, talks, recorded, logbook, network };
}

/** What `startReplica` resolves to. */
export type Replica = Awaited<ReturnType<typeof startReplica>>;

/** Starts two replicas, and a stream that is live in the first. */
export async function beginChat(options: ReplicaOptions = {}): Promise<{
  readonly shared: Shared;
  readonly here: Replica;
  readonly there: Replica;
  readonly client: HttpClient;
  readonly talk: Talk;
}> {
  const shared = createShared();
  const [here, there] = [await startReplica(shared, options), await startReplica(shared)];
  const client = await openClient(here.server, '/chat/c', { method: 'POST' });
  const talk = await until('the handler runs', () => here.talks[0]);
  return { shared, here, there, client, talk };
}

/** The same, after the stream has sent a frame, which the engine has. */
export async function beginHello(options: ReplicaOptions = {}) {
  const chat = await beginChat(options);
  chat.talk.res.type('text/event-stream').write(HELLO);
  await chat.client.sees('hello');
  await relayed(chat.shared, chat.talk.streamId, HELLO);
  return chat;
}

/** The frame that `beginHello` sends. */
export const HELLO = chatChunk({ content: 'hello' });

/** Waits until the engine has the whole text of a stream. */
export const relayed = ({ relay }: Shared, streamId: string, text: string): Promise<unknown> =>
  until('the engine has it', () => relay.bodyOf(streamId) === text);

/** Requests the rest of a stream from a replica. */
export const resume = (
  { server }: Replica,
  streamId: string,
  query = '',
  headers: Record<string, string> = {},
): Promise<HttpClient> => openClient(server, `/streams/${streamId}${query}`, { headers });
