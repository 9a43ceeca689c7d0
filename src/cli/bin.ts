#!/usr/bin/env node
/** The `lastchunk` program: runs `main` with the arguments, streams and environment of the process. */
import { main } from './main.ts';

// `lastchunk … | head` closes our output early: the rest of the output has no reader, and that is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
// Not `process.exit`: that would cut output that is not yet written to a pipe.
process.exitCode = await main(process.argv.slice(2), process);
