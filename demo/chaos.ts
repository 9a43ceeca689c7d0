/** Runs the plan: sends the clients, breaks the world around them, and notes what each client saw. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { readOn, visit } from './client.ts';
import type { Fault, Streams, World } from './faults.ts';
import type { Conversation } from './plan.ts';
import { settle } from './judge.ts';
import { createRandom, type Random } from './random.ts';

/** Clients at the same time, where the fault does not say itself. */
const CLIENTS = 24;

/** Kills and outages come in this many waves, so that they meet streams at different places. */
const WAVES = 2;

/** Told as the run goes on. */
export interface Progress {
  /** A stage begins. */
  stage(title: string): void;
  /** One more client is done. */
  done(): void;
}

/** Runs every conversation to its end on the client's side. What is stored is judged by `settle`. */
export async function runChaos(
  world: World,
  plan: readonly Conversation[],
  options: { readonly seed: number; readonly progress: Progress },
): Promise<void> {
  const random = createRandom(options.seed);
  const { progress } = options;
  for (const conversation of plan) world.upstream?.plan(conversation.prompt, conversation.script);

  progress.stage('clients leave, models break');
  const together = random.shuffle(plan.filter(({ fault }) => fault.around === undefined));
  await converseAll(world, together, CLIENTS, progress);
  await settle(world.database, together, { quietMs: 500 });

  for (const fault of new Set(plan.map((conversation) => conversation.fault))) {
    if (fault.around === undefined) continue;
    progress.stage(fault.title);
    const affected = plan.filter((conversation) => conversation.fault === fault);
    await breakAround(world, fault, affected, { random, progress });
    await settle(world.database, affected, { quietMs: 500 });
  }
}

async function breakAround(
  world: World,
  fault: Fault,
  conversations: readonly Conversation[],
  { random, progress }: { readonly random: Random; readonly progress: Progress },
): Promise<void> {
  const size = Math.ceil(conversations.length / 2 / WAVES) * 2;
  for (let at = 0; at < conversations.length; at += size) {
    const wave = conversations.slice(at, at + size);
    await fault.around?.(world, streamsOf(world, wave, progress), random);
  }
}

function streamsOf(
  world: World,
  conversations: readonly Conversation[],
  progress: Progress,
): Streams {
  let over = false;
  return {
    run: () =>
      converseAll(world, conversations, conversations.length, progress).finally(
        () => (over = true),
      ),
    underWay: async (tokens) => {
      const atLeast = (count: number): number =>
        conversations.filter((one) => one.tokens >= count).length;
      const half = conversations.length / 2;
      while (!over && (atLeast(1) < conversations.length || atLeast(tokens) < half)) await sleep(2);
    },
    mayLose: (lastMs) => {
      const untilMs = performance.now() - lastMs;
      for (const one of conversations) {
        one.owed = one.heard.findLast(({ atMs }) => atMs <= untilMs)?.length ?? 0;
      }
    },
  };
}

/** A number of clients, each taking the next conversation when it is done with one. */
async function converseAll(
  world: World,
  conversations: readonly Conversation[],
  clients: number,
  progress: Progress,
): Promise<void> {
  const queue = conversations.values();
  const client = async (): Promise<void> => {
    for (const conversation of queue) {
      await converse(conversation, world);
      progress.done();
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
}

async function converse(conversation: Conversation, world: World): Promise<void> {
  const { fault, route, id, prompt, course } = conversation;
  const base = fault.onReplicas ? world.replicas.url : world.app.url;
  const url = new URL(`/${route}/${id}`, base);
  const { leave, patienceMs = 15_000, readAtOnce, readsOn } = course;
  let reading: Promise<boolean> | undefined;
  const onToken = (count: number, length: number): void => {
    conversation.tokens = count;
    conversation.heard.push({ atMs: performance.now(), length });
  };
  const visited = readsOn
    ? await readOn({ url, prompt, patienceMs, onToken })
    : await visit({
        url,
        prompt,
        patienceMs,
        ...(leave && { leave }),
        onLeave: (seen) => {
          if (readAtOnce) reading = inHistory(url, seen);
        },
        onToken,
      });
  conversation.seen = visited.text;
  if (visited.isWhole) conversation.owed = undefined;
  conversation.kept = readsOn && !visited.isWhole ? false : await reading;
}

/** Whether the history that the app gives now holds the text. The question is on its way when this returns. */
async function inHistory(url: URL, seen: string): Promise<boolean> {
  try {
    const [answer] = (await once(get(url), 'response')) as [IncomingMessage]; // what 'response' carries
    // The app's own history: a list of answers.
    const history = (await json(answer)) as { text: string }[];
    return history.some(({ text }) => text.startsWith(seen));
  } catch {
    // A history that cannot be read, or is an error page, holds nothing.
    return false;
  }
}
