export type { ChainGround } from './chain-ground.ts';
export { etcdScenario } from './etcd-scenario.ts';
export { ethereumScenario } from './ethereum-scenario.ts';
export { fabricScenario } from './fabric-scenario.ts';
export { litecoinScenario } from './litecoin-scenario.ts';
export { natsScenario } from './nats-scenario.ts';
