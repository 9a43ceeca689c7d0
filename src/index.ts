/** The public names of `lastchunk`. */
import './core/supported-node.ts';
export { LastchunkError } from './core/errors.ts';
export type { LastchunkErrorCode } from './core/errors.ts';
export { refuse } from './core/refusal.ts';
export type { CloseSummary, ReplaySummary } from './saver/index.ts';
export type { JournalOption } from './journal/index.ts';
export type { Health, HealthHandlerOptions, HealthReason, HealthStatus } from './health/health.ts';
export type {
  Relay,
  RelayAnswer,
  RelayBatch,
  RelayClaim,
  RelayEnd,
  RelayOpening,
  RelayPart,
  RelayPosition,
  RelayQuery,
  RelayReading,
  RelayRecord,
  RelayState,
  RelayTail,
} from './relay/port.ts';
export type { RelayOption, RelayOptions } from './relay/settings.ts';
export { lastchunk } from './lastchunk.ts';
export type { CloseOptions, Lastchunk, LastchunkOptions, ReplayOptions } from './lastchunk.ts';
export type { Logger } from './core/logger.ts';
export type {
  Message,
  MessageStore,
  Outcome,
  SaveResult,
  Side,
  SkipReason,
} from './core/message.ts';
export type { Classification } from './noise/classify.ts';
export type {
  Noise,
  Observer,
  PhaseTransition,
  PoolFinding,
  SaveReport,
  StreamSummary,
  StreamView,
} from './core/observer.ts';
export type { WatchedPool, WatchPoolOptions } from './pool-watch/watch.ts';
export type { NoiseReason } from './core/names/labels.ts';
export type { ErrorMiddleware, Middleware } from './stream/entry/middleware.ts';
export type { ResumableStream } from './stream/resume/find-stream.ts';
export type { ResumeOptions, ResumeTarget } from './stream/resume/resume-route.ts';
export type {
  Status,
  StatusAlert,
  StatusAnswer,
  StatusInstance,
  StatusReason,
  StatusRelay,
} from './status/instance-status.ts';
export type { StatusOptions } from './status/status-route.ts';
export type { StopOptions } from './stream/entry/stop-route.ts';
export type { Carries, FinishMarker, Format, Frame, Framing } from './formats/index.ts';
export type { StreamHandle } from './stream/lifecycle/stream-handle.ts';
export type {
  AppRequest,
  FinishBudget,
  GuardOptions,
  MessageIdentity,
  ObserveOptions,
  Policy,
} from './stream/settings.ts';
