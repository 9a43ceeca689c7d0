/**
 * Parses an opened stream from the JSON in journal and relay. Another version of lastchunk may have written it: missing fields get
 * defaults, and nothing is refused.
 */
import type { OpenedStream } from './save-port.ts';
import { isObject } from './values.ts';

/** The stream that the JSON describes; a missing id is `''`. */
export function openedFrom(from: Readonly<Record<string, unknown>>): OpenedStream {
  const text = (name: string, fallback = ''): string => textOrNull(name) ?? fallback;
  const textOrNull = (name: string): string | null => {
    const value = from[name];
    return typeof value === 'string' ? value : null;
  };
  const { metadata, startedAtMs, maxBytes } = from;
  return {
    id: text('id'),
    messageId: text('messageId'),
    conversationId: textOrNull('conversationId'),
    role: text('role', 'assistant'),
    metadata: isObject(metadata) ? { ...metadata } : null,
    route: text('route', 'unmatched'),
    format: text('format', 'auto'),
    contentType: text('contentType'),
    contentEncoding: text('contentEncoding', 'identity'),
    events: from['events'] === true,
    startedAtMs: typeof startedAtMs === 'number' ? startedAtMs : 0,
    maxBytes: typeof maxBytes === 'number' ? maxBytes : undefined,
    traceparent: textOrNull('traceparent'),
  };
}
