/** `lastchunk/console` on a real console: nothing is swallowed, nothing said twice, and it can be taken off again. */
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lowerConsoleNoise } from '../../../src/noise/adapters/console.ts';
import { createNoisyApp, NOISY } from '../support/app.ts';

/** A console with its two outputs kept: `debug` prints to the first, `error` and `warn` to the second. */
function createConsole() {
  const printed = { out: '', err: '' };
  const into = (name: keyof typeof printed): Writable =>
    new Writable({
      write: (piece: Buffer, _encoding, done) => {
        printed[name] += piece.toString();
        done();
      },
    });
  return { target: new Console(into('out'), into('err')), printed };
}

describe.each(NOISY)('an error of a handler that %s, whose client left,', (work) => {
  it.each(['error', 'warn'] as const)(
    'is printed by console.debug instead of console.%s',
    async (method) => {
      const { target, printed } = createConsole();
      lowerConsoleNoise(target);
      const app = await createNoisyApp((error) => target[method]('the answer failed', error));
      await app.leaves(work);
      expect(printed.err).toBe('');
      expect(printed.out.match(/the answer failed/g)).toHaveLength(1);
      expect(printed.out).toMatch(/noise: true/);
      expect(printed.out).toMatch(/noiseReason: '(own-abort|abort-error|premature-close)'/);
      expect(printed.out).toContain(`streamId: '${app.streamId}'`);
      expect(await app.noiseTotal()).toBe(1);
    },
  );
});

it.each(['breaks', 'breaks late'] as const)(
  'a failure of a handler that %s is printed as it was logged',
  async (work) => {
    const { target, printed } = createConsole();
    lowerConsoleNoise(target);
    const app = await createNoisyApp((error) => target.error('the answer failed', error));
    await (work === 'breaks' ? app.stays(work) : app.leaves(work));
    expect(printed.out).toBe('');
    expect(printed.err.match(/the answer failed/g)).toHaveLength(1);
    expect(printed.err).not.toContain('noise: true');
    expect(await app.noiseTotal()).toBe(0);
  },
);

describe('uninstall', () => {
  it('restores the methods', () => {
    const { target } = createConsole();
    const { error, warn, debug } = target;
    const lowered = lowerConsoleNoise(target);
    expect([target.error, target.warn, target.debug]).not.toEqual([error, warn, debug]);
    lowered.uninstall();
    lowered.uninstall();
    expect([target.error, target.warn, target.debug]).toEqual([error, warn, debug]);
  });

  it('keeps a later wrapper of another library in place, and lowers nothing more', async () => {
    const { target, printed } = createConsole();
    const lowered = lowerConsoleNoise(target);
    const { error } = target;
    const theirs = (...args: unknown[]): void => error('theirs:', ...args);
    target.error = theirs;
    lowered.uninstall();
    expect(target.error).toBe(theirs);
    const app = await createNoisyApp((failure) => target.error('the answer failed', failure));
    await app.leaves('waits');
    expect(printed.out).toBe('');
    expect(printed.err).toMatch(/^theirs: the answer failed/);
  });
});

it('installed twice, it prints a line once', async () => {
  const { target, printed } = createConsole();
  lowerConsoleNoise(target);
  lowerConsoleNoise(target);
  const app = await createNoisyApp((error) => target.error('the answer failed', error));
  await app.leaves('waits');
  expect(printed.err).toBe('');
  expect(printed.out.match(/the answer failed/g)).toHaveLength(1);
  expect(await app.noiseTotal()).toBe(1);
});

it('the global console is patched unless another one is given', () => {
  const { error } = console;
  const lowered = lowerConsoleNoise();
  onTestFinished(() => lowered.uninstall());
  expect(console.error).not.toBe(error);
  lowered.uninstall();
  expect(console.error).toBe(error);
});

it('an unhandled error that Express prints is lowered', async () => {
  const { target, printed } = createConsole();
  const lowered = lowerConsoleNoise(target);
  onTestFinished(() => lowered.uninstall());
  // As finalhandler has it called: in a later turn, with the bare error.
  const app = await createNoisyApp((error) => void setImmediate(() => target.error(error)));
  await app.leaves('pipes');
  expect(printed.err).toBe('');
  expect(printed.out).toContain('ERR_STREAM_PREMATURE_CLOSE');
});
