/** A reporter that names each test which passed at its second try. With `retry: 0` there is no second try. */
import type { Reporter, TestCase } from 'vitest/node';

export class SecondTries implements Reporter {
  readonly #names: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    this.#names.push(`${test.module.relativeModuleId} > ${test.fullName}`);
  }

  onTestRunEnd(): void {
    for (const name of this.#names) process.stdout.write(`passed at the second try: ${name}\n`);
  }
}
