/** Metrics of captured bodies: their memory, and messages without a conversation, with unknown text, or cut. */
import { FORMATS, ROUTE } from './labels.ts';
import { counter, gauge, type Metric } from './metric.ts';

export const CAPTURE_METRICS = {
  captureBytes: gauge(
    'lastchunk.capture.bytes',
    'By',
    {},
    'Estimated memory of the captured bodies of live streams; bodies that are kept only in the journal do not count.',
  ),
  messagesUnnamed: counter(
    'lastchunk.messages.unnamed',
    '{message}',
    { route: ROUTE },
    'Messages that are kept without a conversation: message() threw or named none.',
  ),
  textUnknown: counter(
    'lastchunk.text.unknown',
    '{message}',
    { route: ROUTE, format: FORMATS },
    'Messages with a payload that their format did not recognise.',
  ),
  capturesCut: counter(
    'lastchunk.captures.cut',
    '{message}',
    { route: ROUTE },
    'Messages of which only the beginning was kept: longer than maxBytes, or cut because maxLiveBytes was reached.',
  ),
} as const satisfies Readonly<Record<string, Metric>>;
