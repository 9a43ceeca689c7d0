/** The last thing before the kernel: a log of what a connection's handle is given to send. */
import type { Socket } from 'node:net';

const WRITERS = [
  'writev',
  'writeUtf8String',
  'writeLatin1String',
  'writeAsciiString',
  'writeBuffer',
];

/** Calls `before` with the text of each write that the socket's handle is asked to do, before it does it. */
export function watchHandle(socket: Socket, before: (text: string) => void): void {
  // Node's own; over TLS it is given the clear text.
  const handle: unknown = Reflect.get(socket, '_handle');
  if (typeof handle !== 'object' || handle === null) throw new Error('the socket has no handle');
  for (const name of WRITERS) {
    const original: unknown = Reflect.get(handle, name);
    if (typeof original !== 'function') continue;
    Reflect.set(handle, name, function (this: unknown, ...args: unknown[]): unknown {
      before(textOf(args));
      return Reflect.apply(original, this, args);
    });
  }
}

function textOf(args: readonly unknown[]): string {
  return args
    .flat()
    .map((arg) =>
      typeof arg === 'string' ? arg : arg instanceof Uint8Array ? Buffer.from(arg).toString() : '',
    )
    .join('');
}
