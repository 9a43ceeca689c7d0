/**
 * An app without a journal, whose store is away: it ends twenty answers, lets its last socket go, and closes. Nothing but
 * the promise of `close()` could keep the process alive then. It prints what that promise resolved to.
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastchunk } from '../../src/index.ts';

const ANSWERS = 20;
const away = (): Promise<never> => Promise.reject(Object.assign(new Error('x'), { code: '57P01' }));
const ignore = (): void => undefined;
const keep = lastchunk({
  store: { save: away, close: () => Promise.resolve() },
  journal: false,
  logger: {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (_fields, message) => console.log(message),
  },
});
const guard = keep.guard({ confirmTimeoutMs: 100, message: () => ({ conversationId: 'one' }) });
const server = createServer((req, res) => {
  void guard(req, res, () => {
    res.setHeader('content-type', 'text/plain');
    res.write('half, ');
    res.end('whole');
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
// A TCP server that listens has an AddressInfo.
const { port } = server.address() as AddressInfo;

function ask(): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      answer.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

const texts = await Promise.all(Array.from({ length: ANSWERS }, ask));
server.close();
server.closeAllConnections();
console.log(JSON.stringify({ seen: texts.filter((text) => text === 'half, whole').length }));
void keep.close({ deadlineMs: 1_000 }).then((closed) => console.log(JSON.stringify(closed)));
