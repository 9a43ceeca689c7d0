import { createMemoryRelay } from '../support/memory-relay.ts';
import { describeRelay } from './conformance.ts';

describeRelay('memory', () => {
  const relay = createMemoryRelay();
  return Promise.resolve({
    connect: () => relay.connect(),
    expire: async (instance) => relay.expire(instance),
    forget: async () => relay.advance(3_600_000),
    faults: [
      {
        name: 'away',
        begin: async () => relay.fail(new Error('away')),
        end: async () => relay.fail(undefined),
      },
    ],
  });
});
