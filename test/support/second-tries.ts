/** Which failures get a second try, and a reporter that names each test which passed at it, with the reason. */
import type { Reporter, TestCase } from 'vitest/node';

/** In the error of a test whose process stood still (`stalls.ts`). Any other failure gets no second try. */
export const STALLED = /\[the event loop of this test was blocked for \d+ ms\]/;

export class SecondTries implements Reporter {
  readonly #lines: string[] = [];

  onTestCaseResult(test: TestCase): void {
    if (test.diagnostic()?.flaky !== true) return;
    const messages = test.result().errors?.map(({ message }) => message) ?? [];
    const reason = STALLED.exec(messages.join('\n'))?.[0] ?? 'without a reason';
    this.#lines.push(`${test.module.relativeModuleId} > ${test.fullName} ${reason}`);
  }

  onTestRunEnd(): void {
    for (const line of this.#lines) process.stdout.write(`passed at the second try: ${line}\n`);
  }
}
