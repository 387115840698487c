/** What a chaos run tells at its end: which faults struck, which mechanisms they set in motion, how stale pages were. */

/** One thing that must hold; `failure` says why it does not. */
export interface Check {
  readonly name: string;
  readonly failure?: string;
}

/** What was seen of the pages and the server. */
export interface Seen {
  readonly mechanisms: Readonly<Record<string, number>>;
  readonly pages: readonly { readonly name: string; readonly stalest: number; readonly now: string }[];
  readonly rss: number;
}

export interface Report {
  struck(fault: string): void;
  text(accepted: number, seen: { seen(): Seen }): string;
}

const table = (rows: readonly (readonly [string, string])[]): string => {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
};

export function createReport(): Report {
  const faults = new Map<string, number>();
  return {
    struck(fault) {
      faults.set(fault, (faults.get(fault) ?? 0) + 1);
    },
    text(accepted, watching) {
      const { mechanisms, pages, rss } = watching.seen();
      return [
        `${accepted} notifications accepted`,
        'faults struck',
        table([...faults].sort().map(([name, count]) => [name, String(count)])),
        'mechanisms seen',
        table(Object.entries(mechanisms).map(([name, count]) => [name, String(count)])),
        'greatest staleness of each page, while faults struck',
        table(pages.map(({ name, stalest, now }) => [name, `${(stalest / 1_000).toFixed(1)} s, now ${now}`])),
        `most memory of a server process: ${Math.round(rss / 2 ** 20)} MiB`,
        '',
      ].join('\n');
    },
  };
}
