/**
 * A connection that is greeted and killed in one packet: `pg` says both in one tick, and the promise of the
 * client has not been awaited yet. The server is real; a proxy glues its greeting to the last word it says to
 * a connection it ends.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import { startPostgres } from '../support/postgres.ts';
import { aMessage, look } from './messages.ts';

/** ErrorResponse (`E`, length, fields, NUL): protocol-error-fields.html of PostgreSQL's manual. */
function lastWord(): Buffer {
  const fields = 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0';
  const word = Buffer.alloc(5 + fields.length);
  word.write('E');
  word.writeInt32BE(4 + fields.length, 1);
  word.write(fields, 5);
  return word;
}

/** Whether the server has just said that it waits for the first query: ReadyForQuery, idle. */
const greeted = (data: Buffer): boolean => data.subarray(-6).equals(Buffer.from('Z\0\0\0\x05I'));

it('a connection that is killed right after its start affects no other connection', async () => {
  const server = await startPostgres();
  let killed = 0;
  const proxy = createServer((client) => {
    const upstream = connect(server.port, server.host);
    client.on('error', () => upstream.destroy()).pipe(upstream);
    upstream.on('error', () => client.destroy()).on('close', () => client.end());
    upstream.on('data', (data: Buffer) => {
      if (killed > 2 || !greeted(data)) return void client.write(data);
      killed += 1;
      client.end(Buffer.concat([data, lastWord()]));
      upstream.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  // A TCP server that listens has an AddressInfo.
  const { port } = proxy.address() as AddressInfo;
  const store = postgres({
    connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`,
    migrate: true,
  });
  try {
    for (let attempt = 0; killed <= 2 && attempt < 10; attempt += 1) {
      await store.save([aMessage({ id: 'early' })]).catch(() => undefined);
    }
    expect(killed).toBe(3);
    await store.save([aMessage({ id: 'later' })]);
    expect(await look(server.connectionString, 'SELECT id FROM lastchunk_messages')).toContainEqual(
      { id: 'later' },
    );
  } finally {
    await store.close();
    proxy.close();
    await server.remove();
  }
});
