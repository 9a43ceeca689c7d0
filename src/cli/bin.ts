#!/usr/bin/env node
/** The `lastchunk` program: the process handed to `main`. */
import { main } from './main.ts';

// `lastchunk … | head` closes our output early: what is left to say has no reader, and that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
// Not `process.exit`: output that is still on its way to a pipe would be cut.
process.exitCode = await main(process.argv.slice(2), process);
