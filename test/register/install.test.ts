/** The command that doctor and register advise, for the Node that runs. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { installCommand } from '../../src/register/install.ts';
import { ROOT } from '../support/imports.ts';

const NAMES = ['@opentelemetry/sdk-node', '@opentelemetry/instrumentation-http'];
const NEWEST = 'npm install @opentelemetry/sdk-node @opentelemetry/instrumentation-http';
const PINNED =
  'npm install @opentelemetry/api@1.9 @opentelemetry/sdk-node@0.223 @opentelemetry/instrumentation-http@0.223';

it.each([
  ['20.19.0', PINNED],
  ['22.12.0', PINNED],
  ['22.14.0', PINNED],
  ['22.15.0', NEWEST],
  ['24.0.0', NEWEST],
  ['26.1.0', NEWEST],
])('the install command on Node %s is %s', (node, command) => {
  expect(installCommand(NAMES, node)).toBe(command);
});

it('docs/opentelemetry.md has the same install commands', async () => {
  const page = await readFile(join(ROOT, 'docs/opentelemetry.md'), 'utf8');
  expect(page).toContain(`${NEWEST}\n`);
  expect(page).toContain(`${PINNED}\n`);
});

it('the install command names the versions that the tests use', async () => {
  const text = await readFile(join(ROOT, 'package.json'), 'utf8');
  for (const name of NAMES) expect(text).toMatch(new RegExp(`"${name}": "\\^0\\.223\\.`));
});
