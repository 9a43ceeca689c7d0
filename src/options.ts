/** The options of `lastchunk()`: their types, and their validation with defaults. */
import { type Logger, safeLogger } from './core/logger.ts';
import type { MessageStore } from './core/message.ts';
import type { Observer } from './core/observer.ts';
import { bad, flag, memoryRange, optionGroup, refuseUnknown, wholeNumber } from './core/options.ts';
import { checkStore, type WellConnectedStore } from './given-store.ts';
import type { JournalOption } from './journal/index.ts';
import { type RelayOption, resolveRelayOption } from './relay/settings.ts';
import { MAX_PENDING_BYTES } from './saver/index.ts';
import { MAX_LIVE_BYTES } from './stream/body/live-bytes.ts';
import { resolveLogger } from './telemetry/default-logger.ts';
import type { PrometheusMetrics } from './telemetry/prometheus.ts';

/** Options of `lastchunk()`. */
export interface LastchunkOptions {
  /** Where messages go, such as `postgres()`. Without one, streams are only observed. */
  readonly store?: MessageStore;
  /**
   * The write-ahead log on local disk: its directory, `{ path, name, maxBytes, flushMs, fsyncMs, ephemeral }`, or `false`
   * for none. Default `./.lastchunk`.
   */
  readonly journal?: JournalOption;
  /**
   * Shares live streams between instances: an engine such as `postgresRelay()`, or `{ engine, flushMs, leaseMs, retainMs, ahead }`. With it
   * any instance resumes and stops streams of the others, and finishes those of a dead one. Needs a store. Default: none.
   */
  readonly relay?: RelayOption;
  /**
   * Estimated bytes of messages that may wait in memory while neither store nor journal takes them; then the oldest are
   * lost. Default 256 MiB, and no more than a quarter of V8's heap; from 1 MiB to 1 TiB.
   */
  readonly maxPendingBytes?: number;
  /**
   * Estimated bytes of answers on their way that are kept in memory together. Beyond it, those that the journal holds leave
   * memory and are read back from it; without a journal the largest are cut. Default 512 MiB, and no more than a quarter of
   * V8's heap; from 1 MiB to 1 TiB.
   */
  readonly maxLiveBytes?: number;
  /** What `prometheus()` returned. OpenTelemetry's metrics and spans need no option. */
  readonly metrics?: PrometheusMetrics;
  /**
   * pino-shaped, or `console`; `false` for silence. Default: OpenTelemetry's `diag` where an SDK has set one, else the console:
   * warnings and errors, once a minute for each kind, what takes them back, and one line at the start. Never given message text.
   */
  readonly logger?: Logger | false;
  /** Spans of streams get `gen_ai.conversation.id`; default false, because it is user data. */
  readonly conversationIdInSpans?: boolean;
  /**
   * Spans of guarded streams get `gen_ai.response.finish_reasons`, `gen_ai.usage.input_tokens` and `gen_ai.usage.output_tokens`, where
   * the answer says so itself; default false, because the spans of a model client may say the same.
   */
  readonly usageInSpans?: boolean;
  /** Called for every event; what it throws is counted and caught. */
  readonly observer?: Observer;
}

const KEYS = [
  'store',
  'journal',
  'relay',
  'maxPendingBytes',
  'maxLiveBytes',
  'metrics',
  'logger',
  'conversationIdInSpans',
  'usageInSpans',
  'observer',
];

const PENDING_BYTES = memoryRange(MAX_PENDING_BYTES);
const LIVE_BYTES = memoryRange(MAX_LIVE_BYTES);

/** The options whose values are not handed on as they are. Throws `bad-option`. */
export function checked(options: LastchunkOptions) {
  refuseUnknown('lastchunk()', optionGroup('options', options), KEYS);
  const store: WellConnectedStore | undefined = checkStore(options.store);
  const resolved = resolveLogger(options.logger);
  const logger = safeLogger(resolved.logger);
  if (options.observer !== undefined) optionGroup('observer', options.observer);
  const relay = resolveRelayOption(options.relay);
  if (relay !== undefined && store === undefined) throw bad('`relay` needs a `store`');
  return {
    store,
    relay,
    logger,
    flushLogger: resolved.flush,
    maxPendingBytes: wholeNumber('maxPendingBytes', options.maxPendingBytes, PENDING_BYTES),
    maxLiveBytes: wholeNumber('maxLiveBytes', options.maxLiveBytes, LIVE_BYTES),
    inSpans: {
      conversationId: flag('conversationIdInSpans', options.conversationIdInSpans, false),
      usage: flag('usageInSpans', options.usageInSpans, false),
    },
  };
}
