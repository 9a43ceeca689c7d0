/** What is told of a relay, to observers and so to metrics. */
import { expect, it } from 'vitest';
import type { Observer } from '../../src/index.ts';
import { chatChunk } from '../support/frames.ts';
import { openClient } from '../support/http-client.ts';
import { createShared, HELLO, relayed, resume, startReplica } from '../support/replicas.ts';
import { until } from '../support/until.ts';

/** Two replicas and a stream in the first; everything that each is told of its relay. */
async function begin() {
  const shared = createShared();
  const replica = async () => {
    const told: (readonly (string | number)[])[] = [];
    const observer: Observer = {
      onResume: (...facts) => void told.push(['resume', ...facts]),
      onTakeover: (result) => void told.push(['takeover', result]),
      onRemoteStop: (result) => void told.push(['stop', result]),
      onRelayFlush: (_seconds, bytes) => {
        if (bytes > 0) told.push(['flush', bytes]);
      },
    };
    return { ...(await startReplica(shared, { observer })), told };
  };
  const [here, there] = [await replica(), await replica()];
  await openClient(here.server, '/chat/c', { method: 'POST' });
  const talk = await until('the handler runs', () => here.talks[0]);
  talk.res.type('text/event-stream').write(HELLO);
  await relayed(shared, talk.streamId, HELLO);
  return { shared, here, there, talk };
}

it('resumes are counted by the route of the stream and by the source of its bytes', async () => {
  const { shared, here, there, talk } = await begin();
  await (await resume(here, talk.streamId)).sees('hello');
  await (await resume(there, talk.streamId)).sees('hello');
  await (await resume(there, 'nobody')).over();
  await (await resume(there, talk.streamId, '', { 'x-user': 'mallory' })).over();
  await (await resume(there, talk.streamId, '?offset=x')).over();
  shared.relay.fail(new Error('away'));
  await (await resume(there, talk.streamId)).over();
  const resumes = (told: typeof here.told) => told.filter(([what]) => what === 'resume');
  expect(resumes(here.told)).toEqual([['resume', '/chat/:id', 'memory', 'resumed']]);
  expect(resumes(there.told)).toEqual([
    ['resume', '/chat/:id', 'relay', 'resumed'],
    ['resume', '', 'none', 'not-found'],
    ['resume', '', 'none', 'not-found'],
    ['resume', '', 'none', 'refused'],
    ['resume', '', 'none', 'away'],
  ]);
});

it('a takeover is counted when a stream is claimed and when its message is saved', async () => {
  const { shared, here, there } = await begin();
  here.network.isCut = true;
  await until('it is silent', () => here.keep.health().relay?.up === false);
  shared.relay.advance(10_000);
  await until('it is saved', () => shared.store.rows.size === 1);
  await until('it is told', () => there.told.length === 2);
  expect(there.told).toEqual([
    ['takeover', 'claimed'],
    ['takeover', 'finished'],
  ]);
});

it('a stop on another instance is counted by its answer, and a flush by its bytes', async () => {
  const { here, there, talk } = await begin();
  expect(here.told).toEqual([['flush', HELLO.length]]);
  talk.res.write(chatChunk({ content: ' world' }));
  const stop = async (streamId: string) =>
    (await openClient(there.server, `/streams/${streamId}`, { method: 'DELETE' })).over();
  expect((await stop(talk.streamId)).status).toBe(200);
  expect((await stop('nobody')).status).toBe(404);
  expect(there.told).toEqual([
    ['stop', 'stopped'],
    ['stop', 'not-found'],
  ]);
});
