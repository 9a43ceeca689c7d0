/**
 * A model provider on a local socket with the streaming API of OpenAI, of Anthropic, or of Gemini; on request it fails as real providers
 * do.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { chatChunk, sse } from './frames.ts';
import { until } from './until.ts';

/** One request to the provider, which the test answers. */
export interface Call {
  /** Sends one delta for each text. */
  say(...texts: readonly string[]): void;
  /** Sends bytes as they are. */
  send(bytes: string): void;
  /** Sends the finish reason and `[DONE]`, and ends. */
  finish(reason?: string): void;
  /** Ends the body regularly, without a finish reason. */
  end(): void;
  /** Drops the connection. */
  cut(): void;
  /** True once the client has closed the connection before the end. */
  readonly aborted: boolean;
}

/** The provider. */
export interface Upstream {
  /** For the provider's own client and for plain fetches of `${baseURL}/chat/completions`; ends in `/v1`. */
  readonly baseURL: string;
  /** The `nth` request, from 1; waits for it. */
  call(nth?: number): Promise<Call>;
}

/** The frames of a provider's API. */
interface Voice {
  /** The frames before the first delta. */
  readonly start: string;
  readonly delta: (text: string) => string;
  readonly finish: (reason: string | undefined) => string;
}

const OPENAI: Voice = {
  start: '',
  delta: (content) => chatChunk({ content }),
  finish: (reason = 'stop') => `${chatChunk({}, reason)}data: [DONE]\n\n`,
};

const usage = { input_tokens: 1, output_tokens: 1 };
const event = (type: string, rest: object): string => sse({ type, ...rest }, type);

/** Complete messages, because Anthropic's client throws for a delta without its start. */
const ANTHROPIC: Voice = {
  start:
    event('message_start', {
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        usage,
      },
    }) + event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
  delta: (text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } }),
  finish: (reason = 'end_turn') =>
    event('content_block_stop', { index: 0 }) +
    event('message_delta', { delta: { stop_reason: reason, stop_sequence: null }, usage }) +
    event('message_stop', {}),
};

const candidate = (text: string, rest: object = {}): string =>
  sse({ candidates: [{ index: 0, content: { role: 'model', parts: [{ text }] }, ...rest }] });

const GEMINI: Voice = {
  start: '',
  delta: (text) => candidate(text),
  finish: (finishReason = 'STOP') => candidate('', { finishReason }),
};

const VOICES = { openai: OPENAI, anthropic: ANTHROPIC, gemini: GEMINI } as const;

/** The vendor whose streaming API a provider has. */
export type Api = keyof typeof VOICES;

/** Starts a provider; it is closed at the end of the test. */
export async function createUpstream(api: Api = 'openai'): Promise<Upstream> {
  const voice = VOICES[api];
  const calls: Call[] = [];
  const server = createServer((req, res) => {
    req.resume();
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.flushHeaders();
    if (voice.start !== '') res.write(voice.start);
    calls.push(createCall(res, voice));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://localhost:${port}/v1`,
    call: (nth = 1) => until(`the upstream is asked ${nth} times`, () => calls[nth - 1]),
  };
}

function createCall(res: ServerResponse, voice: Voice): Call {
  let aborted = false;
  res.on('close', () => {
    aborted = !res.writableEnded;
  });
  return {
    say: (...texts) => {
      for (const text of texts) res.write(voice.delta(text));
    },
    send: (bytes) => res.write(bytes),
    finish: (reason) => res.end(voice.finish(reason)),
    end: () => res.end(),
    cut: () => res.socket?.destroy(),
    get aborted() {
      return aborted;
    },
  };
}
