import { environmentName, type Schema } from '#kernel/settings/schema.ts';
import type { Setting } from '#kernel/settings/setting.ts';

/** The reference page of all settings, Markdown. */
export function settingsReference(schema: Schema): string {
  const out = [
    '# Settings',
    '',
    'Every setting with its type, default and meaning; made by `scripts/settings-reference.ts` from the definitions, so do not edit it.',
    '',
    'A value is taken from the first of: a flag of `cellar start`, an environment variable, `cellar config set`, `cellar.yaml` in the home, the default.',
    'In `cellar.yaml` the part of a key before the dot is the heading: `gateway.port` is written as',
    '',
    '```yaml',
    'gateway:',
    '  port: 9090',
    '```',
    '',
    'Changes by `cellar config set` take effect at once, except for settings marked *restart*: those when the server is started again.',
    'The sections `database` and `machine` are needed before stored values can be read, so they are set by file, environment or flag only.',
  ];
  for (const { name, settings, owner } of schema.sections) {
    out.push('', `## ${name}`, '', owner === 'the platform' ? 'Of the platform.' : `Of \`${owner}\`.`, '');
    out.push('| key | type | default | environment | meaning |', '|---|---|---|---|---|');
    for (const [key, setting] of Object.entries(settings)) {
      const full = key === name ? key : `${name}.${key}`;
      if ('of' in setting) {
        out.push(`| \`${full}\` | map | | | ${meaning(setting)} |`);
        for (const [leaf, inner] of Object.entries(setting.of as Record<string, Setting<unknown>>)) {
          out.push(row(`${full}.NAME.${leaf}`, inner, ''));
        }
      } else out.push(row(full, setting, `\`${environmentName(full)}\``));
    }
  }
  return `${out.join('\n')}\n`;
}

function row(key: string, setting: Setting<unknown>, environment: string): string {
  const type = setting.allowed || setting.kind;
  return `| \`${key}\` | ${cell(type)}${setting.unit ? `, ${setting.unit}` : ''} | ${defaultText(setting)} | ${environment} | ${meaning(setting)} |`;
}

function defaultText({ default: value, kind }: Setting<unknown>): string {
  if (kind === 'secret' || value === '' || (Array.isArray(value) && value.length === 0)) return '';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function meaning(setting: Setting<unknown>): string {
  return `${cell(setting.meaning)}${setting.needsRestart ? ' *restart*' : ''}`;
}

function cell(text: string): string {
  return text.replace(/\|/g, '\\|');
}
