import type Docker from 'dockerode';
import { failedPrecondition } from '#kernel/fault.ts';
import { rest } from '#lib/rest.ts';
import type { PlannedMember } from '../../blueprints/logic/plan-members.ts';
import type { ClusterRef } from '../../driver/driver.ts';
import { isConflict, messageOf } from '../docker-engine/connect.ts';
import { readMarks } from '../logic/marks.ts';
import type { SwarmNodes } from './nodes.ts';
import { newest, type ServiceView } from './read-service.ts';
import { beginMember } from './run-members.ts';
import { filterOf, look, marksOf, ownerOf, type Scene, type SwarmScope, soonMs } from './scene.ts';
import { type KeptFile, nodeLabel, serviceSpec, swarmName } from './service-spec.ts';

async function ensureNetwork(scope: SwarmScope, docker: Docker, ref: ClusterRef): Promise<string> {
  const Name = swarmName(ownerOf(scope, ref));
  const find = async () =>
    (await docker.listNetworks({ filters: filterOf(scope, ref.cluster, ref.incarnation) })).find((one) => one.Name === Name)?.Id;
  const found = await find();
  if (found) return found;
  try {
    await docker.createNetwork({ Name, Driver: 'overlay', Labels: marksOf(scope, ref), CheckDuplicate: true });
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
  return (await find()) ?? Name;
}

async function ensureFiles(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  { name, files }: PlannedMember,
): Promise<readonly KeptFile[]> {
  const kept: KeptFile[] = [];
  for (const { path, text, secret: isSecret = false, executable: isExecutable = false } of files) {
    const Name = swarmName(ownerOf(scope, ref), name, path);
    const data = { Name, Labels: marksOf(scope, ref, name), Data: Buffer.from(text).toString('base64') };
    const find = async () => {
      const filters = { ...filterOf(scope, ref.cluster, ref.incarnation), name: [Name] };
      const [found] = await (isSecret ? docker.listSecrets({ filters }) : docker.listConfigs({ filters }));
      return (found as { readonly ID?: string } | undefined)?.ID;
    };
    let id = await find();
    if (!id) {
      try {
        await (isSecret ? docker.createSecret(data) : docker.createConfig(data));
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      id = await find();
    }
    kept.push({ id: id ?? '', name: Name, path, isSecret, isExecutable });
  }
  return kept;
}

/** The ready node of ours with fewest members of this cluster, and of all. Errors: `resource_exhausted`-like `no_node`. */
function chooseNode(nodes: SwarmNodes, scene: Scene, all: readonly ServiceView[], placed: ReadonlyMap<string, number>): string {
  const ours = new Set(nodes.known.map(({ id }) => id));
  const fit = scene.nodes.filter(
    ({ ID, Spec, Status }) => ours.has(ID) && Status?.State === 'ready' && (Spec?.Availability ?? 'active') === 'active',
  );
  const load = (id: string): number => all.filter(({ Spec }) => Spec?.Labels?.[nodeLabel] === id).length;
  const [best] = fit
    .map(({ ID }) => ({ id: ID, own: placed.get(ID) ?? 0, all: load(ID) }))
    .sort((one, other) => one.own - other.own || one.all - other.all || (one.id < other.id ? -1 : 1));
  if (best) return best.id;
  throw failedPrecondition('No node of the swarm takes members: none of this host is ready and active', { reason: 'no_node' });
}

/** See `Driver.create`. */
export async function createMembers(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  members: readonly PlannedMember[],
  signal: AbortSignal,
): Promise<void> {
  await scope.nodes.all(signal);
  const network = await ensureNetwork(scope, docker, ref);
  const scene = await look(scope, docker, ref.cluster, ref.incarnation);
  const all = (await docker.listServices({ filters: filterOf(scope) })) as readonly ServiceView[];
  const placed = new Map<string, number>();
  const place = (node: string): void => void placed.set(node, (placed.get(node) ?? 0) + 1);
  for (const { Spec } of scene.services) place(Spec?.Labels?.[nodeLabel] ?? '');
  for (const member of members) {
    const there = scene.services.find(({ Spec }) => readMarks(Spec?.Labels)?.member === member.name);
    if (there) {
      await beginMember(scope, docker, ref, member.name);
      continue;
    }
    if (member.image === '') {
      throw failedPrecondition('A member has no image, so it cannot run in a container', { reason: 'image_missing' });
    }
    const files = await ensureFiles(scope, docker, ref, member);
    const node = chooseNode(scope.nodes, scene, all, placed);
    try {
      await docker.createService(serviceSpec(ownerOf(scope, ref), member, { node, network, files }));
      place(node);
    } catch (error) {
      // 409: somebody else was faster.
      if (!isConflict(error)) throw portTaken(error) ?? error;
    }
  }
  await assertImages(scope, docker, ref, members, signal);
}

/** A task whose image there is not is refused a moment later, and nobody else would tell why. */
async function assertImages(
  scope: SwarmScope,
  docker: Docker,
  ref: ClusterRef,
  members: readonly PlannedMember[],
  signal: AbortSignal,
): Promise<void> {
  const wanted = new Set(members.map(({ name }) => name));
  for (;;) {
    const { services, tasksOf } = await look(scope, docker, ref.cluster, ref.incarnation);
    const tasks = services
      .filter(({ Spec }) => wanted.has(readMarks(Spec?.Labels)?.member ?? ''))
      .map((service) => newest(tasksOf(service)));
    const refused = tasks.find((task) => task?.Status.State === 'rejected');
    if (refused) {
      throw failedPrecondition(`The swarm cannot run a member: ${refused.Status.Err ?? 'it was rejected'}`, {
        reason: /no such image/i.test(refused.Status.Err ?? '') ? 'image_missing' : 'member_rejected',
        hint: 'Load the image on every node, or name another with the blueprint\'s parameter "image".',
      });
    }
    const early: ReadonlySet<string> = new Set(['new', 'pending', 'assigned', 'accepted', 'preparing', 'ready', 'starting']);
    if (!tasks.some((task) => !task || early.has(task.Status.State))) return;
    await rest(soonMs, signal);
    signal.throwIfAborted();
  }
}

function portTaken(error: unknown): Error | undefined {
  const message = messageOf(error);
  if (!/port .* is already in use/i.test(message)) return undefined;
  return failedPrecondition(`A port is taken in the swarm: ${message}`, { reason: 'port_taken', cause: error });
}
