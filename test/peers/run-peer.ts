/** Runs one behaviour of a package on a real socket, bare or inside a middleware of ours, and writes down what is seen. */
import type { RequestListener } from 'node:http';
import { type HttpClient, openClient } from '../support/http-client.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import type { PeerCase, PeerRequest } from './peer-case.ts';

/** Stands between server and app. */
export type Around = (...args: [...Parameters<RequestListener>, next: () => void]) => unknown;

/** Headers that are ours, or another with every answer. */
const LEFT_OUT: ReadonlySet<string> = new Set(['date', 'x-stream-id', 'x-message-id']);

/** What clients are sent and the app is told, as it is when it is asked; the text of one run. */
export async function runPeer(
  { app, asks = [{}] }: PeerCase,
  around: Around,
): Promise<() => string> {
  const notes: string[] = [];
  const listener = await app((line) => void notes.push(line));
  const testServer = await serve((req, res) => void around(req, res, () => listener(req, res)));
  const clients: HttpClient[] = [];
  for (const asking of asks) {
    const client = await openClient(testServer, asking.path ?? '/', asking);
    clients.push(client);
    await answered(client, asking);
  }
  return () => [...clients.map(transcriptOf), ...notes].join('\n');
}

async function answered(client: HttpClient, { method, leavesAt }: PeerRequest): Promise<void> {
  if (leavesAt !== undefined) {
    await client.sees(leavesAt);
    client.rst();
  } else if (method === 'HEAD') await until('the head is there', () => client.reply);
  else await client.over();
}

function transcriptOf({ reply, gone }: HttpClient): string {
  if (reply === undefined) return 'nothing';
  const headers = Object.entries(reply.headers)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${name}: ${value}`);
  const state = `${reply.whole ? 'whole' : 'cut'}, ${gone ? 'closed' : 'open'}`;
  return [reply.status, ...headers, '', reply.body.toString('latin1'), state].join('\n');
}
