import { expect, test } from 'vitest';
import { run } from './runner.mjs';

test('keeps a message', async () => {
  expect(await run()).toBe('kept');
});
