/**
 * Whether, and for how long, a stream may outlive its client: the policy, the budget, and the world in which the
 * handler goes on meanwhile.
 */
import type { FinishRefusal, StreamView } from '../observer.ts';
import type { StreamEnvironment } from './environment.ts';
import type { Exchange } from './exchange.ts';
import type { StreamSettings } from './settings.ts';
import { createWorld } from './world.ts';

export interface Finishing {
  readonly active: boolean;
  /** The client left: true when the handler may go on without it. */
  begin(): boolean;
  /** The response turned out to be a stream after its client had left. */
  announce(): void;
  /** The stream has so many bytes now. */
  spend(bytes: number): void;
  /** The handler ended its response; its events come, each once. */
  end(callback: (() => void) | undefined): void;
  /** The truth is restored, then the events come. */
  leave(): void;
  /** The handler's `'close'` listeners are called now. */
  fireClose(): void;
  done(): void;
}

/** What it has to know of its stream. */
export interface FinishingOwner extends StreamView {
  readonly kind: 'undecided' | 'stream' | 'other';
  readonly settings: StreamSettings;
  readonly exchange: Exchange;
  readonly environment: StreamEnvironment;
}

/** `onRefused` is told when the budget is spent. */
export function createFinishing(
  stream: FinishingOwner,
  onRefused: (why: FinishRefusal) => void,
): Finishing {
  const { settings, environment } = stream;
  const { observer } = environment;
  const { finish } = settings;
  const world = createWorld(stream.exchange);
  let active = false;
  let announced = false;
  let timer: NodeJS.Timeout | undefined;
  let bytesAtLeave = 0;

  const count = (by: number): number => {
    const now = (environment.finishing.get(settings) ?? 0) + by;
    environment.finishing.set(settings, now);
    return now;
  };

  const cease = (): void => {
    if (!active) return;
    active = false;
    clearTimeout(timer);
    count(-1);
    if (announced) observer.onFinishing(stream, false);
  };

  const refuse = (why: FinishRefusal): void => {
    observer.onFinishRefused(stream, why);
    if (why !== 'concurrent') onRefused(why);
  };

  const announce = (): void => {
    announced = true;
    observer.onFinishing(stream, true);
  };

  return {
    get active() {
      return active;
    },
    begin: () => {
      if (settings.policy.disconnected !== 'finish') return false;
      if ((environment.finishing.get(settings) ?? 0) >= finish.maxConcurrent) {
        refuse('concurrent');
        return false;
      }
      active = true;
      count(1);
      bytesAtLeave = stream.bytes;
      timer = setTimeout(() => refuse('time'), finish.timeoutMs);
      if (stream.kind === 'stream') announce();
      world.enter();
      return true;
    },
    announce,
    spend: (bytes) => {
      if (active && bytes - bytesAtLeave > finish.maxBytes) refuse('bytes');
    },
    end: (callback) => {
      cease();
      world.end(callback);
    },
    leave: () => {
      cease();
      world.leave();
    },
    fireClose: () => world.fireClose(),
    done: cease,
  };
}
