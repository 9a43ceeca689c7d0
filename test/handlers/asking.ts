/** What handlers ask, and how they get at the answer: the parts that many of them share. */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import OpenAI from 'openai';

/** The question. */
export const ask = { model: 'm', messages: [{ role: 'user' as const, content: 'hello' }] };

/** The client of the provider at `baseURL`. */
export function openai(baseURL: string): OpenAI {
  return new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
}

/** The answer as the openai client gives it, for the handlers that differ in how they write. */
export async function deltas(
  baseURL: string,
  signal?: AbortSignal,
): Promise<AsyncIterable<string>> {
  const stream = await openai(baseURL).chat.completions.create(
    { ...ask, stream: true },
    signal === undefined ? {} : { signal },
  );
  return (async function* () {
    for await (const chunk of stream) {
      const content = chunk.choices[0]?.delta.content ?? '';
      if (content !== '') yield content;
    }
  })();
}

/** The answer as `node:http` gives it. */
export async function upstreamOf(baseURL: string): Promise<IncomingMessage> {
  // An EventEmitter's promise of its event is a list of what was emitted.
  const [answer] = (await once(get(`${baseURL}/chat/completions`), 'response')) as [
    IncomingMessage,
  ];
  return answer;
}

/** The answer's body as `fetch` gives it, for streams of Node. */
export async function webBody(baseURL: string): Promise<Readable> {
  const { body } = await fetch(`${baseURL}/chat/completions`);
  if (body === null) throw new Error('no body');
  return Readable.fromWeb(body);
}
