/** Answers what the test asks of a process that it has started: the other side of `ask` in test/kit/own-process.ts. */

export function answerTo<Question>(answer: (question: Question) => Promise<unknown>): void {
  process.on('message', (question) => {
    void answer(question as Question).then((it) => process.send?.({ answer: it }));
  });
}
