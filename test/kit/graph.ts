/** Reads sources into a graph of who imports whom, in every form of import: static, dynamic, type-only, re-export, require. */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { parseSync } from 'vite';

export interface Import {
  /** A file of the sources (`server/notifier.ts`), `node:…`, or the specifier of a package as written. */
  readonly to: string;
  /** `type`: gone after compilation. `lazy`: loaded when the line runs. */
  readonly kind: 'value' | 'type' | 'lazy';
}

export interface SourceFile {
  readonly imports: readonly Import[];
  readonly text: string;
}

/** Every source file by its path from the root, with forward slashes. */
export type Graph = ReadonlyMap<string, SourceFile>;

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

/** A literal, or a template without holes. Anything computed cannot be judged, and counts as an import of `?`. */
function textOf(value: unknown): string {
  if (isNode(value) && value.type === 'Literal' && typeof value.value === 'string') return value.value;
  if (isNode(value) && value.type === 'TSLiteralType') return textOf(value.literal);
  if (isNode(value) && value.type === 'TemplateLiteral' && (value.expressions as unknown[]).length === 0) {
    return (value.quasis as { value: { cooked: string } }[])[0]?.value.cooked ?? '?';
  }
  return '?';
}

/** Functions that load a module by its name: `require`, `process.getBuiltinModule`, `import.meta.resolve`, … */
const LOADER = /^(require|getBuiltinModule|resolve)$/;

function loads(callee: unknown): boolean {
  if (!isNode(callee)) return false;
  if (callee.type === 'Identifier') return callee.name === 'require';
  if (callee.type !== 'MemberExpression' || !isNode(callee.property) || !isNode(callee.object)) return false;
  const owner =
    callee.object.type === 'MetaProperty' || ['process', 'require', 'module'].includes(String(callee.object.name));
  return owner && LOADER.test(String(callee.property.name));
}

function importOf(node: Node): { specifier: string; kind: Import['kind'] } | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return { specifier: textOf(node.source), kind: node.importKind === 'type' ? 'type' : 'value' };
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      if (!isNode(node.source)) return undefined;
      return { specifier: textOf(node.source), kind: node.exportKind === 'type' ? 'type' : 'value' };
    case 'ImportExpression':
      return { specifier: textOf(node.source), kind: 'lazy' };
    case 'TSImportType':
      return { specifier: textOf(node.source ?? node.argument), kind: 'type' };
    case 'TSExternalModuleReference':
      return { specifier: textOf(node.expression), kind: 'value' };
    case 'CallExpression':
      return loads(node.callee) ? { specifier: textOf((node.arguments as unknown[])[0]), kind: 'lazy' } : undefined;
    default:
      return undefined;
  }
}

function importsOf(file: string, text: string): { specifier: string; kind: Import['kind'] }[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  const found: { specifier: string; kind: Import['kind'] }[] = [];
  const waiting: unknown[] = [program];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (isNode(value)) {
      const one = importOf(value);
      if (one) found.push(one);
    }
    if (typeof value === 'object' && value !== null) waiting.push(...Object.values(value));
  }
  return found;
}

function resolve(from: string, specifier: string, known: (file: string) => boolean): string {
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`;
  if (!specifier.startsWith('.')) return specifier;
  const path = posix.join(posix.dirname(from), specifier);
  const candidates = [path, path.replace(/\.js$/, '.ts'), path.replace(/\.js$/, '.tsx')];
  return candidates.find(known) ?? path;
}

/** The graph of these texts by path: of the real sources, and of the small wrong ones that prove each rule. */
export function graphOf(sources: Readonly<Record<string, string>>): Graph {
  const known = (file: string): boolean => Object.hasOwn(sources, file);
  return new Map(
    Object.entries(sources).map(([file, text]) => {
      const imports = importsOf(file, text).map(({ specifier, kind }) => ({
        to: resolve(file, specifier, known),
        kind,
      }));
      return [file, { imports, text }];
    }),
  );
}

/** Reads every TypeScript file below these folders of `root`. */
export function readGraph(root: string, folders: readonly string[]): Graph {
  const files = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
      .filter((file) => /\.tsx?$/.test(file) && !/(^|\/)(node_modules|dist|\.\w+)\//.test(file)),
  );
  return graphOf(Object.fromEntries(files.map((file) => [file, readFileSync(join(root, file), 'utf8')])));
}

/** Everything that is reached from `start` through imports for which `follow` is true; `start` comes first. */
export function reach(graph: Graph, start: string, follow: (edge: Import) => boolean = () => true): Set<string> {
  const reached = new Set([start]);
  for (const file of reached) {
    for (const edge of graph.get(file)?.imports ?? []) if (follow(edge)) reached.add(edge.to);
  }
  return reached;
}
