/**
 * A program that is killed at any moment: it changes rows and appends their events, and consumes them into a second
 * database, as fast as it can. Arguments: the URLs of the two databases. Writes a dot per consumed batch.
 */
import { openDatabase } from '../database/open.ts';
import { silentLog } from '../log.ts';
import { consumeForever, produceForever } from './crash.ts';

const [producerUrl = '', consumerUrl = ''] = process.argv.slice(2);
const never = new AbortController().signal;
const producer = openDatabase({ url: producerUrl, name: 'producer', log: silentLog });
const consumer = openDatabase({ url: consumerUrl, name: 'consumer', log: silentLog });
await Promise.all([
  produceForever(producer, never),
  consumeForever(producer, consumer, never, () => void process.stdout.write('.')),
]);
