/** Observes the writes of a connection's handle, the last step before the kernel. */
import type { Socket } from 'node:net';

const WRITERS = [
  'writev',
  'writeUtf8String',
  'writeLatin1String',
  'writeAsciiString',
  'writeBuffer',
];

/** Calls `before` with the text of each write, before the socket's handle carries it out. */
export function watchHandle(socket: Socket, before: (text: string) => void): void {
  // Internal to Node; over TLS the handle receives the unencrypted text.
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
