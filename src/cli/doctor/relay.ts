/**
 * Examines the relay in the database: whether its tables exist in this version, how many instances hold a lease, and how many streams wait.
 */
import type { Connections } from '../../postgres/connections.ts';
import { type RelayContent, type RelaySurvey, surveyRelay } from '../../postgres/relay/survey.ts';
import { describeFailure } from '../migrate.ts';
import { relayTables } from '../../postgres/relay/statements.ts';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';

/** What the options say about the app's relay. */
export interface RelayQuestion {
  /** False: the app may have none. */
  readonly isNeeded: boolean;
  /** `undefined`: the search path selects it. */
  readonly schema: string | undefined;
  /** The app says `durable: true`. */
  readonly isDurable: boolean;
}

/** Examines the tables and changes nothing. Never rejects. */
export async function examineRelay(
  connections: Connections,
  question: RelayQuestion,
): Promise<readonly DoctorFinding[]> {
  let survey: RelaySurvey;
  try {
    survey = await surveyRelay(connections, question.schema);
  } catch (error) {
    const says = `the tables of the relay cannot be read: ${describeFailure(error)}`;
    return [wrongFinding('relay', says, 'check that the role may read them')];
  }
  const { version, newest, tables, content } = survey;
  if (content === undefined) return [judgeMissing(version, tables, question)];
  if (version < newest) {
    const says = `the tables of the relay are at version ${version} and have to be at ${newest}`;
    return [wrongFinding('relay', says, MIGRATE)];
  }
  return [
    ...(version > newest ? [newerFinding(version, newest)] : []),
    ...judgeOwners(content),
    describeContent(content, survey.isLogged, question),
  ];
}

function judgeMissing(version: number, tables: number, { isNeeded }: RelayQuestion): DoctorFinding {
  if (tables > 0 || version > 0) {
    const says = `the relay has ${tables} of its 3 tables, and is recorded at version ${version}`;
    const fix =
      "delete its remaining tables, and its row in lastchunk_migrations (table_name = 'lastchunk_relay'), then npx lastchunk migrate --relay";
    return wrongFinding('relay', says, fix);
  }
  if (isNeeded) return wrongFinding('relay', 'the tables of the relay have not been made', MIGRATE);
  const fix = 'fine for one instance with a lasting disk; for several see docs/replicas.md';
  return noteFinding('relay', 'there is no relay in the database', fix);
}

const MIGRATE = 'npx lastchunk migrate --relay, or `migrate: true` of postgresRelay()';

function newerFinding(version: number, newest: number): DoctorFinding {
  const says = `the tables of the relay were migrated by a newer lastchunk (version ${version}, this one knows ${newest})`;
  return noteFinding('relay', says, 'fine while versions are mixed; else update lastchunk');
}

/** Reports streams without an owner while no instance holds a lease. An instance with a lease would claim them within seconds. */
function judgeOwners({ instances, ownerless }: RelayContent): readonly DoctorFinding[] {
  if (instances > 0 || ownerless === 0) return [];
  const says = `${countOf(ownerless, 'stream')} of the relay ${ownerless === 1 ? 'waits' : 'wait'} to be saved, and no instance holds a lease`;
  return [wrongFinding('relay', says, 'start the app with its relay: it saves them')];
}

function describeContent(
  { instances, unsettled, oldestMs }: RelayContent,
  isLogged: boolean,
  { isDurable, schema }: RelayQuestion,
): DoctorFinding {
  const oldest = unsettled === 0 ? '' : `, the oldest for ${Math.round(oldestMs / 1_000)} s`;
  const holders = `${countOf(instances, 'instance')} ${instances === 1 ? 'holds' : 'hold'} a lease`;
  const streams = `${countOf(unsettled, 'stream')} ${unsettled === 1 ? 'is' : 'are'} not settled${oldest}`;
  const says = `the relay in PostgreSQL, ${isLogged ? 'logged' : 'UNLOGGED'}: ${holders}, ${streams}`;
  if (isLogged) return noteFinding('relay', says, 'its text survives a crash of the database');
  if (!isDurable) return noteFinding('relay', says, 'a crash of the database empties its tables');
  const changes = Object.values(relayTables(schema)).map(
    (name) => `ALTER TABLE ${name} SET LOGGED`,
  );
  const fix = `the tables were made without \`durable\`: ${changes.join('; ')}`;
  return wrongFinding('relay', says, fix);
}

function countOf(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`;
}
