/** `notify-listen/testing`: contract suites for authors of engines and adapters, and a test double for applications. */

export {
  type AdapterContractOptions,
  type AdapterHouse,
  adapterContract,
  CONTRACT_ENTITIES,
} from './adapter-contract.js';
export { assert, assertEqual, type ContractCase } from './case.js';
export { createFaultyLog, type LogFaults } from './faulty-log.js';
export { type LogContractOptions, type LogNodes, logContract } from './log-contract.js';
export {
  createTestServer,
  type SeenRequest,
  type TestPage,
  type TestServer,
  type TestServerOptions,
} from './test-server.js';
