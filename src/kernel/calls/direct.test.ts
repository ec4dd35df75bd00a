import { conformanceSuite } from '../transports/conformance.suite.ts';
import { createDirectChannel } from './direct.ts';

conformanceSuite({ name: 'direct', open: async (_, endpoint) => createDirectChannel(endpoint), aheadMax: 2 });
