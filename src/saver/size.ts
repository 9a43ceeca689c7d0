/** How large a message will be on its way to the store, near enough to bound a batch. */
import type { Message } from '../core/message.ts';

/** Ids, numbers, times: what a row costs before its text. */
const ROW_BYTES = 512;

/** Estimated bytes. The text is counted in UTF-16 units; events are about as long as the body they were read from. */
export function sizeOf(message: Message): number {
  const eventBytes = message.events === null ? 0 : message.bytes - message.droppedBytes;
  return ROW_BYTES + message.text.length + eventBytes;
}
