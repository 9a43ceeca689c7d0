/**
 * What a small handler is given in the differential test: its response, and a notebook. What it asks of its response and
 * what it is answered goes into `said`; what it is told without asking, into `events`.
 */
import type { EventEmitter } from 'node:events';

/** When a step of a handler is made, after the step before it. */
export const MOMENTS = ['at once', 'next tick', 'microtask', 'next turn', 'in 10 ms'] as const;
export type Moment = (typeof MOMENTS)[number];

/** Those that come when the response of a store that answers at once is over. */
export const LATER_MOMENTS: ReadonlySet<Moment> = new Set(['next turn', 'in 10 ms']);

/** An answer to a call, or what a property was. */
export interface Said {
  readonly moment: Moment;
  readonly what: string;
  readonly answer: string;
}

type Callback = (error?: unknown) => void;

export class Probe {
  readonly req: object;
  readonly res: object;
  readonly said: Said[] = [];
  readonly events: string[] = [];
  /** Steps that are still to be made. */
  waiting = 0;
  #moment: Moment = 'at once';

  constructor(req: EventEmitter, res: EventEmitter) {
    this.req = req;
    this.res = res;
    for (const event of ['finish', 'close', 'error', 'pipe', 'unpipe', 'timeout']) {
      res.on(event, (value: unknown) => this.events.push(`res ${event}${errorIn(value)}`));
    }
    for (const event of ['close', 'aborted', 'error', 'timeout']) {
      req.on(event, (value: unknown) => this.events.push(`req ${event}${errorIn(value)}`));
    }
  }

  /** The request's connection; over HTTP/2 the stream. */
  get connection(): object {
    return objectAt(this.res, 'stream') ?? objectAt(this.req, 'socket') ?? {};
  }

  /** Calls a method of the response and notes the answer. */
  call(name: string, ...args: readonly unknown[]): void {
    this.callOn(this.res, name, ...args);
  }

  callOn(target: object, name: string, ...args: readonly unknown[]): void {
    const what = `${name}(${args.map(show).join(', ')})`;
    const method: unknown = Reflect.get(target, name);
    if (typeof method !== 'function') return this.note(what, 'no such method');
    try {
      const result: unknown = Reflect.apply(method, target, args);
      this.note(what, result === target ? 'itself' : show(result));
    } catch (error) {
      this.note(what, `throws ${codeOf(error)}`);
    }
  }

  /** Notes properties of the response. */
  ask(...names: readonly string[]): void {
    for (const name of names) this.note(name, show(Reflect.get(this.res, name)));
  }

  set(name: string, value: unknown): void {
    Reflect.set(this.res, name, value);
    this.ask(name);
  }

  callback(name: string): Callback {
    return Object.assign(
      (error?: unknown) => {
        this.events.push(`callback of ${name}${errorIn(error)}`);
      },
      { shown: name },
    );
  }

  note(what: string, answer: string): void {
    this.said.push({ moment: this.#moment, what, answer });
  }

  /** Makes a step at its moment. */
  at(moment: Moment, step: (probe: Probe) => void): void {
    this.waiting += 1;
    const run = (): void => {
      this.#moment = moment;
      step(this);
      this.waiting -= 1;
    };
    if (moment === 'at once') run();
    else if (moment === 'next tick') process.nextTick(run);
    else if (moment === 'microtask') queueMicrotask(run);
    else if (moment === 'next turn') setImmediate(run);
    else setTimeout(run, 10);
  }
}

/** What `target[name]` is, where it is an object. */
export function objectAt(target: object, name: string): object | undefined {
  const value: unknown = Reflect.get(target, name);
  return typeof value === 'object' && value !== null ? value : undefined;
}

function errorIn(value: unknown): string {
  return value instanceof Error ? `: ${codeOf(value)}` : '';
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error ? String(error.code) : error.message;
}

function show(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 24));
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (value instanceof Error) return codeOf(value);
  if (typeof value === 'function') return 'shown' in value ? String(value.shown) : 'a function';
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`;
  return 'an object';
}
