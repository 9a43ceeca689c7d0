/** How a detached response ends when its budget is spent, and what there is instead of it under `keep` and `discard`. */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { stream } from '../../support/leaver.ts';
import { until } from '../../support/until.ts';

describe('the budget of finish', () => {
  it.each([
    ['time', { timeoutMs: 1000 }],
    ['bytes', { maxBytes: 8 }],
    ['concurrent', { maxConcurrent: 0 }],
  ] as const)(
    'restores the true state and closes the response for the handler when it is spent: %s',
    async (reason, finish) => {
      const told: string[] = [];
      let atClose: unknown;
      let signal: AbortSignal | undefined;
      const { leave, go, instance } = await stream({ finish }, (_, res) => {
        signal = instance.keep.stream(res)?.signal;
        res.on('close', () => {
          atClose = res.destroyed;
          told.push('close');
        });
        res.write('one ');
        void go.promise.then(() => {
          res.write('ten bytes.');
          return undefined;
        });
      });
      await leave();
      go.open();
      await until('the handler is told', () => told.length > 0);
      const ended = await instance.recorded.ended();
      expect(atClose).toBe(true);
      expect(signal?.aborted).toBe(true);
      expect(told).toEqual(['close']);
      expect(instance.recorded.refusals).toEqual([reason]);
      expect(ended).toMatchObject({ outcome: 'disconnected', side: 'client', save: 'saved' });
      expect(instance.store.row.complete).toBe(false);
      expect(instance.store.row.text.startsWith('one ')).toBe(true);
    },
  );

  it('ends with close(), and the first outcome stays', async () => {
    const told: string[] = [];
    const { leave, instance } = await stream({}, (_, res) => {
      res.on('close', () => told.push('close'));
      res.write('one ');
    });
    await leave();
    const report = await instance.keep.close({ deadlineMs: 200 });
    expect(report).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
    await until('the handler is told', () => told.length > 0);
    expect(told).toEqual(['close']);
    expect(instance.store.row).toMatchObject({
      outcome: 'disconnected',
      complete: false,
      text: 'one ',
    });
  });
});

describe('under keep', () => {
  it('a client that leaves is reported to the handler at once, by close and by the signal', async () => {
    const told: string[] = [];
    const { leave, instance } = await stream({ policy: { disconnected: 'keep' } }, (_, res) => {
      const signal = instance.keep.stream(res)?.signal;
      signal?.addEventListener('abort', () => told.push('abort'));
      res.on('close', () => told.push('close'));
      res.write('one ');
    });
    await leave();
    expect(told.toSorted()).toEqual(['abort', 'close']);
    await instance.recorded.ended();
  });

  it('later writes are accepted and not captured, and end() finishes', async () => {
    const answers: unknown[] = [];
    const { leave, go, instance } = await stream({ policy: { disconnected: 'keep' } }, (_, res) => {
      res.write('one ');
      void go.promise.then(async () => {
        answers.push(res.write('two', (error) => answers.push(error ?? 'no error')));
        const finish = once(res, 'finish');
        res.end('three', () => answers.push('callback'));
        await finish;
        answers.push('finish');
      });
    });
    await leave();
    go.open();
    await until('finish', () => answers.includes('finish'));
    expect(answers).toEqual([true, 'no error', 'callback', 'finish']);
    await instance.recorded.ended();
    expect(instance.store.row).toMatchObject({ text: 'one ', complete: false });
  });
});

it.each(['finish', 'keep', 'discard'] as const)(
  'under %s a handler that waits for drain gets it when its client leaves',
  async (disconnected) => {
    let drains = 0;
    const { leave, go, instance } = await stream({ policy: { disconnected } }, (_, res) => {
      res.on('drain', () => (drains += 1));
      res.write('one ');
      // More than the buffers of a connection hold, so that its client cannot make it drain.
      res.write('x'.repeat(14 * 1024 * 1024));
      void go.promise.then(() => res.end());
    });
    await leave();
    await until('drain', () => drains > 0);
    go.open();
    await instance.recorded.ended();
    expect(drains).toBe(1);
  },
);
