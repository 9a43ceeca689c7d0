/** Ways of serving a chat from a model: the one table of what is compared end to end. */
import type { RequestHandler, Response } from 'express';
import type { Load } from '../built.ts';
import { DONE } from '../frames.ts';

/** What a chat is made from. */
export interface ChatParts {
  readonly load: Load;
  readonly journal: string;
  readonly connectionString: string;
  /** Ends in `/v1`. */
  readonly baseURL: string;
  /** The app's own way into its own table. */
  readonly save: (text: string) => Promise<void>;
}

type Handler = RequestHandler<{ model: string }>;

/** One way. */
export interface Chat {
  /** As the results call it. */
  readonly title: string;
  /** Where its messages end up; absent for one that saves none. */
  readonly table?: 'bench_answers' | 'lastchunk_messages';
  readonly handlers: (parts: ChatParts) => Promise<readonly Handler[]>;
}

const OWN = 'bench_answers';
const GUARDED = 'lastchunk_messages';

/** In the order in which they are shown. */
export const CHATS = {
  plain: {
    title: 'plain fetch handler',
    handlers: async ({ baseURL }) => [plain(baseURL)],
  },
  careful: {
    title: 'by hand',
    table: OWN,
    handlers: async ({ baseURL, save }) => [careful(baseURL, save)],
  },
  unjournaled: {
    title: 'guard(), no journal',
    table: GUARDED,
    handlers: (parts) => guarded(parts, false),
  },
  guarded: {
    title: 'guard()',
    table: GUARDED,
    handlers: (parts) => guarded(parts, parts.journal),
  },
  sdk: {
    title: 'AI SDK 6',
    table: OWN,
    handlers: async (parts) => [await aiSdk(parts, false)],
  },
  consumed: {
    title: 'AI SDK 6, consumeStream',
    table: OWN,
    handlers: async (parts) => [await aiSdk(parts, true)],
  },
  langchain: {
    title: 'LangChain, saves in finally',
    table: OWN,
    handlers: async (parts) => [await langchain(parts)],
  },
  betterSse: {
    title: 'better-sse, saves in finally',
    table: OWN,
    handlers: async (parts) => [await betterSse(parts)],
  },
} satisfies Readonly<Record<string, Chat>>;

export type ChatName = keyof typeof CHATS;

// The keys of the table.
export const CHAT_NAMES = Object.keys(CHATS) as ChatName[];

/** Passes on what comes, and keeps nothing. */
function plain(baseURL: string): Handler {
  return async (req, res) => {
    const body = await ask(baseURL, req.params.model);
    begin(res);
    for await (const piece of body) res.write(piece);
    res.end();
  };
}

/** The very handler of `plain`, and a guard in front of it. */
async function guarded(
  { load, connectionString, baseURL }: ChatParts,
  journal: string | false,
): Promise<readonly Handler[]> {
  const { lastchunk } = await load('index.js');
  const { postgres } = await load('postgres/index.js');
  const store = postgres({ connectionString, migrate: true });
  return [lastchunk({ store, journal }).guard(), plain(baseURL)];
}

/** What a careful team writes: everything read is saved, whatever happens, and before the client is told the end. */
function careful(baseURL: string, save: ChatParts['save']): Handler {
  return async (req, res) => {
    const body = await ask(baseURL, req.params.model);
    begin(res);
    let text = '';
    try {
      for await (const frame of framesOf(body)) {
        text += contentOf(frame);
        // The client may be gone; the answer is wanted all the same.
        if (!res.destroyed) res.write(`${frame}\n\n`);
      }
    } finally {
      await save(text);
    }
    res.end(DONE);
  };
}

async function aiSdk({ baseURL, save }: ChatParts, consumes: boolean): Promise<Handler> {
  const { createOpenAI } = await import('@ai-sdk/openai');
  const { streamText } = await import('ai');
  const openai = createOpenAI({ baseURL, apiKey: 'none' });
  return async (req, res) => {
    const result = streamText({ model: openai.chat(req.params.model), prompt: PROMPT });
    // As its documentation advises, so that a client that leaves does not end it.
    if (consumes) void result.consumeStream();
    await result.pipeUIMessageStreamToResponse(res, {
      onFinish: ({ responseMessage: { parts } }) =>
        save(parts.map((part) => (part.type === 'text' ? part.text : '')).join('')),
    });
  };
}

async function langchain({ baseURL, save }: ChatParts): Promise<Handler> {
  const { ChatOpenAI } = await import('@langchain/openai');
  return async (req, res) => {
    const { model } = req.params;
    const chat = new ChatOpenAI({ model, apiKey: 'none', configuration: { baseURL } });
    const stream = await chat.stream(PROMPT);
    begin(res);
    let text = '';
    try {
      for await (const { text: token } of stream) {
        text += token;
        res.write(`data: ${JSON.stringify({ text: token })}\n\n`);
      }
    } finally {
      await save(text);
    }
    res.end(DONE);
  };
}

async function betterSse({ baseURL, save }: ChatParts): Promise<Handler> {
  const { createSession } = await import('better-sse');
  return async (req, res) => {
    const body = await ask(baseURL, req.params.model);
    const session = await createSession(req, res);
    let text = '';
    try {
      for await (const frame of framesOf(body)) {
        const token = contentOf(frame);
        text += token;
        session.push({ text: token });
      }
    } finally {
      await save(text);
    }
    res.end(DONE);
  };
}

const PROMPT = 'hello';

async function ask(baseURL: string, model: string): Promise<AsyncIterable<Uint8Array>> {
  const { body } = await fetch(`${baseURL}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: PROMPT }] }),
  });
  if (body === null) throw new Error('the model has said nothing');
  return body;
}

function begin(res: Response): void {
  res.setHeader('content-type', 'text/event-stream');
}

/** The frames of a body without the last one, however they are cut. */
async function* framesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    rest += decoder.decode(piece, { stream: true });
    const frames = rest.split('\n\n');
    rest = frames.pop() ?? '';
    for (const frame of frames) if (!frame.endsWith('[DONE]')) yield frame;
  }
}

function contentOf(frame: string): string {
  // What a model of this API sends.
  const { choices } = JSON.parse(frame.slice('data: '.length)) as {
    choices: readonly { delta: { content?: string } }[];
  };
  return choices[0]?.delta.content ?? '';
}
