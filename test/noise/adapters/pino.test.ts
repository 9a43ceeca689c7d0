/** `lastchunk/pino` in a real pino: level, fields, one line, one count, and failures that stay what they are. */
import { AsyncResource } from 'node:async_hooks';
import { Writable } from 'node:stream';
import pino, { type Logger, type LoggerOptions } from 'pino';
import { pinoHttp } from 'pino-http';
import { describe, expect, it } from 'vitest';
import { noiseHook } from '../../../src/noise/adapters/pino.ts';
import { createNoisyApp, NOISY } from '../support/app.ts';

const DEBUG = 20;
const ERROR = 50;

type Line = Readonly<Record<string, unknown>>;

/** A pino whose lines are kept. */
function createLogger(options: LoggerOptions = {}): { logger: Logger; lines: () => Line[] } {
  const printed: string[] = [];
  const into = new Writable({
    write: (piece: Buffer, _encoding, done) => {
      printed.push(piece.toString());
      done();
    },
  });
  const defaults = { level: 'trace', base: null, hooks: { logMethod: noiseHook() } };
  const logger = pino({ ...defaults, ...options }, into);
  // Each piece that pino writes is one line of JSON.
  return { logger, lines: () => printed.map((line) => JSON.parse(line) as Line) };
}

describe.each(NOISY)('an error of a handler that %s, whose client left,', (work) => {
  it('is logged in one line, at debug, with the reason and the stream', async () => {
    const { logger, lines } = createLogger();
    const app = await createNoisyApp((err) => logger.error({ err, user: 7 }, 'the answer failed'));
    await app.leaves(work);
    expect(lines()).toEqual([
      {
        level: DEBUG,
        time: expect.any(Number),
        msg: 'the answer failed',
        user: 7,
        err: expect.objectContaining({ message: expect.any(String), stack: expect.any(String) }),
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
      const app = await createNoisyApp((err) => logger.error({ err }, 'the answer failed'));
      await (work === 'breaks' ? app.stays(work) : app.leaves(work));
      expect(lines()).toMatchObject([{ level: ERROR, msg: 'the answer failed' }]);
      expect(lines()[0]).not.toHaveProperty('noise');
      expect(await app.noiseTotal()).toBe(0);
    },
  );

  it('in the same line as noise keeps the line at error', async () => {
    const { logger, lines } = createLogger();
    const app = await createNoisyApp((err) =>
      logger.error({ err, error: new Error('disk full') }, 'two at once'),
    );
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: ERROR, msg: 'two at once' }]);
  });
});

describe('an error is recognised', () => {
  it.each([
    ['as the first argument', (log: Logger, error: Error) => log.error(error)],
    [
      'as the first argument, with a text',
      (log: Logger, error: Error) => log.error(error, 'it %s', 'fell'),
    ],
    ['under `err`', (log: Logger, err: Error) => log.error({ err })],
    ['under `error`', (log: Logger, error: Error) => log.error({ error }, 'fell')],
    ['behind a text', (log: Logger, error: Error) => log.error('it fell: %s', error)],
  ] as const)(
    '%s, and the line is otherwise the same as without the hook',
    async (_where, write) => {
      const without = createLogger({ hooks: {} });
      const { logger, lines } = createLogger();
      const app = await createNoisyApp((error) => {
        if (!(error instanceof Error)) throw error;
        write(without.logger, error);
        write(logger, error);
      });
      await app.leaves('waits');
      const [line] = without.lines();
      const { streamId } = app;
      const added = { level: DEBUG, noise: true, noiseReason: expect.any(String), streamId };
      expect(lines()).toEqual([{ ...line, time: expect.any(Number), ...added }]);
    },
  );

  it('under the errorKey of the app, if it is the first argument', async () => {
    const { logger, lines } = createLogger({ errorKey: 'problem' });
    const app = await createNoisyApp((error) => logger.error(error));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: DEBUG, problem: { type: 'AbortError' }, noise: true }]);
  });
});

describe('a logger', () => {
  it('with the level info prints no noise, and the noise is counted', async () => {
    const { logger, lines } = createLogger({ level: 'info' });
    const app = await createNoisyApp((err) => logger.error({ err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toEqual([]);
    expect(await app.noiseTotal()).toBe(1);
  });

  it('that is a child keeps its bindings and its own level', async () => {
    const { logger, lines } = createLogger({ level: 'info' });
    const child = logger.child({ request: 'r-1' }, { level: 'debug' });
    const app = await createNoisyApp((err) => child.fatal({ err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toMatchObject([
      { level: DEBUG, request: 'r-1', noise: true, streamId: app.streamId },
    ]);
  });

  it('with custom levels is lowered to its level debug', async () => {
    const customLevels = { audit: 35, debug: 25, panic: 70 };
    const { logger, lines } = createLogger({
      customLevels,
      useOnlyCustomLevels: true,
      level: 'debug',
    });
    // The level's method is made by pino from the name above.
    const { panic } = logger as unknown as { panic: Logger['error'] };
    const app = await createNoisyApp((err) => panic.call(logger, { err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: customLevels.debug, noise: true }]);
  });

  it('without a level debug keeps the level, and marks the line as noise', async () => {
    const customLevels = { low: 10, high: 60 };
    const { logger, lines } = createLogger({
      customLevels,
      useOnlyCustomLevels: true,
      level: 'low',
    });
    const { high } = logger as unknown as { high: Logger['error'] };
    const app = await createNoisyApp((err) => high.call(logger, { err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: customLevels.high, noise: true }]);
  });

  it('does not raise a line that is below debug', async () => {
    const { logger, lines } = createLogger();
    const app = await createNoisyApp((err) => logger.trace({ err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: 10, noise: true }]);
  });

  it('calls the hook of the app once for each line, with the final level', async () => {
    const seen: number[] = [];
    const own: NonNullable<NonNullable<LoggerOptions['hooks']>['logMethod']> = function own(
      args,
      method,
      level,
    ) {
      seen.push(level);
      const [first, ...rest] = args;
      method.apply(this, [first, ...rest]);
    };
    const { logger, lines } = createLogger({ hooks: { logMethod: noiseHook(own) } });
    const app = await createNoisyApp((err) => {
      logger.info('as before');
      logger.error({ err }, 'the answer failed');
      logger.error({ err: new Error('disk full') }, 'really');
    });
    await app.leaves('waits');
    expect(seen).toEqual([30, DEBUG, ERROR]);
    expect(lines().map(({ level, msg }) => [level, msg])).toEqual([
      [30, 'as before'],
      [DEBUG, 'the answer failed'],
      [ERROR, 'really'],
    ]);
  });

  it('may be called by a serializer of the lowered line', async () => {
    const other = createLogger();
    const { logger, lines } = createLogger({
      serializers: {
        err: (error: Error) => {
          other.logger.error({ err: error }, 'serialized');
          return error.message;
        },
      },
    });
    const app = await createNoisyApp((err) => logger.error({ err }, 'the answer failed'));
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: DEBUG, err: expect.stringContaining('aborted') }]);
    expect(other.lines()).toMatchObject([{ level: DEBUG, msg: 'serialized' }]);
    expect(await app.noiseTotal()).toBe(1);
  });
});

describe('a line of pino-http', () => {
  it('about a request error outside the handler is lowered by its response', async () => {
    const { logger, lines } = createLogger();
    // What a listener of the response runs in: the connection's context, which knows no stream.
    const outside = AsyncResource.bind((work: () => void) => work());
    const app = await createNoisyApp(
      (error, _req, res) => outside(() => res.emit('error', error)),
      { before: pinoHttp({ logger, useLevel: 'error', autoLogging: { ignore: () => true } }) },
    );
    await app.leaves('waits');
    expect(lines()).toMatchObject([{ level: DEBUG, msg: 'request errored', noise: true }]);
  });
});
