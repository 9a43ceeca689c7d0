/** The public names of `lastchunk`. */
export { LastchunkError } from './errors.ts';
export type { LastchunkErrorCode } from './errors.ts';
export type { CloseSummary, ReplaySummary } from './guard/keeper.ts';
export type { JournalOption } from './guard/journal/index.ts';
export type { Health, HealthReason, HealthStatus } from './health/health.ts';
export { lastchunk } from './lastchunk.ts';
export type { CloseOptions, Lastchunk, LastchunkOptions } from './lastchunk.ts';
export type { Logger } from './logger.ts';
export type { Message, MessageStore, Outcome, SaveResult, Side, SkipReason } from './message.ts';
export type { Classification } from './noise/classify.ts';
export type {
  Noise,
  Observer,
  PoolFinding,
  SaveReport,
  StreamSummary,
  StreamView,
} from './observer.ts';
export type { WatchedPool, WatchPoolOptions } from './postgres/watch-options.ts';
export type { NoiseReason } from './telemetry/names/labels.ts';
export type { ErrorMiddleware, Middleware, StopOptions } from './stream/express.ts';
export type { Carries, FinishMarker, Format, Frame, Framing } from './stream/formats/index.ts';
export type { StreamHandle } from './stream/handle.ts';
export type {
  AppRequest,
  FinishBudget,
  GuardOptions,
  MessageIdentity,
  ObserveOptions,
  Policy,
} from './stream/settings.ts';
