/**
 * Two classes of failure only. *Refused*: this very message can never be stored, trying again is useless
 * and would hold back the others. *Away*: everything else, known or not; it is tried again for ever.
 * The table is short on purpose: what is not in it costs a retry, what is wrongly in it costs a message.
 */

/** An SQLSTATE, or the two digits of a whole class, that says the message itself is at fault. */
const REFUSED: readonly { readonly code: string; readonly why: string }[] = [
  // PostgreSQL, Appendix A "Error Codes".
  { code: '22', why: 'data exception: a value that its type cannot hold' },
  { code: '23', why: 'integrity constraint violation: the table does not take this row' },
  { code: '54000', why: 'program limit exceeded: an index row or a jsonb value that is too large' },
];

/** Codes of those classes that may pass: a unique violation is met by two writers of one id, and a retry ends it. */
const MAY_PASS: ReadonlySet<string> = new Set(['23505']);

/** An SQLSTATE that a store's rejection carries as `code`; `undefined` for everything else. */
export function sqlstateOf(error: unknown): string | undefined {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** The SQLSTATE of a rejection that refuses the message, or `undefined` when the store is merely away. */
export function refusal(error: unknown): string | undefined {
  const sqlstate = sqlstateOf(error);
  if (sqlstate === undefined || MAY_PASS.has(sqlstate)) return undefined;
  return REFUSED.some(({ code }) => sqlstate.startsWith(code)) ? sqlstate : undefined;
}
