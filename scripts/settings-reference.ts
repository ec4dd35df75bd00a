import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadDefinitions } from '#platform/catalogue.ts';
import { settingsSchema } from '#platform/schema.ts';
import { settingsReference } from '#platform/settings-reference.ts';
import { catalogue } from '../src/catalogue.ts';

// Writes docs/settings.md from the definitions of all settings.
const page = settingsReference(settingsSchema(await loadDefinitions(catalogue)));
await writeFile(join(import.meta.dirname, '../docs/settings.md'), page);
