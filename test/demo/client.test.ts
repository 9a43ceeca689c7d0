import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { readOn, visit, type Visit } from '../../demo/client.ts';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** Serves `handler` and visits it. `socket` is the server's end of the connection. */
async function visited(
  handler: (res: ServerResponse) => void,
  how: Omit<Visit, 'url' | 'prompt' | 'patienceMs'> & { readonly patienceMs?: number } = {},
): Promise<{ text: string; socket: Socket }> {
  const server = createServer((_req, res) => handler(res)).listen(0, '127.0.0.1');
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  );
  const connection = once(server, 'connection');
  await once(server, 'listening');
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const url = new URL(`http://127.0.0.1:${port}/`);
  const { text } = await visit({ url, prompt: 'question', patienceMs: 20_000, ...how });
  const [socket] = (await connection) as [Socket];
  return { text, socket };
}

function frame(content: string, finish_reason: string | null = null): string {
  return `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason }] })}\n\n`;
}

const WHOLE = [
  frame('one '),
  frame('zwei '),
  frame('三 🙂'),
  frame('', 'stop'),
  'data: [DONE]\n\n',
];

describe('a visitor', () => {
  it('reads to the end, wherever the cuts are between frames and inside characters', async () => {
    const { text } = await visited((res) => {
      for (const byte of Buffer.from(WHOLE.join(''))) res.write(Buffer.from([byte]));
      res.end();
    });
    expect(text).toBe('one zwei 三 🙂');
  });

  it('leaves after a given number of tokens, even if all arrive in one chunk', async () => {
    const counts: number[] = [];
    const { text } = await visited((res) => void res.write(WHOLE.join('')), {
      leave: { at: 2, by: 'fin' },
      onToken: (count) => counts.push(count),
    });
    expect(text).toBe('one zwei ');
    expect(counts).toEqual([1, 2]);
  });

  it.each(['finish-reason', 'done'] as const)('leaves at the frame of %s', async (at) => {
    const last = at === 'done' ? WHOLE : WHOLE.slice(0, -1);
    // The server never ends: that the visit does shows that the visitor went.
    const { text } = await visited((res) => void res.write(last.join('')), {
      leave: { at, by: 'fin' },
    });
    expect(text).toBe('one zwei 三 🙂');
  });

  it.each([
    { by: 'rst', code: 'ECONNRESET' },
    { by: 'fin', code: undefined },
  ] as const)('leaves by $by, which the server sees', async ({ by, code }) => {
    let error: NodeJS.ErrnoException | undefined;
    let gone: Promise<unknown> | undefined;
    await visited(
      (res) => {
        res.socket?.on('error', (met) => (error = met));
        gone = once(res, 'close');
        res.write(WHOLE.join(''));
      },
      { leave: { at: 1, by } },
    );
    await gone;
    expect(error?.code).toBe(code);
  });

  it('has seen what arrived before the connection broke', async () => {
    const { text } = await visited((res) => {
      res.write(frame('seen'), () => res.socket?.destroy());
    });
    expect(text).toBe('seen');
  });

  it('does not count half a frame as seen', async () => {
    const half = frame('not whole').slice(0, -1);
    const { text } = await visited((res) => {
      res.write(frame('whole') + half, () => res.socket?.destroy());
    });
    expect(text).toBe('whole');
  });

  it('leaves when nothing arrives any more', async () => {
    const { text } = await visited((res) => void res.write(frame('then nothing')), {
      patienceMs: 50,
    });
    expect(text).toBe('then nothing');
  });

  it('has seen nothing after an error page', async () => {
    const { text } = await visited((res) => res.writeHead(500).end(frame('an error')));
    expect(text).toBe('');
  });

  it('has seen nothing if no server listens', async () => {
    const url = new URL('http://127.0.0.1:1/');
    expect(await visit({ url, prompt: 'question', patienceMs: 20_000 })).toMatchObject({
      text: '',
    });
  });
});

describe('a visitor that resumes', () => {
  /** Serves an answer whose connection breaks behind its first frame, and whose rest `rest` gives. */
  const readBroken = async (rest: (res: ServerResponse, offset: number) => void) => {
    const server = createServer((req, res) => {
      if (req.method === 'GET') return rest(res, Number(req.url?.split('offset=')[1]));
      res.setHeader('x-stream-id', 'one').write(WHOLE[0], () => res.socket?.destroy());
    }).listen(0, '127.0.0.1');
    closers.push(() => server.close());
    await once(server, 'listening');
    // A TCP server that listens has an AddressInfo.
    const { port } = server.address() as AddressInfo;
    const url = new URL(`http://127.0.0.1:${port}/guarded/one`);
    return readOn({ url, prompt: 'question', patienceMs: 20_000 });
  };

  it('has the whole answer if the server has the rest', async () => {
    const read = await readBroken((res, offset) => {
      res.setHeader('x-stream-offset', offset).setHeader('x-stream-id', 'one');
      res.end(Buffer.from(WHOLE.join('')).subarray(offset));
    });
    expect(read).toMatchObject({ text: 'one zwei 三 🙂', isWhole: true });
  });

  it('has what arrived before if the server does not have the rest', async () => {
    const read = await readBroken((res) => res.writeHead(404).end());
    expect(read).toMatchObject({ text: 'one ', isWhole: false });
  });
});
