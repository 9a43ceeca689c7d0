/** What a model says, as OpenAI sends it. */

/** One token. */
export const CHUNK = frame(' word');

/** The last frame that says something, and what comes after it. */
export const FINISH =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n';
export const DONE = 'data: [DONE]\n\n';

/** A frame that adds `content`, which needs no escaping. */
export function frame(content: string): string {
  return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"${content}"}}]}\n\n`;
}

/** A comment that says when it was sent: nanoseconds of the clock that all processes of a machine share. */
export function stamp(): string {
  return `: at ${process.hrtime.bigint()}\n\n`;
}

/** Microseconds from each stamp in `data` until now. */
export function agesUs(data: Buffer): number[] {
  const now = process.hrtime.bigint();
  return stampsIn(data).map((at) => Number(now - at) / 1_000);
}

/** The stamps in `data`, in nanoseconds. */
export function stampsIn(data: Buffer): bigint[] {
  return Array.from(data.toString('latin1').matchAll(/: at (\d+)\n/g), ([, at = '0']) =>
    BigInt(at),
  );
}
