/** Who runs clusters where the platform is. */
export const agentService = 'cellar.grpc.fleet.agent';
/** Who passes calls on to agents that have dialled in. */
export const relayService = 'cellar.grpc.fleet.relay';
