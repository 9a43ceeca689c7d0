import { run } from './runner.mjs';

run().then(console.log, (error) => {
  console.log(error);
  process.exitCode = 1;
});
