/** `notify-listen/testing`: contract suites for authors of engines and adapters, and a test double for applications. */

export { type AdapterContractOptions, adapterContract } from './adapter-contract.js';
export type {
  AdapterHouse,
  HouseHooks,
  HouseNodes,
  HousePage,
  HouseProvider,
  Neighbour,
  ProviderFaults,
  Tap,
} from './adapter-house.js';
export { assert, assertEqual, type ContractCase } from './case.js';
export { CONTRACT_ENTITIES } from './entities.js';
export { createFaultyLog, type LogFaults } from './faulty-log.js';
export { type LogContractOptions, type LogNodes, logContract } from './log-contract.js';
export { type HouseParts, type HousePlace, serverHouse } from './server-house.js';
export {
  createTestServer,
  type SeenRequest,
  type TestPage,
  type TestServer,
  type TestServerOptions,
} from './test-server.js';
