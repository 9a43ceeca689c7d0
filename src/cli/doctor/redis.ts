/** Examines the Redis of a relay: whether it answers, is new enough and keeps what it acknowledges, and how many instances hold a lease. */
import { join } from 'node:path';
import { LastchunkError } from '../../core/errors.ts';
import { type RedisSurvey, surveyRedis } from '../../redis/survey.ts';
import { describeFailure } from '../migrate.ts';
import { openRedis } from '../redis.ts';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';
import { isInRange } from './installed.ts';

/** Which Redis to examine. */
export interface RedisQuestion {
  readonly app: string;
  /** An address that was checked. */
  readonly url: string;
  /** The option `prefix`; `undefined` for its default. */
  readonly prefix: string | undefined;
  /** The app has no journal, so Redis holds the only copy of what it acknowledges. */
  readonly isAlone: boolean;
}

/** Examines the server through the app's own client, and changes nothing. Rejects with `bad-option` for an invalid prefix. */
export async function examineRedis(question: RedisQuestion): Promise<readonly DoctorFinding[]> {
  const { app, url, prefix, isAlone } = question;
  try {
    const client = openRedis(url, [join(app, 'package.json')]);
    return judge(await surveyRedis(client, prefix, ANSWER_WITHIN_MS), isAlone);
  } catch (error) {
    if (error instanceof LastchunkError && error.code === 'missing-peer') {
      const says = '`--redis-url` is given, and neither ioredis nor redis is installed';
      return [wrongFinding('relay', says, 'npm install ioredis')];
    }
    if (error instanceof LastchunkError) throw error;
    const says = `the Redis of the relay does not answer: ${describeFailure(error)}`;
    const fix = 'check that it runs, and that the address and the permissions are correct';
    return [wrongFinding('relay', says, fix)];
  }
}

const ANSWER_WITHIN_MS = 5_000;

function judge(survey: RedisSurvey, isAlone: boolean): readonly DoctorFinding[] {
  const { version, isOurLayout, instances } = survey;
  const findings: DoctorFinding[] = [];
  if (!isInRange(version, OLDEST)) {
    const says = `Redis ${version} is too old for the relay`;
    findings.push(wrongFinding('relay', says, 'use Redis 6.2 or later, or Valkey'));
  }
  if (!isOurLayout) {
    const says = 'the keys of the relay in Redis are of another version of lastchunk';
    const fix = 'stop the other version, or give another `prefix`';
    findings.push(wrongFinding('relay', says, fix));
  }
  const holders = `${instances} ${instances === 1 ? 'instance holds' : 'instances hold'} a lease`;
  const says = `the relay in Redis ${version}: ${holders}`;
  const fix = 'each running instance of the app should be one of them';
  return [
    ...findings,
    ...judgeEviction(survey),
    ...judgeDisk(survey, isAlone),
    noteFinding('relay', says, fix),
  ];
}

const OLDEST = '>=6.2.0';

/** Keys of live streams have no time to live: a `volatile-` policy deletes ended streams only. */
function judgeEviction({ eviction }: RedisSurvey): readonly DoctorFinding[] {
  if (eviction === undefined) return [];
  const fix = 'maxmemory-policy noeviction';
  return eviction.startsWith('volatile-')
    ? [
        noteFinding(
          'relay',
          `Redis deletes ended streams of the relay when it is full (${eviction})`,
          fix,
        ),
      ]
    : [
        wrongFinding(
          'relay',
          `Redis deletes live streams of the relay when it is full (${eviction})`,
          fix,
        ),
      ];
}

function judgeDisk({ isOnDisk }: RedisSurvey, isAlone: boolean): readonly DoctorFinding[] {
  if (isOnDisk === true) return [];
  if (isOnDisk === undefined) {
    const says = 'Redis does not tell whether it writes to disk';
    return [noteFinding('relay', says, 'check that appendonly or save is set')];
  }
  const says = 'Redis writes nothing to disk: its restart loses what only the relay has';
  const make = isAlone ? wrongFinding : noteFinding;
  return [make('relay', says, 'appendonly yes; fine where the app has a journal that lasts')];
}
