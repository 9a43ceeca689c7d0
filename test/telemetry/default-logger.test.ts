/** Where lines go when the app gives no logger, and what a line on the console looks like. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Logger, RECOVERED_FIELDS, START_FIELDS } from '../../src/core/logger.ts';
import {
  consoleLine,
  createDefaultLogger,
  resolveLogger,
} from '../../src/telemetry/default-logger.ts';
import { thrownBy } from '../support/thrown-by.ts';

type Line = readonly [level: string, ...given: unknown[]];

/** Everything that reaches the console of the process while the test runs. */
function watchConsole(): readonly Line[] {
  const lines: Line[] = [];
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    vi.spyOn(console, level).mockImplementation((...given) => void lines.push([level, ...given]));
  }
  return lines;
}

function sayAll(logger: Logger): void {
  logger.debug({ a: 1 }, 'lastchunk: one');
  logger.info({ a: 2 }, 'lastchunk: two');
  logger.info(START_FIELDS, 'lastchunk: journal in /app, on disk');
  logger.warn({ a: 3 }, 'lastchunk: three');
  logger.error({ reason: 'it broke', code: 'a b' }, 'lastchunk: four');
}

afterEach(() => {
  diag.disable();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe('the default logger', () => {
  it('prints warnings, errors and the line of the start on stderr, one line each', () => {
    const lines = watchConsole();
    sayAll(createDefaultLogger());
    expect(lines).toEqual([
      ['error', 'lastchunk info: journal in /app, on disk'],
      ['warn', 'lastchunk warn: three (a=3)'],
      ['error', 'lastchunk error: four: it broke (code="a b")'],
    ]);
  });

  it('prints a recovery, although its level is info', () => {
    const lines = watchConsole();
    createDefaultLogger().info({ ...RECOVERED_FIELDS }, 'lastchunk: the store answers again');
    expect(lines).toEqual([['error', 'lastchunk info: the store answers again']]);
  });

  it('prints a line of each kind once a minute, with the number of suppressed lines', () => {
    vi.useFakeTimers();
    const lines = watchConsole();
    const logger = createDefaultLogger();
    const journaled = (messageId: string, errorType: string): void =>
      logger.warn({ messageId, durationMs: 3, errorType }, 'lastchunk: message in the journal');
    for (const id of ['m1', 'm2', 'm3', 'm4']) journaled(id, 'ECONNREFUSED');
    logger.error({ errorType: 'ECONNREFUSED' }, 'lastchunk: first of this kind');
    logger.error({ errorType: '57P01' }, 'lastchunk: first of this kind');
    logger.warn({ requestedId: 'a' }, 'lastchunk: its own is taken');
    logger.warn({ requestedId: 'b' }, 'lastchunk: its own is taken');
    vi.advanceTimersByTime(60_000);
    expect(lines.map(([, text]) => String(text).replace(/^lastchunk \w+: /, ''))).toEqual([
      'message in the journal (messageId=m1, durationMs=3, errorType=ECONNREFUSED)',
      'first of this kind (errorType=ECONNREFUSED)',
      'first of this kind (errorType=57P01)',
      'its own is taken (requestedId=a)',
      'message in the journal (messageId=m4, durationMs=3, errorType=ECONNREFUSED, untold=2)',
      'its own is taken (requestedId=b)',
    ]);
  });

  it('suppresses no line with a count of suppressed lines, and no line about another place of the app', () => {
    const lines = watchConsole();
    const logger = createDefaultLogger();
    for (const route of ['/a', '/b']) logger.warn({ route, untold: 0 }, 'lastchunk: seldom');
    for (const place of ['a.js:1', 'b.js:2']) logger.warn({ place }, 'lastchunk: a connection');
    expect(lines).toHaveLength(4);
  });

  it('prints the last state if a state changes many times in a minute', () => {
    vi.useFakeTimers();
    const lines = watchConsole();
    const logger = createDefaultLogger();
    for (let time = 0; time < 50; time += 1) {
      logger.warn({ about: 'store', errorType: 'ECONNREFUSED' }, 'lastchunk: away');
      logger.info({ about: 'store', ...RECOVERED_FIELDS }, 'lastchunk: back');
    }
    expect(lines.map(([, text]) => text)).toEqual([
      'lastchunk warn: away (errorType=ECONNREFUSED)',
      'lastchunk info: back',
      'lastchunk warn: away (errorType=ECONNREFUSED)',
      'lastchunk info: back',
    ]);
    vi.advanceTimersByTime(60_000);
    expect(lines.at(-1)).toEqual(['error', 'lastchunk info: back (untold=95)']);
  });

  it('prints the suppressed lines when it is flushed, and then has no timer', () => {
    vi.useFakeTimers();
    const lines = watchConsole();
    const { logger, flush } = resolveLogger(undefined);
    for (const messageId of ['m1', 'm2', 'm3']) logger.error({ messageId }, 'lastchunk: lost');
    flush();
    expect(lines.map(([, text]) => text)).toEqual([
      'lastchunk error: lost (messageId=m1)',
      'lastchunk error: lost (messageId=m3, untold=1)',
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('writes everything to diag, and nothing to the console, once an SDK sets a logger there', () => {
    const printed = watchConsole();
    const seen: Line[] = [];
    const at =
      (level: string) =>
      (...given: unknown[]): void =>
        void seen.push([level, ...given]);
    const logger = createDefaultLogger();
    const sink = {
      verbose: at('verbose'),
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
    };
    diag.setLogger(sink, DiagLogLevel.ALL);
    seen.length = 0;
    sayAll(logger);
    expect(printed).toEqual([]);
    expect(seen.map(([level, namespace]) => [level, namespace])).toEqual([
      ['debug', 'lastchunk'],
      ['info', 'lastchunk'],
      ['info', 'lastchunk'],
      ['warn', 'lastchunk'],
      ['error', 'lastchunk'],
    ]);
    expect(seen[3]).toEqual(['warn', 'lastchunk', 'lastchunk: three', { a: 3 }]);
  });
});

describe('the option `logger`', () => {
  it('logs nothing if it is false', () => {
    const lines = watchConsole();
    sayAll(resolveLogger(false).logger);
    expect(lines).toEqual([]);
  });

  it('prints one line for each call, and no object, if it is the console', () => {
    const lines = watchConsole();
    sayAll(resolveLogger(console).logger);
    expect(lines.map(([level, ...given]) => [level, given.length, typeof given[0]])).toEqual(
      ['debug', 'info', 'info', 'warn', 'error'].map((level) => [level, 1, 'string']),
    );
  });

  it('recognises a console that the app created', () => {
    let text = '';
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
    resolveLogger(new Console(stdout, stdout)).logger.warn({ a: 1 }, 'lastchunk: three');
    expect(text).toBe('lastchunk warn: three (a=1)\n');
  });

  it('is used unchanged if it has the methods of pino', () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    expect(resolveLogger(logger).logger).toBe(logger);
  });

  it.each([{ log() {} }, 'console', true, null])('throws for %j', (given) => {
    expect(thrownBy(() => resolveLogger(given))).toMatchObject({
      code: 'bad-option',
      message: expect.stringContaining(
        "`logger` must have the methods debug, info, warn, error, as pino's has, or be false for silence",
      ),
    });
  });
});

describe('a line on the console', () => {
  it('shows bidirectional and invisible characters by their numbers', () => {
    const line = consoleLine('warn', { route: '/a\u202eb', id: 'c\u200bd' }, 'lastchunk: one');
    expect(line).toBe('lastchunk warn: one (route="/a\\u202eb", id="c\\u200bd")');
  });

  it('has no line breaks and no control characters, with any fields', () => {
    const line = consoleLine(
      'error',
      {
        reason: 'one\ntwo\u001b[31m',
        stack: '    at save (/app/a.js:1:2)\n    at run (/app/b.js:3:4)',
        problems: { damaged: 1 },
        untold: 0,
        gone: undefined,
      },
      'lastchunk: internal error',
    );
    expect(line).toBe(
      'lastchunk error: internal error: one\\u000atwo\\u001b[31m (stack="at save (/app/a.js:1:2)", problems={"damaged":1}, untold=0)',
    );
  });
});
