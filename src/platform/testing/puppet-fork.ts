import { runFork } from '../run-fork.ts';
import { puppetCatalogue } from './puppet-catalogue.ts';

runFork(process.argv.at(-1) ?? '', puppetCatalogue);
