/**
 * Ids, conversations and roles, which clients often choose: limited in size and made well-formed once, at their entry, so that row, log
 * line, span and header contain the same value.
 */
/// <reference lib="es2024.string" />
import { createHash } from 'node:crypto';

/** A key of a btree index may have 2 704 bytes: three identifiers of this size fit into one, and into a log line. */
export const MAX_IDENTIFIER_BYTES = 512;

/** With the flag `u`, a surrogate that is part of a pair does not match. */
const UNSTORABLE = /[\0\ud800-\udfff]/gu;

/** A text as PostgreSQL and JSON can hold it, and how many characters (NUL, lone surrogates) became U+FFFD. */
export function toStorableText(text: string): { readonly text: string; readonly replaced: number } {
  if (text.isWellFormed() && !text.includes('\0')) return { text, replaced: 0 };
  let replaced = 0;
  const storable = text.replace(UNSTORABLE, () => {
    replaced += 1;
    return '\ufffd';
  });
  return { text: storable, replaced };
}

/** Whether a text can be an id as it is: not empty, well-formed, without NUL, and 512 bytes of UTF-8 at most. */
export function isIdentifier(text: string): boolean {
  if (text === '' || text.length > MAX_IDENTIFIER_BYTES) return false;
  if (!text.isWellFormed() || text.includes('\0')) return false;
  return Buffer.byteLength(text) <= MAX_IDENTIFIER_BYTES;
}

/** The form in which streams, rows and the relay store the id of a conversation. */
export function conversationKey(id: string): string {
  return boundIdentifier(toStorableText(id).text);
}

/** At most 512 bytes of UTF-8 of a well-formed text. One that is cut ends in its SHA-256, which keeps two long ones apart. */
export function boundIdentifier(text: string): string {
  // A UTF-16 unit takes three bytes of UTF-8 at most.
  if (text.length * 3 <= MAX_IDENTIFIER_BYTES) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_IDENTIFIER_BYTES) return text;
  const suffix = `~${createHash('sha256').update(bytes).digest('hex')}`;
  // A streaming decoder keeps back the half of a character that the cut may leave.
  const head = new TextDecoder('utf-8', { ignoreBOM: true }).decode(
    bytes.subarray(0, MAX_IDENTIFIER_BYTES - suffix.length),
    { stream: true },
  );
  return head + suffix;
}
