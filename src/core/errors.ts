/**
 * The one error class of lastchunk. It is thrown for mistakes that a developer can put right (an
 * unknown option, an impossible value) and never for anything that happens while a stream is
 * running: those are counted and logged, because an observer must not break what it observes.
 */

/** What went wrong, for code that has to tell errors apart; the set is part of the public contract. */
export type LastchunkErrorCode =
  /** An option is unknown, of the wrong type, or out of range. The message names the range. */
  | 'bad-option'
  /** An optional peer dependency that this entry point needs is not installed. */
  | 'missing-peer'
  /** The journal directory was given by hand and cannot be used. */
  | 'journal-unusable'
  /** The instance was closed; no new work is taken. */
  | 'closed'
  /** The table of the PostgreSQL store is missing or older than this version needs. */
  | 'not-migrated';

/** Every error that lastchunk throws. `cause` holds the underlying error where there is one. */
export class LastchunkError extends Error {
  override readonly name = 'LastchunkError';
  readonly code: LastchunkErrorCode;

  constructor(code: LastchunkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
