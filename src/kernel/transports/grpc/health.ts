import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Server, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import {
  Health,
  type HealthCheckRequest,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as Serving,
} from '#gen/grpc/health/v1/health_pb.ts';
import type { Endpoint } from '../../calls/endpoint.ts';

/**
 * The standard health service. A name is a contract, an instance, or empty for the process.
 * Source: grpc/grpc, doc/health-checking.md.
 */
export function addHealth(server: Server, endpoint: Endpoint): void {
  const serialize = (message: HealthCheckResponse): Buffer => Buffer.from(toBinary(HealthCheckResponseSchema, message));
  const deserialize = (bytes: Buffer): HealthCheckRequest => fromBinary(HealthCheckRequestSchema, bytes);
  const name = `/${Health.typeName}`;
  server.register(
    `${name}/Check`,
    (call: ServerUnaryCall<HealthCheckRequest, HealthCheckResponse>, answer: sendUnaryData<HealthCheckResponse>) => {
      const state = stateOf(endpoint, call.request.service);
      if (state === Serving.SERVICE_UNKNOWN)
        answer({ code: status.NOT_FOUND, details: `No service ${call.request.service} is here` });
      else answer(null, create(HealthCheckResponseSchema, { status: state }));
    },
    serialize,
    deserialize,
    'unary',
  );
  server.register(
    `${name}/Watch`,
    (call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>) => {
      let told: Serving | undefined;
      const tell = (): void => {
        const state = stateOf(endpoint, call.request.service);
        if (state === told) return;
        told = state;
        call.write(create(HealthCheckResponseSchema, { status: state }));
      };
      call.on('cancelled', endpoint.watch(tell));
      tell();
    },
    serialize,
    deserialize,
    'serverStream',
  );
}

function stateOf(endpoint: Endpoint, name: string): Serving {
  if (name === '') return Serving.SERVING;
  const serving = endpoint.services.filter(
    ({ service, contracts }) => service === name || contracts.some((contract) => contract.name === name),
  );
  if (serving.length === 0) return Serving.SERVICE_UNKNOWN;
  return serving.some(({ isDraining }) => !isDraining) ? Serving.SERVING : Serving.NOT_SERVING;
}
