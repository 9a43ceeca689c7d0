/**
 * A process that sends the corpus until it is killed, with a journal and a store that refuses everything. Argument: the
 * journal's path. Prints its URL.
 */
import type { AddressInfo } from 'node:net';
import { lastchunk } from '../../../src/index.ts';
import { FIXTURES } from './fixture.ts';
import { corpusApp } from './serve.ts';

const [journal = ''] = process.argv.slice(2);
const nothing = (): void => undefined;
const keep = lastchunk({
  store: {
    save: () => Promise.reject(new Error('away')),
    close: () => Promise.resolve(),
  },
  journal,
  logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
});
const server = corpusApp(keep, FIXTURES, 1).listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
