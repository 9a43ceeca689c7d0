import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startTcpProxy } from './tcp-proxy.ts';
import { turns, until } from './until.ts';

/** An echo server behind a proxy, a client of it, and what the client and the server have received. */
async function echo() {
  const heard: string[] = [];
  const received: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      received.push(String(data));
      socket.write(data);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an address object.
  const proxy = await startTcpProxy((server.address() as AddressInfo).port);
  const client: Socket = connect(proxy.port, '127.0.0.1');
  client.on('error', () => undefined);
  client.on('data', (data) => heard.push(String(data)));
  onTestFinished(async () => {
    client.destroy();
    await proxy.close();
    server.close();
  });
  await once(client, 'connect');
  return { proxy, client, heard, received };
}

test('all bytes pass through', async () => {
  const { client, heard, proxy } = await echo();
  client.write('hello');
  await until('the echo is heard', () => heard.join('') === 'hello');
  expect([proxy.accepted, proxy.sentBytes]).toEqual([1, 5]);
});

test('a cut closes connections, and new ones are accepted', async () => {
  const { client, heard, proxy } = await echo();
  client.write('a');
  await until('the echo is heard', () => heard.length > 0);
  const closed = new Promise((resolve) => client.once('close', resolve));
  proxy.cut();
  await closed;
  const second = connect(proxy.port, '127.0.0.1');
  await once(second, 'connect');
  second.destroy();
});

test('a pause holds all bytes back until it is resumed', async () => {
  const { client, heard, received, proxy } = await echo();
  client.write('a');
  await until('the echo is heard', () => heard.length > 0);
  proxy.pause();
  client.write('b');
  await turns(50);
  expect([received.join(''), heard.join('')]).toEqual(['a', 'a']);
  proxy.resume();
  await until('the rest is heard', () => heard.join('') === 'ab');
});

test('answers are dropped, and queries still reach the server', async () => {
  const { client, heard, received, proxy } = await echo();
  client.write('a');
  await until('the echo is heard', () => heard.length > 0);
  proxy.loseAnswers();
  client.write('b');
  await until('the server has it', () => received.join('') === 'ab');
  await turns(50);
  expect(heard.join('')).toBe('a');
});
