/** The rules of the house, each a function from the graph of imports to the sentences that say where it is broken. */
import { type Graph, type Import, reach } from './graph.js';

export type Rule = (graph: Graph) => string[];

/** Files above it say at their head why they are long. */
const LONG = 300;

const isGround = (file: string): boolean => /^adapters\/[^/]+\.ts$/.test(file);
const isLibrary = (file: string): boolean => /^(adapters|server|widget)\//.test(file);
const isFile = (to: string): boolean => /^(adapters|server|widget|demo|bench|test)\//.test(to);
const isBuiltin = (to: string): boolean => to.startsWith('node:');
const isPackage = (to: string): boolean => !isFile(to) && !isBuiltin(to);

/** `pusher/http` -> `pusher`, `@scope/name/x` -> `@scope/name`. */
export const packageOf = (specifier: string): string => (/^(@[^/]+\/)?[^/]+/.exec(specifier) ?? [specifier])[0];

/** Folders beside the adapters that are none: what applications test and develop with. */
const NO_ADAPTERS: readonly string[] = ['testing', 'emulators'];

/** The folder of an adapter's file; none for the ground floor and for what is not of an adapter. */
const adapterOf = (file: string): string | undefined => /^adapters\/([^/]+)\//.exec(file)?.[1];

/** Where the default adapter is put in: the only files of a room that know of an adapter. */
const COMPOSITION: readonly (readonly [from: RegExp, to: RegExp])[] = [
  [/^server\/(index|notifier|use\/\w+)\.ts$/, /^adapters\/sse\/server\.ts$/],
  [/^server\/providers\.ts$/, /^adapters\/(pusher|ably)\/server\.ts$/],
  [/^widget\/client\/index\.ts$/, /^adapters\/sse\/client\.ts$/],
];

/** Which sources a source may import. Packages and Node's own modules have rules of their own. */
function mayImport(from: string, to: string): boolean {
  if (COMPOSITION.some(([root, adapter]) => root.test(from) && adapter.test(to))) return true;
  if (isGround(from)) return isGround(to);
  if (from.startsWith('server/')) return isGround(to) || to.startsWith('server/');
  if (from.startsWith('widget/client/')) return isGround(to) || to.startsWith('widget/client/');
  if (from.startsWith('widget/')) return isGround(to) || to.startsWith('widget/');
  if (from.startsWith('demo/')) return to.startsWith('demo/');
  // What applications test with is made of the parts that it stands for; no part knows of it.
  if (from.startsWith('adapters/testing/')) return isLibrary(to);
  return isGround(to) || adapterOf(from) === adapterOf(to);
}

function edges(graph: Graph, keep: (from: string, edge: Import) => boolean): string[] {
  return [...graph].flatMap(([from, { imports }]) =>
    imports.filter((edge) => keep(from, edge)).map(({ to, kind }) => `${from} imports ${to} (${kind})`),
  );
}

/** Ground floor, rooms and adapters import only what the house allows; a relative import meets a file. */
export const rooms: Rule = (graph) =>
  edges(graph, (from, { to }) => {
    if (from.startsWith('test/') || !isFile(to)) return false;
    return !mayImport(from, to) || (/\.[jt]sx?$/.test(to) && !graph.has(to));
  });

/** An adapter's half does not reach its other half, and what both halves share is pure. */
export const halves: Rule = (graph) => {
  const adapters = new Set(
    [...graph.keys()].map(adapterOf).filter((name) => name !== undefined && !NO_ADAPTERS.includes(name)),
  );
  return [...adapters].flatMap((name) => {
    const inside = (half: string): string[] =>
      [...reach(graph, `adapters/${name}/${half}.ts`)].filter((file) => adapterOf(file) === name);
    const [server, client] = [inside('server'), inside('client')];
    const crossed = [
      ...server.filter((file) => file.endsWith('/client.ts')),
      ...client.filter((file) => file.endsWith('/server.ts')),
    ];
    const shared = server.filter((file) => client.includes(file) && !crossed.includes(file));
    return [
      ...crossed.map((file) => `${file} is reached from the other half of its adapter`),
      ...edges(graph, (from, { to }) => shared.includes(from) && !isFile(to)).map(
        (edge) => `${edge}, and both halves use it`,
      ),
    ];
  });
};

/** Nothing that a browser loads reaches a module of Node, in any form of import. */
export const browser: Rule = (graph) => {
  const starts = [...graph.keys()].filter((file) => /^widget\/|^adapters\/[^/]+\/client\.ts$/.test(file));
  const loaded = new Set(starts.flatMap((start) => [...reach(graph, start)]));
  return edges(graph, (from, { to }) => loaded.has(from) && isBuiltin(to)).map(
    (edge) => `${edge}, and browsers load it`,
  );
};

/** React is the skin's; Express lends its types; a vendor's SDK is loaded lazily, by the file of its own. */
export const packages: Rule = (graph) =>
  edges(graph, (from, { to, kind }) => {
    if (!isLibrary(from) || !isPackage(to)) return false;
    if (packageOf(to) === 'react') return !from.startsWith('widget/react/');
    if (packageOf(to) === 'express') return from !== 'server/use/express.ts' || kind !== 'type';
    // The emulators are servers by themselves, loaded by nothing else of the library.
    if (from.startsWith('adapters/emulators/')) return !['ws', '@msgpack/msgpack'].includes(packageOf(to));
    const isOwnFile = /^adapters\/[^/]+\/(server|client)\.ts$|^server\/log\/\w+\.ts$/.test(from);
    return !isOwnFile || kind === 'value';
  });

/** The demo uses what an application can use. */
export const publicOnly: Rule = (graph) => [
  ...edges(graph, (from, { to }) => from.startsWith('demo/') && isLibrary(to)),
  ...edges(graph, (from, { to }) => isLibrary(from) && /^notify-listen(\/|$)/.test(to)),
];

/** Files that load one another in a circle see each other half made. Types may refer to each other. */
export const cycles: Rule = (graph) => {
  const loads = (edge: Import): boolean => edge.kind !== 'type' && isFile(edge.to);
  return [...graph].flatMap(([file, { imports }]) =>
    imports
      .filter((edge) => loads(edge) && reach(graph, edge.to, loads).has(file))
      .map(({ to }) => `${file} -> ${to} -> … -> ${file}`),
  );
};

/** A specifier that is put together at run time escapes every other rule. */
export const literal: Rule = (graph) => edges(graph, (from, { to }) => isLibrary(from) && to === '?');

/**
 * A long file gives the reason in its first ten lines, with the word `lines` or `long`. A file of tests is a list of
 * cases, each read by itself; it may be as long as it likes.
 */
export const lengths: Rule = (graph) =>
  [...graph].flatMap(([file, { text }]) => {
    const lines = text.trimEnd().split('\n');
    const says = /^\s*(\/\*|\*|\/\/).*\b(lines|long)\b/im.test(lines.slice(0, 10).join('\n'));
    const isList = /\.test\.tsx?$/.test(file);
    return lines.length > LONG && !isList && !says ? [`${file} has ${lines.length} lines and does not say why`] : [];
  });

/** The packages that the library imports, as they are named in package.json. */
export function importedPackages(graph: Graph): string[] {
  const used = [...graph].flatMap(([file, { imports }]) =>
    isLibrary(file)
      ? imports
          .map(({ to }) => to)
          .filter((to) => isPackage(to) && to !== '?')
          .map(packageOf)
      : [],
  );
  return [...new Set(used)].sort();
}
