/**
 * Two classes of failure only. *Refused*: this very message can never be stored, trying again is useless
 * and would hold back the others. *Away*: everything else, known or not; it is tried again for ever.
 * The table is short on purpose: what is not in it costs a retry, what is wrongly in it costs a message.
 */

import { sqlstateOf } from '../core/error-type.ts';

/** An SQLSTATE, or the two digits of a whole class, that says the message itself is at fault. */
const REFUSED: readonly { readonly code: string; readonly why: string }[] = [
  // PostgreSQL, Appendix A "Error Codes".
  { code: '22', why: 'data exception: a value that its type cannot hold' },
  { code: '23', why: 'integrity constraint violation: the table does not take this row' },
  { code: '54000', why: 'program limit exceeded: an index row or a jsonb value that is too large' },
];

/**
 * Refusals that a second try may end: a unique violation is also what two writers of one id meet, and by then the other's
 * row can be seen. One that stays is a constraint of the app's, or SQL of its own that is not idempotent.
 */
const MAY_PASS: ReadonlySet<string> = new Set(['23505']);

/** The SQLSTATE of a rejection that refuses the message, or `undefined` when the store is merely away. */
export function refusal(error: unknown): string | undefined {
  const sqlstate = sqlstateOf(error);
  const refused = REFUSED.some(({ code }) => sqlstate?.startsWith(code));
  return refused ? sqlstate : undefined;
}

/** Whether a message that was refused like this deserves a second try before it is set aside. */
export function mayPass(sqlstate: string): boolean {
  return MAY_PASS.has(sqlstate);
}
