/**
 * A stand-in for poolers, in front of a real server: it has two sessions for each client, makes up a key of its own or
 * passes on that of the first session, and uses the other one from the next message on when it is told to.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A pooler on 127.0.0.1. */
export interface StandIn {
  readonly port: number;
  /** Letters of the messages that clients sent after their greeting, one text for each round trip. */
  readonly trips: readonly string[];
  /** Every client that is there has its other session from now on. */
  change(): void;
  close(): Promise<void>;
}

/** Starts it in front of `port`. With `key: 'own'` no client learns which process it talks to. */
export async function startStandIn(
  port: number,
  { key }: { readonly key: 'own' | 'passed on' },
): Promise<StandIn> {
  const trips: string[] = [];
  const sockets = new Set<Socket>();
  const clients: Client[] = [];
  const server = createServer((client) => {
    const sessions = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')] as const;
    const lent: Client = { session: 0 };
    clients.push(lent);
    for (const socket of [client, ...sessions]) {
      sockets.add(socket);
      // The end of one is the end of all.
      socket.on('error', () => undefined);
      socket.on('close', () => [client, ...sessions].forEach((one) => one.destroy()));
    }
    const note = createReader((trip) => trips.push(trip));
    client.once('data', (startup: Buffer) => {
      for (const session of sessions) session.write(startup);
      client.on('data', (data: Buffer) => {
        note(data);
        sessions[lent.session].write(data);
      });
    });
    const answer = (data: Buffer): void => void client.write(data);
    afterGreeting(sessions[0], answer, (greeting) => {
      answer(key === 'own' ? withOwnKey(greeting) : greeting);
    });
    // Heard by nobody: the client was greeted by the first.
    afterGreeting(sessions[1], answer, () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an AddressInfo.
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    trips,
    change() {
      for (const client of clients) client.session = 1;
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}

interface Client {
  /** Which of its two it has. */
  session: 0 | 1;
}

/** Calls back with what a server says up to its first ReadyForQuery, without a password to ask for, then with the rest. */
function afterGreeting(
  session: Socket,
  onRest: (data: Buffer) => void,
  onGreeting: (greeting: Buffer) => void,
): void {
  let greeting = Buffer.alloc(0);
  const onData = (data: Buffer): void => {
    greeting = Buffer.concat([greeting, data]);
    const at = greeting.indexOf(READY);
    if (at === -1) return;
    const end = at + READY.length;
    session.off('data', onData).on('data', onRest);
    onGreeting(greeting.subarray(0, end));
    if (end < greeting.length) onRest(greeting.subarray(end));
  };
  session.on('data', onData);
}

/** BackendKeyData with another process. */
function withOwnKey(greeting: Buffer): Buffer {
  const at = greeting.indexOf(KEY);
  if (at === -1) throw new Error('the server named no process');
  const changed = Buffer.from(greeting);
  changed.writeInt32BE(-changed.readInt32BE(at + KEY.length), at + KEY.length);
  return changed;
}

/** Calls back with the letters of each message train: what ends with a Sync, or a simple query. */
function createReader(onTrip: (letters: string) => void): (data: Buffer) => void {
  let unread = Buffer.alloc(0);
  let letters = '';
  return (data) => {
    unread = Buffer.concat([unread, data]);
    while (unread.length >= 5 && unread.length > unread.readInt32BE(1)) {
      const letter = unread.toString('latin1', 0, 1);
      unread = unread.subarray(1 + unread.readInt32BE(1));
      letters += letter;
      if (letter !== 'S' && letter !== 'Q') continue;
      onTrip(letters);
      letters = '';
    }
  };
}

/** ReadyForQuery, idle; and how BackendKeyData of protocol 3.0 begins: protocol-message-formats.html. */
const READY = Buffer.from('Z\0\0\0\x05I');
const KEY = Buffer.from('K\0\0\0\x0c');
