/**
 * Whether, and for how long, a stream may outlive its client: the policy, the budget, and the world in which the
 * handler goes on meanwhile.
 */
import type { FinishRefusal, FullObserver, StreamView } from '../../core/observer.ts';
import { findBystanders, NO_BYSTANDERS, withHearers } from './exempt-listeners.ts';
import type { StreamEnvironment } from '../lifecycle/environment.ts';
import type { Exchange } from '../response/exchange.ts';
import type { Listener } from './deferred-listeners.ts';
import type { StreamHooks } from '../entry/hooks.ts';
import type { StreamSettings } from '../settings.ts';
import { createWorld, type World } from './detached.ts';

export interface Finishing {
  readonly active: boolean;
  /** Who listens now was there before the guard, and is told the truth; so is `own`. */
  watch(own: Listener): void;
  /** The `'close'` of the request or of the response is being told. */
  tells(emitter: unknown): void;
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
  /** `budgetSpent` is told when the budget is. */
  readonly hooks: Pick<StreamHooks, 'budgetSpent'>;
}

export function createFinishing(stream: FinishingOwner): Finishing {
  return new Outliving(stream);
}

/** A class, because there is one for each live guarded stream. */
class Outliving implements Finishing {
  active = false;
  readonly #stream: FinishingOwner;
  #bystanders = NO_BYSTANDERS;
  /** Made when somebody has to be told something else than the truth. */
  #made: World | undefined;
  #announced = false;
  #timer: NodeJS.Timeout | undefined;
  #bytesAtLeave = 0;

  constructor(stream: FinishingOwner) {
    this.#stream = stream;
  }

  watch(own: Listener): void {
    this.#bystanders = findBystanders(this.#stream.exchange, own);
  }

  tells(emitter: unknown): void {
    // Once there are gates, they know who has heard what.
    if (this.#made !== undefined) return;
    this.#bystanders = withHearers(this.#bystanders, this.#stream.exchange, emitter);
  }

  begin(): boolean {
    const { settings } = this.#stream;
    if (settings.policy.disconnected !== 'finish') return false;
    if (this.#count(0) >= settings.finish.maxConcurrent) {
      this.#observer.onFinishRefused(this.#stream, 'concurrent');
      return false;
    }
    this.active = true;
    this.#count(1);
    this.#bytesAtLeave = this.#stream.bytes;
    this.#timer = setTimeout(() => this.#refuse('time'), settings.finish.timeoutMs);
    if (this.#stream.kind === 'stream') this.announce();
    this.#world.enter();
    return true;
  }

  announce(): void {
    this.#announced = true;
    this.#observer.onFinishing(this.#stream, true);
  }

  spend(bytes: number): void {
    const { maxBytes } = this.#stream.settings.finish;
    if (this.active && bytes - this.#bytesAtLeave > maxBytes) this.#refuse('bytes');
  }

  end(callback: (() => void) | undefined): void {
    this.done();
    this.#world.end(callback);
  }

  leave(): void {
    this.done();
    this.#made?.leave();
  }

  fireClose(): void {
    this.#world.fireClose();
  }

  done(): void {
    if (!this.active) return;
    this.active = false;
    clearTimeout(this.#timer);
    this.#count(-1);
    if (this.#announced) this.#observer.onFinishing(this.#stream, false);
  }

  get #world(): World {
    this.#made ??= createWorld(this.#stream.exchange, this.#bystanders);
    return this.#made;
  }

  get #observer(): FullObserver {
    return this.#stream.environment.observer;
  }

  /** How many streams of this guard outlive their client now. */
  #count(by: number): number {
    const { environment, settings } = this.#stream;
    const now = (environment.finishing.get(settings) ?? 0) + by;
    environment.finishing.set(settings, now);
    return now;
  }

  #refuse(why: FinishRefusal): void {
    this.#observer.onFinishRefused(this.#stream, why);
    this.#stream.hooks.budgetSpent(why);
  }
}
