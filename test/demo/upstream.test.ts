import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startUpstream, type Script, type Upstream } from '../../demo/upstream.ts';

let upstream: Upstream;
let client: OpenAI;
beforeAll(async () => {
  upstream = await startUpstream();
  client = new OpenAI({ baseURL: upstream.url, apiKey: 'not needed' });
});
afterAll(() => upstream.close());

const TOKENS = ['Ça ', '東京 ', '👨‍👩‍👧‍👦', ' end'];

function plan(prompt: string, breaks?: Script['breaks']): void {
  upstream.plan(prompt, { tokens: TOKENS, gapMs: 1, ...(breaks && { breaks }) });
}

/** Asks with the real client. What it got is in `heard`, also when the loop throws. */
async function ask(prompt: string, heard: string[], enough = Infinity): Promise<string[]> {
  const finishReasons: string[] = [];
  const stream = await client.chat.completions.create({
    model: 'any',
    messages: [{ role: 'user', content: prompt }],
    stream: true,
  });
  for await (const chunk of stream) {
    const choice = chunk.choices[0];
    if (choice?.delta.content) heard.push(choice.delta.content);
    if (choice?.finish_reason) finishReasons.push(choice.finish_reason);
    if (heard.length >= enough) break;
  }
  return finishReasons;
}

describe('the demo model', () => {
  it('streams the planned tokens, and the finish marker', async () => {
    plan('all of it');
    const heard: string[] = [];
    expect(await ask('all of it', heard)).toEqual(['stop']);
    expect(heard).toEqual(TOKENS);
  });

  it('repeats a prompt that is not planned', async () => {
    const heard: string[] = [];
    await ask('say this again', heard);
    expect(heard.join('')).toBe('say this again');
  });

  it('resets the connection after the planned number of tokens', async () => {
    plan('breaks', { how: 'reset', afterTokens: 2 });
    const heard: string[] = [];
    await expect(ask('breaks', heard)).rejects.toThrow('terminated');
    expect(TOKENS.slice(0, 2)).toEqual(expect.arrayContaining(heard));
  });

  it('stalls after the planned number of tokens and keeps the connection open', async () => {
    plan('all of it');
    plan('stalls', { how: 'stall', afterTokens: 1 });
    const stream = await client.chat.completions.create({
      model: 'any',
      messages: [{ role: 'user', content: 'stalls' }],
      stream: true,
    });
    const heard: unknown[] = [];
    let over = false;
    const listening = (async () => {
      for await (const chunk of stream) heard.push(chunk.choices[0]?.delta.content);
      over = true;
    })();
    // While somebody else gets whole answers, this one gets nothing more, and no end either.
    for (let other = 0; other < 5; other++) await ask('all of it', []);
    expect({ heard, over }).toEqual({ heard: ['', TOKENS[0]], over: false });
    stream.controller.abort();
    await listening;
  });

  it('streams all tokens to the next client after one left in the middle', async () => {
    plan('left');
    await ask('left', [], 1);
    const heard: string[] = [];
    await ask('left', heard);
    expect(heard).toEqual(TOKENS);
  });
});
