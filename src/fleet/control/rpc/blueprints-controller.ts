import type { MessageInitShape } from '@bufbuild/protobuf';
import { type BlueprintSchema, Blueprints } from '#gen/cellar/fleet/v1/blueprints_pb.ts';
import { type Binding, implement } from '#kernel/calls/dispatcher.ts';
import { placeholders } from '../../blueprints/logic/make-secrets.ts';
import { parseBlueprint } from '../../blueprints/logic/parse-blueprint.ts';
import { clusterWeight, fillParameters, planMembers, portWishes } from '../../blueprints/logic/plan-members.ts';
import { type BlueprintShelf, blueprintInvalid } from '../logic/blueprint-shelf.ts';
import type { KnownBlueprint } from '../logic/control-parts.ts';

export function blueprintsRpc(shelf: BlueprintShelf): Binding {
  return implement(Blueprints, {
    listBlueprints: async () => ({ blueprints: (await shelf.list()).map(blueprintMessage) }),
    getBlueprint: async ({ name }) => blueprintMessage(await shelf.get(name)),
    putBlueprint: async ({ name, text }) => blueprintMessage(await shelf.put(name, text)),
    async deleteBlueprint({ name }) {
      await shelf.remove(name);
      return {};
    },
    validateBlueprint: async ({ text }) => ({ problems: parseBlueprint(text).problems.map((problem) => ({ ...problem })) }),
    async planBlueprint({ name, text, parameters: given }) {
      const parsed = text === '' ? { blueprint: (await shelf.get(name)).blueprint, problems: [] } : parseBlueprint(text);
      if (!parsed.blueprint) throw blueprintInvalid(parsed.problems);
      const { blueprint } = parsed;
      const parameters = fillParameters(blueprint, given);
      const secrets = placeholders(blueprint, parameters);
      // Ports as a host would give them if all of its were free.
      const agent = blueprint.agents[0] ?? 'process';
      const ports = portWishes(blueprint, parameters, agent).map((wish, at) => ({ ...wish, port: 20_000 + at }));
      const plan = planMembers(blueprint, {
        cluster: 'example',
        incarnation: 1,
        agent,
        parameters,
        secrets,
        ports,
        publicHost: '127.0.0.1',
      });
      return {
        parameters,
        weight: clusterWeight(blueprint, parameters),
        members: plan.members.map((member) => ({
          ...{
            name: member.name,
            role: member.role,
            image: member.image,
            command: [...member.command],
            after: [...member.after],
          },
          ports: member.ports.map((port) => `${port.name}: ${port.port}${port.isUdp ? '/udp' : ''}`),
          volumes: member.volumes.map(({ path }) => path),
          files: member.files.map(({ path }) => path),
        })),
      };
    },
  });
}

function blueprintMessage({ blueprint, digest, text, isBuiltIn }: KnownBlueprint): MessageInitShape<typeof BlueprintSchema> {
  const { name, description, heavy = false, agents, parameters = {} } = blueprint;
  return {
    ...{ name, description, heavy, digest, text, builtIn: isBuiltIn, agents: [...agents] },
    parameters: Object.entries(parameters).map(
      ([parameter, { type, description: about, default: value, choices = [], min, max }]) => ({
        ...{ name: parameter, description: about, type, defaultValue: String(value), choices: choices.map(String) },
        ...(min === undefined ? {} : { min: BigInt(min) }),
        ...(max === undefined ? {} : { max: BigInt(max) }),
      }),
    ),
  };
}
