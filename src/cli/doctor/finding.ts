/** The findings of `lastchunk doctor`. */

/** One thing that was found, in one line. */
export interface DoctorFinding {
  /** `wrong` makes the exit code 1; a `note` is for information, or names what could not be checked. */
  readonly level: 'wrong' | 'note';
  /** What was checked; for programs that read `--json`. */
  readonly check:
    | 'node'
    | 'peer'
    | 'api-copies'
    | 'sdk'
    | 'prometheus-clients'
    | 'journal'
    | 'database'
    | 'relay'
    | 'tls'
    | 'exposure'
    | 'stall'
    | 'order';
  /** The fact that was found. */
  readonly says: string;
  /** What to do about it. */
  readonly fix: string;
}

/** Makes a finding that is wrong. */
export function wrongFinding(
  check: DoctorFinding['check'],
  says: string,
  fix: string,
): DoctorFinding {
  return { level: 'wrong', check, says, fix };
}

/** Makes a note. */
export function noteFinding(
  check: DoctorFinding['check'],
  says: string,
  fix: string,
): DoctorFinding {
  return { level: 'note', check, says, fix };
}
