/** Metrics of the store, of the relay, and of connection pools: the guard's own, and those passed to `watchPool()`. */
import { POOLS, REMOTE_STOPS, RESUME_RESULTS, RESUME_SOURCES, ROUTE, TAKEOVERS } from './labels.ts';
import { counter, gauge, seconds, type Metric } from './metric.ts';

export const STORE_METRICS = {
  storeUp: {
    ...gauge(
      'lastchunk.store.up',
      '{store}',
      {},
      '1 if the store answered the last call or ping, 0 if it did not; absent before the first one.',
    ),
    aggregator: 'min',
  },
  circuitOpen: {
    ...gauge(
      'lastchunk.circuit.open',
      '{circuit}',
      {},
      '1 while the store counts as unavailable and is tried with growing pauses, else 0.',
    ),
    aggregator: 'max',
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** A round trip within a data centre takes a millisecond; a long or large one takes a few hundred. */
const FLUSHES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export const RELAY_METRICS = {
  relayFlush: seconds(
    'lastchunk.relay.flush.duration',
    {},
    FLUSHES,
    'Duration of one exchange that the relay answered.',
  ),
  relayBytes: counter(
    'lastchunk.relay.bytes',
    'By',
    {},
    'Bytes of bodies that the relay has taken from this instance, repeated ones included.',
  ),
  resumes: counter(
    'lastchunk.resumes',
    '{request}',
    { route: ROUTE, source: RESUME_SOURCES, result: RESUME_RESULTS },
    'Requests for the rest of a stream; the route is that of the stream.',
  ),
  takeovers: counter(
    'lastchunk.takeovers',
    '{stream}',
    { result: TAKEOVERS },
    'Streams of instances that lost their lease: claimed here, and then finished or lost.',
  ),
  remoteStops: counter(
    'lastchunk.remote_stops',
    '{request}',
    { result: REMOTE_STOPS },
    'Requests to stop a stream that is not live in this process.',
  ),
  relayUp: {
    ...gauge(
      'lastchunk.relay.up',
      '{relay}',
      {},
      '1 while the relay answers and the lease of the instance is held, else 0; absent without a relay.',
    ),
    aggregator: 'min',
  },
  relayLag: {
    ...gauge(
      'lastchunk.relay.lag',
      's',
      {},
      'How long something of the streams of this instance has been missing in the relay; 0 while nothing is missing.',
    ),
    aggregator: 'max',
  },
  relayDropped: counter(
    'lastchunk.relay.dropped',
    '{stream}',
    {},
    'Ended streams that were dropped because too many waited for an unavailable relay: no other instance can resume or finish them.',
  ),
  relayUnconfirmed: counter(
    'lastchunk.relay.unconfirmed',
    '{stream}',
    {},
    'With `ahead`, streams of which something was sent before the relay had it: it was unavailable, or took longer than 2 s.',
  ),
} as const satisfies Readonly<Record<string, Metric>>;

export const POOL_METRICS = {
  poolClients: gauge(
    'lastchunk.pool.clients',
    '{client}',
    { pool: POOLS, state: ['active', 'idle'] },
    'Connections of a pool; lastchunk is the one that saves go through, the others are those of watchPool().',
  ),
  poolMax: gauge(
    'lastchunk.pool.clients_max',
    '{client}',
    { pool: POOLS },
    'Connections that a pool may have.',
  ),
  poolWaiting: gauge(
    'lastchunk.pool.waiting',
    '{client}',
    { pool: POOLS },
    'Callers that wait for a connection of a pool.',
  ),
  poolHeldAcrossStreams: counter(
    'lastchunk.pool.held_across_streams',
    '{client}',
    { pool: POOLS },
    'Connections that were held while a stream was written, from its beginning to its end or for too long.',
  ),
  poolHeldLong: counter(
    'lastchunk.pool.held_long',
    '{client}',
    { pool: POOLS },
    'Connections that were held longer than heldMs, without a stream.',
  ),
  poolLeaked: counter(
    'lastchunk.pool.leaked',
    '{client}',
    { pool: POOLS },
    'Connections that can no longer be released, because the app lost its reference to them.',
  ),
} as const satisfies Readonly<Record<string, Metric>>;
