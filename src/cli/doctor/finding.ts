/** What `lastchunk doctor` says. */

/** One thing that was found, in one line. */
export interface DoctorFinding {
  /** `wrong` makes the exit code 1; a `note` is worth knowing, or says what could not be looked at. */
  readonly level: 'wrong' | 'note';
  /** What was looked at; for programs that read `--json`. */
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
  /** What is so. */
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
