/** Ids of streams and messages: UUIDv7 (RFC 9562), which sort by the time they were made. */
import { v7 } from 'uuid';

export function newId(): string {
  return v7();
}
