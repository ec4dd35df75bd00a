import type { ApplyOptions } from '../actions/claims.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { collect } from '../pairs.ts';

export function register(program: CliCommand, context: CliContext): void {
  program
    .command('apply')
    .helpGroup('Clusters:')
    .description('Claim a ready cluster: yours until you release it or its time is over.')
    .argument('[blueprint]', 'default: any')
    .argument('[parameter...]', 'name=value that the cluster must have')
    .completes('blueprint', 'none')
    .option('--wait <time>', 'Wait so long for one that becomes free or is built: seconds, or 5m; at most 10m.')
    .option('--ttl <time>', 'How long it is yours unless renewed, such as 8h.')
    .option('--multiple', 'Another one, although you have one that fits.')
    .option('--for <user>', 'Whose it will be, by name; administrators only.')
    .option('--host <name>', 'Only there; several are tried in order.', collect)
    .option('--label <name=value>', 'Only with this label, of the cluster or of its host; may be given several times.', collect)
    .completesOptions({ host: 'host', for: 'user' })
    .example('cellar apply evm-dev', 'A free one')
    .example('cellar apply evm-dev chainId=5 --wait 60 --ttl 8h', 'Wait for one, and keep it for a day of work')
    .example('cellar apply etcd --label zone=b --wait 2m', 'One on a host of that zone; where none is free it is built there')
    .action(async (blueprint: string | undefined, words: string[], options: ApplyOptions) => {
      const { applyForCluster } = await import('../actions/claims.ts');
      await applyForCluster(context, blueprint === undefined ? [] : [blueprint, ...words], options);
    });
}
