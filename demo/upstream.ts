/**
 * A language model that costs nothing: an OpenAI-compatible endpoint which streams the answer it was told
 * to give, token by token, and breaks where it was told to break. Real providers do all of this too.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** What to say to one prompt. */
export interface Script {
  readonly tokens: readonly string[];
  /** Between two tokens. */
  readonly gapMs: number;
  /** After so many tokens: `reset` cuts the connection, `stall` says nothing any more and keeps it open. */
  readonly breaks?: { readonly how: 'reset' | 'stall'; readonly afterTokens: number };
}

/** A running upstream. */
export interface Upstream {
  /** For `OPENAI_BASE_URL`. */
  readonly url: string;
  /** Tells it what to say to this prompt. A prompt that it was told nothing about is repeated. */
  plan(prompt: string, script: Script): void;
  /** Cuts every connection. */
  close(): void;
}

/** Starts an upstream on a free port of the loopback interface. */
export async function startUpstream(): Promise<Upstream> {
  const scripts = new Map<string, Script>();
  const server = createServer((req, res) => {
    // A client that went away fails the write or the wait; a model has nobody to tell.
    answer(req, res, scripts).catch(() => res.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  // A TCP server that listens has an AddressInfo; a string is for pipes, null for servers that do not.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    plan: (prompt, script) => void scripts.set(prompt, script),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  scripts: ReadonlyMap<string, Script>,
): Promise<void> {
  const prompt = await readPrompt(req);
  const script = scripts.get(prompt) ?? { tokens: prompt.split(/(?<= )/), gapMs: 30 };
  const gone = new AbortController();
  res.once('close', () => gone.abort());
  res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(chunk({ role: 'assistant', content: '' }));
  for (const [index, token] of script.tokens.entries()) {
    if (script.breaks?.afterTokens === index) return breakOff(res, script.breaks.how);
    res.write(chunk({ content: token }));
    await sleep(script.gapMs, undefined, { signal: gone.signal });
  }
  res.write(chunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
}

function breakOff(res: ServerResponse, how: 'reset' | 'stall'): void {
  if (how === 'reset') res.socket?.resetAndDestroy();
}

/** The last message of the request; '' for a body that is not a chat request. */
async function readPrompt(req: IncomingMessage): Promise<string> {
  // The only caller is the demo's own OpenAI client; what is not there reads as undefined.
  const body = (await json(req)) as { messages?: { content?: unknown }[] };
  const content = body.messages?.at(-1)?.content;
  return typeof content === 'string' ? content : '';
}

function chunk(delta: object, finishReason: string | null = null): string {
  const payload = {
    id: 'chatcmpl-demo',
    object: 'chat.completion.chunk',
    created: 0,
    model: 'demo',
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  };
  return `data: ${JSON.stringify(payload)}\n\n`;
}
