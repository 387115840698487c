/** The provider: names a system for everything inside it, and holds the systems of the providers around it. */
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useInsertionEffect,
  useMemo,
} from 'react';
import { DEV } from '../client/dev.js';
import type { ListenClient, ListenClientOptions } from '../client/types.js';
import { misconfigured } from './misconfigured.js';
import { createAbsentSystem, createSystem, type System, type SystemSettings } from './system.js';

/** The name of a system whose provider has none. */
const UNNAMED = 'default';

type Systems = ReadonlyMap<string, System>;

const Systems = /* @__PURE__ */ createContext<Systems>(/* @__PURE__ */ new Map());

interface ProviderOwnProps {
  /**
   * By which name `<Listen system>` and the hooks reach this system, from inside this provider and all providers within
   * it. Default: it is the one that is meant where no name is given.
   */
  readonly name?: string | undefined;
  readonly children?: ReactNode;
}

/**
 * Either the options of a client, or a ready `client`, which the provider uses and never closes. A new `url`,
 * `credentials` or `client` makes all listeners inside move; `adapters`, `world` and `lifecycle` are taken once; every
 * other option is read when it is needed, so inline functions and objects cost nothing.
 */
export type ListenProviderProps = ProviderOwnProps &
  (
    | ({ readonly client?: undefined } & { [K in keyof ListenClientOptions]: ListenClientOptions[K] | undefined })
    | ({ readonly client: ListenClient } & { readonly [K in keyof ListenClientOptions]?: undefined })
  );

/**
 * Makes one client for the widgets inside it: no connection before the first of them listens, none on the server, and
 * it is closed when the provider is unmounted.
 */
export function ListenProvider({ name = UNNAMED, children, ...rest }: ListenProviderProps): ReactElement {
  // To the client, what is `undefined` is not there.
  const settings = rest as SystemSettings;
  const around = useContext(Systems);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the rest of the settings is read through `update`
  const system = useMemo(() => createSystem(settings), [rest.url, rest.credentials, rest.client]);
  const systems = useMemo(() => new Map(around).set(name, system), [around, name, system]);
  system.announce(rest.callbacks);
  useInsertionEffect(() => system.update(settings));
  useEffect(() => system.attach(), [system]);
  return createElement(Systems.Provider, { value: systems }, children);
}

/** The system of this name; in production, one that has a `problem` when there is none. */
export function useSystem(name: string = UNNAMED): System {
  const systems = useContext(Systems);
  return systems.get(name) ?? absentSystem(systems, name);
}

/** What was looked for in vain, by where, so that it is the same one in the next render. */
const absent = /* @__PURE__ */ new WeakMap<Systems, Map<string, System>>();

function absentSystem(systems: Systems, name: string): System {
  const known = absent.get(systems)?.get(name);
  if (known) return known;
  const problem = misconfigured(DEV ? unknownSystem(name, [...systems.keys()]) : `no system ${name}`);
  const made = createAbsentSystem(problem, [...systems.values()].at(-1)?.report);
  absent.set(systems, new Map(absent.get(systems)).set(name, made));
  return made;
}

function unknownSystem(name: string, known: readonly string[]): string {
  if (known.length === 0) {
    return 'there is no <ListenProvider> around this widget; put <ListenProvider url="/notify-listen"> around your page';
  }
  const names = known.map((each) => (each === UNNAMED ? 'the one without a name' : JSON.stringify(each))).join(', ');
  return name === UNNAMED
    ? `every <ListenProvider> around this widget has a name (${names}); say which one is meant: system=${JSON.stringify(known[0])}`
    : `system: ${JSON.stringify(name)} is not known here; the providers around this widget are: ${names}`;
}
