import { createMemoryRelay } from '../support/memory-relay.ts';
import { describeRelay } from './conformance.ts';

describeRelay('memory', () => {
  const relay = createMemoryRelay();
  return Promise.resolve({
    connect: () => relay.connect(),
    expire: async (instance) => relay.expire(instance),
    forget: async () => relay.advance(3_600_000),
  });
});
