import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** A user with the program `peer` and what the connection of a cluster tells, and nothing else. */
export interface FabricClient extends Disposable {
  /** Packs a chaincode that listens there, has it installed, approved by all organisations and committed. Result: the package's id. */
  deploy(name: string, address: string, onPackage: (id: string) => void): Promise<void>;
  /** A transaction that all organisations endorse; resolves when it is in the ledger of their peers. */
  invoke(name: string, ...words: readonly string[]): Promise<void>;
  /** From the ledger of one peer. */
  query(peer: number, name: string, ...words: readonly string[]): Promise<string>;
}

interface Network {
  readonly channel: string;
  readonly orderers: readonly Node[];
  readonly peers: readonly Node[];
}

/** `msp` is a folder beside the description of the network. */
interface Node {
  readonly name: string;
  readonly mspId: string;
  readonly msp: string;
  readonly address: string;
}

const run = promisify(execFile);
const timeoutMs = 60_000;

/** `files` by path, as the connection of a cluster has them. */
export function fabricClient(files: Readonly<Record<string, Uint8Array>>): FabricClient {
  const folder = mkdtempSync(join(tmpdir(), 'cellar-fabric-'));
  const keep = (path: string, data: string | Uint8Array): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), data, { mode: 0o600 });
    return join(folder, path);
  };
  for (const [path, data] of Object.entries(files)) keep(path, data);
  keep('core.yaml', 'peer: { BCCSP: { Default: SW, SW: { Hash: SHA2, Security: 256 } } }');
  const network = JSON.parse(Buffer.from(files['network.json'] ?? '').toString()) as Network;
  const { channel, orderers, peers } = network;
  const tlsCaOf = ({ msp }: Node): string => join(folder, msp, 'tlscacerts', 'ca.pem');
  const oneEach = peers.filter(({ msp }, at) => peers.findIndex((other) => other.msp === msp) === at);
  const toOrderer = orderers
    .slice(0, 1)
    .flatMap((one) => ['--orderer', one.address, '--tls', '--cafile', tlsCaOf(one), '--channelID', channel]);
  const toAll = oneEach.flatMap((one) => ['--peerAddresses', one.address, '--tlsRootCertFiles', tlsCaOf(one)]);
  const inputOf = (words: readonly string[]): string => JSON.stringify({ Args: words });

  /** As the administrator of a peer's organisation. */
  async function peer(one: Node | undefined, ...words: readonly string[]): Promise<string> {
    if (!one) throw new Error('There is no such peer');
    const env = {
      ...{ PATH: process.env['PATH'], FABRIC_CFG_PATH: folder, FABRIC_LOGGING_SPEC: 'error', CORE_PEER_ADDRESS: one.address },
      ...{ CORE_PEER_LOCALMSPID: one.mspId, CORE_PEER_MSPCONFIGPATH: join(folder, one.msp) },
      ...{ CORE_PEER_TLS_ENABLED: 'true', CORE_PEER_TLS_ROOTCERT_FILE: tlsCaOf(one) },
    };
    return (await run('peer', words, { env, timeout: timeoutMs })).stdout.trim();
  }

  return {
    async deploy(name, address, onPackage) {
      const connection = JSON.stringify({ address, dial_timeout: '10s', tls_required: false });
      const code = await archive({ 'connection.json': connection });
      const metadata = JSON.stringify({ type: 'ccaas', label: name });
      const file = keep(`${name}.tgz`, await archive({ 'metadata.json': metadata, 'code.tar.gz': code }));
      const id = await peer(peers[0], 'lifecycle', 'chaincode', 'calculatepackageid', file);
      onPackage(id);
      const definition = ['--name', name, '--version', '1', '--sequence', '1'];
      for (const one of peers) await peer(one, 'lifecycle', 'chaincode', 'install', file);
      for (const one of oneEach)
        await peer(one, 'lifecycle', 'chaincode', 'approveformyorg', ...toOrderer, ...definition, '--package-id', id);
      await peer(peers[0], 'lifecycle', 'chaincode', 'commit', ...toOrderer, ...definition, ...toAll);
    },
    async invoke(name, ...words) {
      await peer(
        peers[0],
        'chaincode',
        'invoke',
        ...toOrderer,
        ...toAll,
        '--name',
        name,
        '--ctor',
        inputOf(words),
        '--waitForEvent',
      );
    },
    query: (at, name, ...words) =>
      peer(peers[at], 'chaincode', 'query', '--channelID', channel, '--name', name, '--ctor', inputOf(words)),
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function archive(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const tar = pack();
  for (const [name, data] of Object.entries(files)) tar.entry({ name }, data);
  tar.finalize();
  return gzipSync(await buffer(tar));
}
