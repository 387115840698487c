/** Ends a test run with one line for each skipped test and a last line `N passed, N failed`. In CI a skip is a failure. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

function nameOf(test: TestCase): string {
  return `${test.project.name}: ${test.module.relativeModuleId} > ${test.fullName}`;
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: 'passed' | 'failed' | 'skipped'): TestCase[] =>
      tests.filter((test) => test.result().state === state);

    const skipped = inState('skipped').filter((test) => test.options.mode !== 'todo');
    for (const test of skipped) {
      const result = test.result();
      const reason = (result.state === 'skipped' && result.note) || 'no reason given';
      console.log(`skipped: ${nameOf(test)} (${reason})`);
    }

    // A file that could not be loaded, a failing hook and an error outside any test each count as one failure.
    const faults = modules.flatMap((module) => [
      ...module.errors(),
      ...[...module.children.allSuites()].flatMap((suite) => suite.errors()),
    ]);
    const skipsCount = process.env.CI === 'true' ? skipped.length : 0;
    const counted = inState('failed').length + faults.length + unhandledErrors.length + skipsCount;
    const failed = counted || (tests.length === 0 ? 1 : 0);
    if (failed > 0) process.exitCode = 1;
    console.log(`${inState('passed').length} passed, ${failed} failed`);
  }
}
