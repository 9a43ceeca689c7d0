import { expect, test } from 'vitest';
import { LOG_LEVELS, safeLogger } from '../../src/core/logger.ts';

test('an exception in a logger is not passed on', () => {
  const broken = (): never => {
    throw new Error('disk full');
  };
  const logger = safeLogger({ debug: broken, info: broken, warn: broken, error: broken });
  for (const level of LOG_LEVELS) expect(() => logger[level]({}, 'line')).not.toThrow();
});

test('lines reach the logger at their level, with the logger as this', () => {
  const lines: unknown[] = [];
  const logger = {
    prefix: 'p',
    debug(fields: object, message: string) {
      lines.push(['debug', this.prefix, fields, message]);
    },
    info: () => undefined,
    warn: () => undefined,
    error: () => undefined,
  };
  safeLogger(logger).debug({ id: 1 }, 'line');
  expect(lines).toEqual([['debug', 'p', { id: 1 }, 'line']]);
});

test('a line is written as one line, whatever characters it repeats', () => {
  const said: string[] = [];
  const info = (_fields: object, message: string): void => void said.push(message);
  const logger = safeLogger({ debug: info, info, warn: info, error: info });
  logger.info(
    {},
    'lastchunk: journal in /a\nlastchunk error: b\u001b[2K\u2028\u202e\u{e0001}, on disk',
  );
  expect(said).toEqual([
    String.raw`lastchunk: journal in /a\u000alastchunk error: b\u001b[2K\u2028\u202e\u{e0001}, on disk`,
  ]);
});
