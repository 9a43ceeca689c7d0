/**
 * One visitor of the chat: asks, reads the answer frame by frame, and leaves when and how it was told to.
 * What it returns is what it really received, which is what the database is measured against.
 */
import { request, type ClientRequest } from 'node:http';
import { createParser } from 'eventsource-parser';

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
  /** Called for every token, with how many there were. */
  readonly onToken?: (count: number) => void;
}

/** Asks and reads. Resolves with the text received, however it ended; never rejects. */
export function visit({
  url,
  prompt,
  leave,
  patienceMs,
  onLeave,
  onToken,
}: Visit): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    let tokens = 0;
    let gone = false;
    const ask = request(url, {
      method: 'POST',
      agent: false,
      timeout: patienceMs,
      headers: { 'content-type': 'application/json' },
    });
    const reached = (at: LeaveAt): void => {
      if (leave?.at !== at) return;
      gone = true;
      hangUp(ask, leave.by);
      onLeave?.(text);
    };
    const parser = createParser({
      onEvent: ({ data }) => {
        if (gone) return;
        if (data === '[DONE]') return reached('done');
        const choice = readChoice(data);
        if (choice.content !== '') {
          text += choice.content;
          tokens += 1;
          onToken?.(tokens);
          reached(tokens);
        }
        if (choice.finished) reached('finish-reason');
      },
    });
    ask.on('response', (answer) => {
      if (answer.statusCode !== 200) return void answer.resume();
      answer.setEncoding('utf8').on('data', (piece: string) => parser.feed(piece));
      // A connection that breaks is what is measured here; what came before it counts.
      answer.on('error', () => {});
    });
    ask.on('timeout', () => ask.destroy());
    // The same: refused, reset and our own leaving all end in 'close'.
    ask.on('error', () => {});
    ask.on('close', () => resolve(text));
    ask.end(JSON.stringify({ prompt }));
  });
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
