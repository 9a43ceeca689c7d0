/**
 * One visitor of the chat: asks, reads the answer frame by frame, and leaves when and how it was told to.
 * What it returns is what it really received, which is what the database is measured against.
 */
import { request, type ClientRequest } from 'node:http';
import { createParser } from 'eventsource-parser';
import { resumingFetch } from '../src/client.ts';

/** When a visitor leaves before the end: after so many tokens, or at one of the frames that say it is over. */
export type LeaveAt = number | 'finish-reason' | 'done';

/** How: an orderly FIN as a closed tab, or a RST as a lost network or a killed app. */
export type LeaveBy = 'fin' | 'rst';

/** What a visitor is to do. */
export interface Visit {
  readonly url: URL;
  readonly prompt: string;
  readonly leave?: { readonly at: LeaveAt; readonly by: LeaveBy };
  /** It goes when nothing came for so long. */
  readonly patienceMs: number;
  /** Called in the moment it leaves of its own will, with the text so far. */
  readonly onLeave?: (text: string) => void;
  /** Called for every token, with how many there were, and the length of all of them in characters. */
  readonly onToken?: (count: number, length: number) => void;
}

/** What a visitor has received. */
export interface Visited {
  readonly text: string;
  /** The frame that says it is over was among it. */
  readonly isWhole: boolean;
}

/** Asks and reads. Resolves with what was received, however it ended; never rejects. */
export function visit({
  url,
  prompt,
  leave,
  patienceMs,
  onLeave,
  onToken,
}: Visit): Promise<Visited> {
  return new Promise((resolve) => {
    const ask = request(url, {
      method: 'POST',
      agent: false,
      timeout: patienceMs,
      headers: { 'content-type': 'application/json' },
    });
    const answer = new Answer(onToken, (at) => {
      if (leave?.at !== at) return;
      answer.isLeft = true;
      hangUp(ask, leave.by);
      onLeave?.(answer.text);
    });
    ask.on('response', (response) => {
      if (response.statusCode !== 200) return void response.resume();
      response.setEncoding('utf8').on('data', (piece: string) => answer.feed(piece));
      // A connection that breaks is what is measured here; what came before it counts.
      response.on('error', () => {});
    });
    ask.on('timeout', () => ask.destroy());
    // The same: refused, reset and our own leaving all end in 'close'.
    ask.on('error', () => {});
    ask.on('close', () => resolve(answer));
    ask.end(JSON.stringify({ prompt }));
  });
}

/** The same with `lastchunk/client`: when its connection breaks, it asks for the rest. */
export async function readOn({ url, prompt, patienceMs, onToken }: Visit): Promise<Visited> {
  const answer = new Answer(onToken);
  const fetch = resumingFetch({
    url: (id, offset) => new URL(`/streams/${id}?offset=${offset}`, url),
    giveUpAfterMs: patienceMs,
  });
  try {
    const { ok, body } = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt }),
    });
    if (!ok || body === null) return answer;
    for await (const piece of body.pipeThrough(new TextDecoderStream())) answer.feed(piece);
  } catch {
    // It broke, and nobody had the rest; what came before counts.
  }
  return answer;
}

/** An answer as it comes in. */
class Answer implements Visited {
  text = '';
  isWhole = false;
  /** Nothing more of it is read. */
  isLeft = false;
  #tokens = 0;
  readonly #parser = createParser({ onEvent: ({ data }) => this.#take(data) });
  readonly #onToken: Visit['onToken'];
  readonly #onReached: (at: LeaveAt) => void;

  constructor(onToken: Visit['onToken'], onReached: (at: LeaveAt) => void = () => {}) {
    this.#onToken = onToken;
    this.#onReached = onReached;
  }

  feed(piece: string): void {
    this.#parser.feed(piece);
  }

  #take(data: string): void {
    if (this.isLeft) return;
    if (data === '[DONE]') {
      this.isWhole = true;
      return this.#onReached('done');
    }
    const choice = readChoice(data);
    if (choice.content !== '') {
      this.text += choice.content;
      this.#tokens += 1;
      this.#onToken?.(this.#tokens, this.text.length);
      this.#onReached(this.#tokens);
    }
    if (choice.finished) this.#onReached('finish-reason');
  }
}

function hangUp(ask: ClientRequest, by: LeaveBy): void {
  if (by === 'rst') ask.socket?.resetAndDestroy();
  ask.destroy();
}

function readChoice(data: string): { content: string; finished: boolean } {
  // An OpenAI chunk, from our own app; what is not there reads as undefined.
  const chunk = JSON.parse(data) as {
    choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[];
  };
  const choice = chunk.choices?.[0];
  return {
    content: choice?.delta?.content ?? '',
    finished: typeof choice?.finish_reason === 'string',
  };
}
