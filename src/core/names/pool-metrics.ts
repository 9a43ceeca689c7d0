/** The rows of the store, of the relay, and of connection pools: the guard's own, and those that the app has watched. */
import { POOLS, REMOTE_STOPS, RESUME_RESULTS, RESUME_SOURCES, ROUTE, TAKEOVERS } from './labels.ts';
import { counter, gauge, seconds, type Metric } from './metric.ts';

export const STORE_METRICS = {
  storeUp: {
    ...gauge(
      'lastchunk.store.up',
      '{store}',
      {},
      '1 when the store answered the last call or question, 0 when it did not; absent while nothing is known.',
    ),
    aggregator: 'min',
  },
  circuitOpen: {
    ...gauge(
      'lastchunk.circuit.open',
      '{circuit}',
      {},
      '1 while the store is taken to be away and is tried with growing pauses, else 0.',
    ),
    aggregator: 'max',
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** A round trip within a data centre takes a millisecond, one that is far or large some hundred. */
const FLUSHES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

export const RELAY_METRICS = {
  relayFlush: seconds(
    'lastchunk.relay.flush.duration',
    {},
    FLUSHES,
    'Time of one exchange with the relay that it answered.',
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
    'Streams of instances that were gone: claimed here, and then finished or lost.',
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
      'For how long the relay has lacked something of the streams of this instance; 0 while it lacks nothing.',
    ),
    aggregator: 'max',
  },
  relayDropped: counter(
    'lastchunk.relay.dropped',
    '{stream}',
    {},
    'Ended streams that were too many to wait for a relay that is away: nobody else can resume or finish them.',
  ),
  relayUnconfirmed: counter(
    'lastchunk.relay.unconfirmed',
    '{stream}',
    {},
    'With `ahead`, streams of which something was sent before the relay had it: it was away, or took longer than 2 s.',
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
    'Connections that nobody can release any more: the app lost them.',
  ),
} as const satisfies Readonly<Record<string, Metric>>;
