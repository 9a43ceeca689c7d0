// A client that reads the first word and closes its connection at once, which fetch() does only seconds after its abort.
import { once } from 'node:events';
import { connect } from 'node:net';

/** Resolves when the server knows that it has left. */
export async function leave(server, path) {
  const client = connect(server.address().port, '127.0.0.1');
  const [connection] = await once(server, 'connection');
  client.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
  let read = '';
  while (!read.includes('one')) read += (await once(client, 'data')).toString();
  const closed = once(connection, 'close');
  client.destroy();
  await closed;
}
