const { run } = require('./runner.cjs');

run().then(console.log, (error) => {
  console.log(error);
  process.exitCode = 1;
});
