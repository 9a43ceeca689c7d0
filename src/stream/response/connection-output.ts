/**
 * The output of one connection; over HTTP/2, of one stream. Whichever code writes, corks, flushes or ends the response, its bytes are
 * sent by `_write`, `_writev` and `_final` of this object. So two rules are enforced here: nothing is sent before the journal
 * has what was captured, and while a response is held nothing is sent that was written since the hold began.
 *
 * Meanwhile Node's own response works as usual. Its bytes wait in the queue of its `Writable`; callbacks, `finish`, `drain` and
 * the next request follow when the bytes are sent.
 */
import {
  type Acknowledge,
  type Chunk,
  copyOf,
  destroyedError,
  type Done,
  emitterOf,
  isHttp2,
  type OutputTarget,
  unsent,
  type WriteAhead,
} from './output-target.ts';
import { methodOf, shadowMethods } from './shadow-property.ts';

/** State of a hold. */
interface HeldOutput {
  /** What was written before the hold and is not sent yet, in the units of `writableLength`. */
  passing: number;
  /** Calls that wait; a `Writable` makes one at a time. */
  readonly waiting: HeldCall[];
  /** The first call of `destroy` or `close`; it is made when the bytes are sent. */
  closing: (() => void) | undefined;
  timeoutMs: number;
  /** The error that the handler gave to `destroy`: never taken for a failure of the connection. */
  handlersError: unknown;
}

/** The methods of a connection that are shadowed. */
type Below = 'write' | 'writev' | 'final' | 'destroy' | 'close' | 'setTimeout';

interface HeldCall {
  readonly run: (done: Done) => void;
  readonly done: Done;
}

/** After a release, `destroy` waits at most this long until the client has taken the bytes. */
const CLOSE_LIMIT_MS = 2_000;

const outputs = new WeakMap<object, ConnectionOutput>();

/** The output of a connection or of an HTTP/2 stream; the first call makes it and shadows the methods of `target`. */
export function outputOf(target: OutputTarget): ConnectionOutput {
  const output = outputs.get(target) ?? new ConnectionOutput(target);
  outputs.set(target, output);
  return output;
}

export class ConnectionOutput {
  readonly #target: OutputTarget;
  readonly #below: Readonly<Record<Below, ReturnType<typeof methodOf>>>;
  /** The logs of the streams on this connection: one, or as many as there are pipelined requests. */
  #logs: readonly WriteAhead[] = [];
  #hold: HeldOutput | undefined;
  #acknowledges: readonly Acknowledge[] = [];
  #isUnacknowledged = false;
  /** The connection is to be closed when the unacknowledged bytes are sent. */
  #isClosing = false;
  #collectsTurn = false;
  /** The call that waits for the end of the turn. */
  #collected: (() => void) | undefined;

  constructor(target: OutputTarget) {
    this.#target = target;
    const isWritable = typeof target._write === 'function';
    this.#below = {
      write: methodOf(target, isWritable ? '_write' : 'write'),
      writev: methodOf(target, '_writev'),
      final: methodOf(target, '_final'),
      destroy: methodOf(target, 'destroy'),
      close: methodOf(target, 'close'),
      setTimeout: methodOf(target, 'setTimeout'),
    };
    const inFront = {
      _write: (chunk: Chunk['chunk'], encoding: unknown, done: Done) =>
        this.#write([{ chunk, encoding }], done),
      _writev: (chunks: readonly Chunk[], done: Done) => this.#write(chunks, done),
      _final: (done: Done) => this.#final(done),
    };
    // They stay as long as the connection: deleting a property makes all other properties of a socket slow.
    shadowMethods(target, {
      ...(isWritable ? inFront : { write: (...args: unknown[]) => this.#writeToStandIn(args) }),
      destroy: (...args: unknown[]) => this.#destroy(args),
      close: (...args: unknown[]) => this.#close(() => this.#callBelow('close', ...args)),
      setTimeout: (...args: unknown[]) => this.#setTimeout(args),
    });
  }

  /** From now on `log` is written before bytes are sent. Returns the function that ends this. */
  writeAhead(log: WriteAhead): () => void {
    this.#logs = [...this.#logs, log];
    return () => {
      this.#logs = this.#logs.filter((one) => one !== log);
    };
  }

  /** From now on bytes are sent only when `acknowledge` allows it. Returns the function that ends this. */
  waitFor(acknowledge: Acknowledge): () => void {
    this.#acknowledges = [...this.#acknowledges, acknowledge];
    return () => {
      this.#acknowledges = this.#acknowledges.filter((one) => one !== acknowledge);
    };
  }

  /** Bytes that are written now may wait longer than their tick. */
  get keepsWrites(): boolean {
    return this.#collectsTurn || this.#acknowledges.length > 0;
  }

  /** What is written in this turn of the event loop is sent at its end. */
  get collectsTurn(): boolean {
    return this.#collectsTurn;
  }

  /** What is written from now on is sent at the end of this turn: one write to the journal then serves many connections. */
  collectTurn(): void {
    if (this.#collectsTurn) return;
    this.#collectsTurn = true;
    // One immediate per connection, so that its events are emitted in the async context of its writer.
    setImmediate(() => this.sendTurn());
  }

  /** Sends what was written in this turn now. */
  sendTurn(): void {
    if (!this.#collectsTurn) return;
    this.#collectsTurn = false;
    this.#flushLogs();
    const send = this.#collected;
    this.#collected = undefined;
    send?.();
  }

  /** What is written from now on waits; `passing` is how much of what was written before is not sent yet. */
  hold(passing?: number): void {
    if (this.#hold !== undefined) return;
    const target = this.#target;
    this.sendTurn();
    const timeoutMs = ('timeout' in target && target.timeout) || 0;
    if (timeoutMs > 0) target.setTimeout(0);
    const none = { closing: undefined, handlersError: undefined };
    this.#hold = { passing: passing ?? unsent(target), waiting: [], timeoutMs, ...none };
  }

  /** The handler destroys its response with `error`; the destroy waits until the bytes are sent. */
  handlerDestroys(error: unknown): void {
    if (this.#hold !== undefined) this.#hold.handlersError = error;
  }

  /** Sends everything that waits, in order, then makes the call that closes the connection, if there was one. */
  release(): void {
    const hold = this.#endHold();
    if (hold === undefined) return;
    // `done` is called in a separate tick, even where all bytes are sent at once.
    for (const { run, done } of hold.waiting) run((error) => process.nextTick(done, error));
    if (hold.closing !== undefined) this.closeBehind(hold.closing);
  }

  /** The connection has failed or is about to be closed: waiting bytes are discarded, and their callbacks get an error. */
  drop(): void {
    for (const { done } of this.#endHold()?.waiting ?? []) process.nextTick(done, destroyedError());
  }

  #endHold(): HeldOutput | undefined {
    const hold = this.#hold;
    if (hold === undefined) return undefined;
    this.#hold = undefined;
    if (hold.timeoutMs > 0 && !this.#target.writableEnded) this.#target.setTimeout(hold.timeoutMs);
    return hold;
  }

  #write(chunks: readonly Chunk[], done: Done): void {
    if (this.#collectsTurn) {
      const kept = chunks.map(copyOf);
      this.#collected = () => this.#write(kept, done);
      return;
    }
    this.#flushLogs();
    const kept = chunks.findIndex(({ chunk }) => !this.#passes(chunk.length));
    if (kept < 0) this.#send(chunks, done);
    else if (kept === 0) this.#wait((sent) => this.#write(chunks, sent), done);
    else {
      this.#send(chunks.slice(0, kept), (error) =>
        error ? done(error) : this.#write(chunks.slice(kept), done),
      );
    }
  }

  #final(done: Done): void {
    const end = (ended: Done): void => void this.#callBelow('final', ended);
    if (this.#hold === undefined) end(done);
    else this.#wait(end, done);
  }

  #writeToStandIn(args: unknown[]): unknown {
    this.#flushLogs();
    if (this.#hold === undefined) return this.#callBelow('write', ...args);
    this.#wait(() => void this.#callBelow('write', ...args));
    return true;
  }

  #callBelow(name: Below, ...args: unknown[]): unknown {
    const method = this.#below[name];
    return method && Reflect.apply(method, this.#target, args);
  }

  #flushLogs(): void {
    for (const log of this.#logs) if (!log.clean && log.ahead) log.flush();
  }

  #passes(length: number): boolean {
    const hold = this.#hold;
    if (hold === undefined) return true;
    if (hold.passing <= 0) return false;
    hold.passing -= length;
    return true;
  }

  #wait(run: (done: Done) => void, done: Done = () => {}): void {
    this.#hold?.waiting.push({ run, done });
  }

  /** Sends at once, or when every `acknowledge` has resolved. */
  #send(chunks: readonly Chunk[], done: Done): void {
    if (this.#acknowledges.length === 0) return this.#sendNow(chunks, done);
    const waits = this.#acknowledges.flatMap((acknowledge) => acknowledge() ?? []);
    if (waits.length === 0) return this.#sendNow(chunks, done);
    this.#isUnacknowledged = true;
    const kept = chunks.map(copyOf);
    void Promise.all(waits).then(() => {
      this.#isUnacknowledged = false;
      this.#sendNow(kept, done);
    });
  }

  #sendNow(chunks: readonly Chunk[], done: Done): void {
    const hasEmpty = isHttp2(this.#target) && chunks.some(({ chunk }) => chunk.length === 0);
    // Over HTTP/2, Node 20 and 26 send unrelated memory for an empty write that is followed by an end in a later turn.
    const sent = hasEmpty ? chunks.filter(({ chunk }) => chunk.length > 0) : chunks;
    const [first] = sent;
    if (first === undefined) process.nextTick(done);
    else if (sent.length > 1) this.#callBelow('writev', sent, done);
    else this.#callBelow('write', first.chunk, first.encoding, done);
  }

  /** Destroys at once when the connection has failed, and otherwise after the bytes that wait. */
  #destroy(args: unknown[]): unknown {
    if (this.#hasFailed(args[0])) {
      this.drop();
      return this.#callBelow('destroy', ...args);
    }
    this.#close(() => void this.#callBelow('destroy', ...args));
    return this.#target;
  }

  /** While a response is held, its time-out is only stored: without the hold the response would be over and have none. */
  #setTimeout(args: unknown[]): unknown {
    if (this.#hold === undefined) return this.#callBelow('setTimeout', ...args);
    const [ms, listener] = args;
    this.#hold.timeoutMs = Number(ms);
    // The typings leave open what a function takes.
    if (typeof listener === 'function')
      emitterOf(this.#target).once('timeout', listener as () => void);
    return this.#target;
  }

  #hasFailed(error: unknown): boolean {
    const target = this.#target;
    if (isHttp2(target) && (target.closed || target.session?.destroyed === true)) return true;
    return error !== this.#hold?.handlersError && error instanceof Error && 'syscall' in error;
  }

  #close(close: () => void): void {
    if (this.#hold !== undefined) this.#hold.closing ??= close;
    else if (!this.#isUnacknowledged && !this.#isClosing) close();
    else if (!this.#isClosing) {
      this.#isClosing = true;
      this.closeBehind(close);
    }
  }

  /** Calls `close` when all bytes written until now are sent, after two seconds at the latest. */
  closeBehind(close: () => void): void {
    const target = this.#target;
    const limit = setTimeout(close, CLOSE_LIMIT_MS).unref();
    const sent = (): void => {
      clearTimeout(limit);
      setImmediate(close);
    };
    if (target.writableFinished || target.destroyed) sent();
    else if (target.writableEnded) emitterOf(target).once('finish', sent);
    else target.write('', sent);
  }
}
