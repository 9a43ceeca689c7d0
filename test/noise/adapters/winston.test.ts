/** `lastchunk/winston` in a real winston: level, fields, one line, one count, and failures that stay what they are. */
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import winston, { type Logger, type LoggerOptions } from 'winston';
import { noiseFormat } from '../../../src/noise/adapters/winston.ts';
import { createNoisyApp, NOISY } from '../support/app.ts';

const { combine, errors, json, splat, colorize } = winston.format;

type Line = Readonly<Record<string, unknown>>;

/** A winston whose lines are kept. */
function createLogger(options: LoggerOptions = {}, level?: string) {
  const printed: string[] = [];
  const stream = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      printed.push(piece.toString());
      done();
    },
  });
  const logger = winston.createLogger({
    level: 'silly',
    format: combine(noiseFormat(), errors({ stack: true }), splat(), json()),
    transports: [new winston.transports.Stream({ stream, ...(level !== undefined && { level }) })],
    ...options,
  });
  // Each piece is one line of JSON.
  return { logger, lines: () => printed.map((line) => JSON.parse(line) as Line) };
}

describe.each(NOISY)('an error of a handler that %s, whose client left,', (work) => {
  it('is logged in one line, at debug, with the reason and the stream', async () => {
    const { logger, lines } = createLogger();
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err, user: 7 }));
    await app.leaves(work);
    expect(lines()).toMatchObject([
      {
        level: 'debug',
        message: 'the answer failed',
        user: 7,
        noise: true,
        noiseReason: expect.stringMatching(/^(own-abort|abort-error|premature-close)$/),
        streamId: app.streamId,
      },
    ]);
    expect(await app.noiseTotal()).toBe(1);
  });
});

describe('a failure', () => {
  it.each(['breaks', 'breaks late'] as const)(
    'of a handler that %s stays at error',
    async (work) => {
      const { logger, lines } = createLogger();
      const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
      await (work === 'breaks' ? app.stays(work) : app.leaves(work));
      expect(lines()).toMatchObject([{ level: 'error', message: 'the answer failed' }]);
      expect(lines()[0]).not.toHaveProperty('noise');
      expect(await app.noiseTotal()).toBe(0);
    },
  );
});

describe('an error is recognised', () => {
  it.each([
    ['as the line itself', (log: Logger, error: Error) => log.error(error)],
    ['behind a text', (log: Logger, error: Error) => log.error('it fell', error)],
    [
      'behind a text with a place for it',
      (log: Logger, error: Error) => log.error('fell: %s', error),
    ],
    ['under `err`', (log: Logger, err: Error) => log.error('it fell', { err })],
    [
      'under `error` of an object',
      (log: Logger, error: Error) => log.log({ level: 'error', message: 'fell', error }),
    ],
    [
      'as the message of an object',
      (log: Logger, error: Error) => log.log('error', { message: error }),
    ],
  ] as const)(
    '%s, and the line is otherwise the same as without the format',
    async (_where, write) => {
      const format = combine(errors({ stack: true }), splat(), json());
      const without = createLogger({ format });
      const { logger, lines } = createLogger();
      const app = await createNoisyApp((error) => {
        if (!(error instanceof Error)) throw error;
        write(logger, error);
        // The first logger writes its level onto the error, as winston does; the second must not find more.
        write(without.logger, error);
      });
      await app.leaves('waits');
      const { streamId } = app;
      const added = { level: 'debug', noise: true, noiseReason: expect.any(String), streamId };
      expect(without.lines()[0]).not.toHaveProperty('noise');
      expect(lines()).toEqual([{ ...without.lines()[0], ...added }]);
    },
  );
});

describe('a logger', () => {
  it('with the level info prints no noise, and the noise is counted', async () => {
    const { logger, lines } = createLogger({ level: 'info' });
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()).toEqual([]);
    expect(await app.noiseTotal()).toBe(1);
  });

  it('with a transport of the level warn prints no noise', async () => {
    const { logger, lines } = createLogger({}, 'warn');
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()).toEqual([]);
    expect(await app.noiseTotal()).toBe(1);
  });

  it('with the format on a transport prints the lowered line there, whatever the level of the transport', async () => {
    const printed: unknown[] = [];
    const stream = new Writable({
      write: (piece: Buffer, _encoding, done) => {
        printed.push(JSON.parse(piece.toString()));
        done();
      },
    });
    const format = combine(noiseFormat(), json());
    const logger = winston.createLogger({
      transports: [new winston.transports.Stream({ stream, format, level: 'warn' })],
    });
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(printed).toMatchObject([{ level: 'debug', noise: true }]);
  });

  it('with a format that colours levels colours the lowered one', async () => {
    const format = combine(noiseFormat(), colorize(), json());
    const { logger, lines } = createLogger({ format });
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()[0]?.['level']).toMatch(/debug/);
  });

  it('with the format twice lowers a line once', async () => {
    const format = combine(noiseFormat(), colorize(), noiseFormat(), json());
    const { logger, lines } = createLogger({ format });
    const app = await createNoisyApp((err) => logger.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()[0]?.['level']).toContain('debug');
    expect(lines()[0]?.['level']).toContain('\u001b');
    expect(await app.noiseTotal()).toBe(1);
  });

  it('does not raise a line that is below debug', async () => {
    const { logger, lines } = createLogger();
    const app = await createNoisyApp((err) => logger.silly('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: 'silly', noise: true }]);
  });

  it('with custom levels uses the level of the option', async () => {
    const levels = { alarm: 0, note: 1 };
    const format = combine(noiseFormat({ level: 'note' }), json());
    const { logger, lines } = createLogger({ levels, level: 'note', format });
    const app = await createNoisyApp((err) => logger.log('alarm', 'the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: 'note', noise: true }]);
  });

  it('that is a child keeps its fields', async () => {
    const { logger, lines } = createLogger();
    const child = logger.child({ request: 'r-1' });
    const app = await createNoisyApp((err) => child.error('the answer failed', { err }));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: 'debug', request: 'r-1', noise: true }]);
  });
});

it('unknown options, and a level that is not a name, are refused', () => {
  // Called from JavaScript too.
  const wrong = { levle: 'debug' } as object;
  expect(() => noiseFormat(wrong)).toThrow(/unknown option `levle` of noiseFormat\(\)/);
  expect(() => noiseFormat({ level: '' })).toThrow(/`level` must be the name of a level/);
});
