/** A client of `app-main.ts`. */
import { readDeltas } from '../support/frames.ts';

/** What the app says when it comes to an end. */
export const WHOLE = Array.from({ length: 20 }, (_, token) => `${token} `).join('');

/** Reads until `isEnough`, then leaves, or does what `then` says; returns the text of what was read. */
export async function readUntil(
  url: string,
  isEnough: (text: string) => boolean,
  then?: () => Promise<void>,
): Promise<string> {
  const leave = new AbortController();
  const { body } = await fetch(url, { method: 'POST', signal: leave.signal });
  let raw = '';
  const decoder = new TextDecoder();
  try {
    for await (const part of body ?? []) {
      raw += decoder.decode(part, { stream: true });
      if (isEnough(readDeltas(raw))) break;
    }
  } finally {
    await then?.();
    leave.abort();
  }
  return readDeltas(raw);
}
