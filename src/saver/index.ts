/** The public interface of this folder; other folders import nothing else of it. */
export { CircuitBreaker } from './circuit-breaker.ts';
export type { CloseSummary } from './close.ts';
export { Delivery } from './delivery.ts';
export { type KeeperState, MessageKeeper, type MessageKeeperOptions } from './keeper.ts';
export { MAX_PENDING_BYTES } from './memory-limit.ts';
export { openRelay } from './open-relay.ts';
export { RefusedReplay, type RefusedSummary } from './refused.ts';
export { RelayedJournal } from './relayed-journal.ts';
export { type ReplaySummary, ReplayWorker } from './replay.ts';
export { StoreClient } from './store-client.ts';
