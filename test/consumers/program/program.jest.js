/* global test, expect */
const { run } = require('./runner.cjs');

test('keeps a message', async () => {
  expect(await run()).toBe('kept');
});
