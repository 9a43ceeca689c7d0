import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
import { combine } from '../../src/core/observer.ts';
import { createLogLines } from '../../src/telemetry/log-lines.ts';
import { createLogbook } from '../support/logbook.ts';
import { aSave, aStream, anEnd } from './facts.ts';

function createBench() {
  const logbook = createLogbook();
  const tell = combine([createLogLines(logbook.logger)], (error) => {
    throw error;
  });
  const lines = () => logbook.lines.map(({ level, text }) => ({ level, text }));
  return { tell, lines };
}

describe('a stream', () => {
  it('is logged in one line at debug, with its outcome', () => {
    const { tell, lines } = createBench();
    const stream = aStream({ id: 'abc', format: 'gemini' });
    tell.onStart(stream);
    tell.onFirstChunk(stream, 3);
    stream.chunks = 9;
    tell.onEnd(anEnd(stream, { outcome: 'disconnected', side: 'client' }));
    expect(lines()).toHaveLength(1);
    expect(lines()[0]?.level).toBe('debug');
    const facts = ['"streamId":"abc"', '"outcome":"disconnected"', '"side":"client"', '"chunks":9'];
    for (const fact of facts) expect(lines()[0]?.text).toContain(fact);
  });
});

describe('a save', () => {
  it.each([
    ['saved', []],
    ['journaled', ['warn']],
    ['lost', ['error']],
    ['missing', ['error']],
  ] as const)('that is %s is logged at %j', (result, levels) => {
    const { tell, lines } = createBench();
    tell.onSave(aSave(aStream(), { result, errorType: '57P01', messageId: 'm-1' }));
    expect(lines().map(({ level }) => level)).toEqual(levels);
    for (const { text } of lines()) expect(text).toMatch(/"messageId":"m-1".*"errorType":"57P01"/);
  });
});

describe('an id that belongs to another stream', () => {
  it('is a warning with the requested id and the id of the row', () => {
    const { tell, lines } = createBench();
    tell.onIdConflict('asked', 'given');
    expect(lines().map(({ level }) => level)).toEqual(['warn']);
    expect(lines()[0]?.text).toMatch(/"requestedId":"asked","messageId":"given"/);
  });
});

describe('an internal error', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is logged the first time for each place, then once a minute with the number of suppressed lines', () => {
    const { tell, lines } = createBench();
    const times = (count: number): void => {
      for (let time = 0; time < count; time += 1) tell.onInternalError('journal', new Error('x'));
    };
    times(1000);
    tell.onInternalError('store', new Error('x'));
    expect(lines()).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    times(1);
    expect(lines()).toHaveLength(3);
    expect(lines()[2]?.text).toContain('"untold":999');
  });

  it('is logged without its message, which may be text of a user', () => {
    const { tell, lines } = createBench();
    const spoken = new SyntaxError('Unexpected token \'h\', "how do I" is not valid JSON');
    tell.onInternalError('format', spoken);
    tell.onInternalError(
      'store',
      Object.assign(new Error('Key (id)=(how do I)'), { code: '22P02' }),
    );
    tell.onInternalError('stream', 'how do I');
    for (const { text } of lines()) expect(text).not.toContain('how do I');
    expect(lines()[0]?.text).toContain('SyntaxError');
    expect(lines()[0]?.text).toContain('log-lines.test.ts');
    expect(lines()[1]?.text).toContain('22P02');
  });

  it('is logged with its message if lastchunk or the system wrote it', () => {
    const { tell, lines } = createBench();
    const system = Object.assign(new Error('ENOSPC: no space left on device'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    tell.onInternalError('journal', system);
    tell.onInternalError('close', new LastchunkError('closed', 'no new work is taken'));
    expect(lines()[0]?.text).toContain('no space left on device');
    expect(lines()[1]?.text).toContain('no new work is taken');
  });
});
