/**
 * Counts an error once, also where it arrives in two forms: as an object from a logger, and as text in a log record. For each stream it
 * stores noise in the form in which OpenTelemetry serialises it.
 */
import type { CurrentStream } from '../core/current-stream.ts';
import { property } from './matcher.ts';
import { sharedState } from '../core/shared-state.ts';

/** An exception, as OpenTelemetry writes it. */
export interface SerialisedException {
  /** `exception.type`: the error's code where it has one, else its name. */
  readonly type: string;
  readonly message: string;
  /** As V8 writes it. */
  readonly stacktrace?: string | undefined;
}

/** By stream, then by serialised form. `text`: only the text was counted so far, and its error object may follow. */
const known = sharedState(
  'noise.known',
  () => new WeakMap<CurrentStream, Map<string, 'text' | 'error'>>(),
);

/** Whether a new error object is to be counted: not when its text was counted before. */
export function countsError(stream: CurrentStream, error: object): boolean {
  const key = keyOf(serialise(error));
  const shapes = shapesOf(stream);
  const before = shapes.get(key);
  shapes.set(key, 'error');
  return before !== 'text';
}

/** Whether a text is to be counted: once, and not when its error object was counted. */
export function countsText(stream: CurrentStream, exception: SerialisedException): boolean {
  const key = keyOf(exception);
  const shapes = shapesOf(stream);
  if (shapes.has(key)) return false;
  shapes.set(key, 'text');
  return true;
}

function shapesOf(stream: CurrentStream): Map<string, 'text' | 'error'> {
  const shapes = known.get(stream) ?? new Map<string, 'text' | 'error'>();
  known.set(stream, shapes);
  return shapes;
}

/** As the SDK does it (`Span.recordException`). */
function serialise(error: object): SerialisedException {
  const [code, name, message] = ['code', 'name', 'message'].map((key) => textOf(error, key));
  return { type: code || name || '', message: message ?? '' };
}

/** Reads a field as text. Calls no method of the error, which may be any value. */
function textOf(error: object, key: string): string {
  const value = property(error, key);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function keyOf({ type, message }: SerialisedException): string {
  return `${type}\n${message}`;
}
