/** Carries messages from a provider to the pages of a test, and can do it badly. */
export interface Postman {
  carry(deliver: () => void): void;
  /** The next messages, so many, are lost. */
  drop(count: number): void;
  /** From now on messages wait. Resolves once so many of them do. */
  hold(count: number): Promise<void>;
  /** What waits arrives, the newest first, and each of them twice. */
  release(): void;
}

export function createPostman(): Postman {
  let lose = 0;
  let held: (() => void)[] | undefined;
  let told: (waiting: number) => void = () => {};
  return {
    carry(deliver) {
      if (lose > 0) lose -= 1;
      else if (held) {
        held.push(deliver);
        told(held.length);
      } else deliver();
    },
    drop(count) {
      lose += count;
    },
    hold(count) {
      held ??= [];
      return new Promise((resolve) => {
        told = (waiting) => {
          if (waiting >= count) resolve();
        };
      });
    },
    release() {
      const waiting = held ?? [];
      held = undefined;
      for (const deliver of waiting.reverse()) {
        deliver();
        deliver();
      }
    },
  };
}
