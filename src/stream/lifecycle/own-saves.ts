/**
 * The accounting for an app with its own save code: a message is counted as due when its stream ends, and its result is
 * counted when the promise that the app gives settles. The two numbers are compared as for the guard's own saves, so that save code
 * that is never reached becomes visible; a promise alone could not show that.
 */
import { markSaveError } from '../../core/current-stream.ts';
import type { SaveResult, SkipReason } from '../../core/message.ts';
import type { FullObserver, SaveReport, StreamView } from '../../core/observer.ts';
import { errorType } from '../client/failure.ts';

/** What the accounting needs. */
export interface OwnSavesOptions {
  readonly view: StreamView;
  readonly observer: FullObserver;
  readonly missingAfterMs: number;
  /** A save is pending from now on, until `onResult`. */
  readonly onPending: () => void;
  /** A promise of the app has rejected, and no message is due, or not yet. */
  readonly onUncounted: () => void;
}

type Answer = { readonly ok: true } | { readonly ok: false; readonly errorType: string };

/** One save of the app's. */
interface OwnSave {
  readonly kind: 'first' | 'revised';
  /** Resolves when the app's promise has settled; `undefined` while it has given none. */
  promise: Promise<void> | undefined;
  answer: Answer | undefined;
  result: SaveResult | undefined;
  timer: NodeJS.Timeout | undefined;
  /** By `performance.now()`. */
  dueAt: number;
}

/** The saves of the app for one stream: due, and done. */
export class OwnSaves {
  pending = 0;
  attempts = 0;
  due = false;
  result: SaveResult | SkipReason | undefined;
  errorType: string | undefined;
  /** Called when a save has its result. */
  onResult: () => void = () => {};
  readonly #options: OwnSavesOptions;
  readonly #given = new Set<unknown>();
  readonly #saves: OwnSave[] = [];
  #over = false;

  constructor(options: OwnSavesOptions) {
    this.#options = options;
  }

  /** The stream has a terminal fact: its message is due, if anything was written or is being saved. */
  settle(): void {
    this.#over = true;
    if (this.due) return;
    if (this.#saves.length > 0 || this.#options.view.chunks > 0) this.#begin();
    else this.result = 'empty';
  }

  /** The app saves: the first promise is the first save of the message, each further promise is a further save of it. */
  track(given: PromiseLike<unknown>): void {
    if (this.#given.has(given)) return;
    this.#given.add(given);
    const [first] = this.#saves;
    // The save is due already: the stream ended before the app called `track()`.
    if (first !== undefined && first.promise === undefined) return this.#listen(first, given);
    const save = newSave(first === undefined ? 'first' : 'revised');
    this.#listen(save, given);
    this.#saves.push(save);
    if (this.due) this.#start(save);
    // The stream ended with nothing written, so that no message was due; now there is one.
    else if (this.#over) this.#begin();
  }

  /** Resolves when every promise that was given has settled. */
  async answered(): Promise<void> {
    await Promise.all(this.#saves.map(({ promise }) => promise ?? NO_PROMISE));
  }

  /** Ends the waiting: saves without a result are `missing`. */
  giveUp(): void {
    for (const save of this.#saves) this.#missing(save);
  }

  #begin(): void {
    this.due = true;
    this.result = undefined;
    this.#options.observer.onDue(this.#options.view);
    if (this.#saves.length === 0) this.#saves.push(newSave('first'));
    for (const save of this.#saves) this.#start(save);
  }

  /** Handles a rejection of the app's promise: it is counted, and must not end the process of an app that does not await it. */
  #listen(save: OwnSave, given: PromiseLike<unknown>): void {
    save.promise = Promise.resolve(given).then(
      () => this.#answered(save, { ok: true }),
      (error: unknown) => {
        markSaveError(error);
        this.#answered(save, { ok: false, errorType: errorType(error) });
      },
    );
  }

  #start(save: OwnSave): void {
    this.pending += 1;
    this.#options.onPending();
    save.dueAt = performance.now();
    save.timer = setTimeout(() => this.#missing(save), this.#options.missingAfterMs);
    // A save that never settles must not keep the process running.
    save.timer.unref();
    this.#count(save);
  }

  #answered(save: OwnSave, answer: Answer): void {
    save.answer = answer;
    if (save.result !== undefined) this.#tell(save, resultOf(answer), 'late');
    else if (this.due) this.#count(save);
    else if (!answer.ok) this.#options.onUncounted();
  }

  /** The result of the first save is reported first, whichever promise settles first. */
  #count(save: OwnSave): void {
    const waits = save.kind === 'revised' && this.#saves[0]?.result === undefined;
    if (save.answer !== undefined && !waits) this.#settle(save, resultOf(save.answer));
  }

  #missing(save: OwnSave): void {
    if (this.due && save.result === undefined) this.#settle(save, 'missing');
  }

  #settle(save: OwnSave, result: SaveResult): void {
    clearTimeout(save.timer);
    save.result = result;
    this.pending -= 1;
    this.result = result;
    this.attempts += save.promise === undefined ? 0 : 1;
    this.errorType = errorTypeOf(save);
    this.#tell(save, result, save.kind);
    for (const other of this.#saves) if (other.result === undefined) this.#count(other);
    this.onResult();
  }

  #tell(save: OwnSave, result: SaveResult, kind: SaveReport['kind']): void {
    const { view, observer } = this.#options;
    observer.onSave({
      stream: view,
      messageId: view.id,
      route: view.route,
      result,
      kind,
      durationMs: performance.now() - save.dueAt,
      attempts: save.promise === undefined ? 0 : 1,
      errorType: errorTypeOf(save),
    });
  }
}

/** Awaited in place of a promise that the app has not given. */
const NO_PROMISE = Promise.resolve();

/** A save that is not due yet, without a promise and a result. */
function newSave(kind: OwnSave['kind']): OwnSave {
  return {
    kind,
    promise: undefined,
    answer: undefined,
    result: undefined,
    timer: undefined,
    dueAt: 0,
  };
}

function resultOf({ ok }: Answer): SaveResult {
  return ok ? 'saved' : 'lost';
}

function errorTypeOf({ answer }: OwnSave): string | undefined {
  return answer?.ok === false ? answer.errorType : undefined;
}
