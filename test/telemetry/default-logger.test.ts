/** Where lines go when the app gives no logger, and what a line on the console looks like. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Logger } from '../../src/core/logger.ts';
import {
  consoleLine,
  createDefaultLogger,
  resolveLogger,
  START_FIELDS,
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

  it('writes everything to diag, and nothing to the console, from when an SDK sets one', () => {
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
  it('is silent when it is false', () => {
    const lines = watchConsole();
    sayAll(resolveLogger(false));
    expect(lines).toEqual([]);
  });

  it('prints one line for each call, and no object, when it is the console', () => {
    const lines = watchConsole();
    sayAll(resolveLogger(console));
    expect(lines.map(([level, ...given]) => [level, given.length, typeof given[0]])).toEqual(
      ['debug', 'info', 'info', 'warn', 'error'].map((level) => [level, 1, 'string']),
    );
  });

  it('knows a console that the app made', () => {
    let text = '';
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        text += String(chunk);
        done();
      },
    });
    resolveLogger(new Console(stdout, stdout)).warn({ a: 1 }, 'lastchunk: three');
    expect(text).toBe('lastchunk warn: three (a=1)\n');
  });

  it('stays what it is when it is shaped like that of pino', () => {
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    expect(resolveLogger(logger)).toBe(logger);
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
  it('has no line breaks and no control characters, whatever is in its fields', () => {
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
