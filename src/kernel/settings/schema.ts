import { didYouMean } from '#lib/did-you-mean.ts';
import type { MapShape, Setting, SettingsSpec } from './setting.ts';

/** Settings under one heading of `cellar.yaml`: a service's, or the platform's own. */
export interface Section {
  /** Such as `gateway`. */
  readonly name: string;
  readonly settings: SettingsSpec;
  /** Who reads them, for the reference. */
  readonly owner: string;
}

/** One setting with its full key. */
export interface Entry {
  /** Such as `gateway.port`, or `datasources.docs.folder` for one inside a map. */
  readonly key: string;
  readonly setting: Setting<unknown>;
  readonly section: string;
  /** Of an entry inside a map. */
  readonly inMap: { readonly map: MapEntry; readonly name: string; readonly leaf: string } | undefined;
}

/** A setting that holds named groups, such as `datasources`. */
export interface MapEntry {
  readonly key: string;
  readonly section: string;
  readonly setting: Setting<unknown> & MapShape;
}

/** Every setting of an installation by its key. Errors: a plain `Error` when two sections claim one key. */
export class Schema {
  readonly sections: readonly Section[];
  readonly #entries = new Map<string, Entry>();
  readonly #maps = new Map<string, MapEntry>();

  constructor(sections: readonly Section[]) {
    this.sections = sections;
    for (const { name, settings, owner } of sections) {
      for (const [key, setting] of Object.entries(settings)) {
        const full = key === name ? key : `${name}.${key}`;
        if (this.#entries.has(full) || this.#maps.has(full))
          throw new Error(`Cannot start: ${owner} declares "${full}" a second time.`);
        if (isMap(setting)) this.#maps.set(full, { key: full, section: name, setting });
        else this.#entries.set(full, { key: full, setting, section: name, inMap: undefined });
      }
    }
  }

  get entries(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  get maps(): readonly MapEntry[] {
    return [...this.#maps.values()];
  }

  /** The setting with this key, also one inside a map. */
  find(key: string): Entry | undefined {
    const direct = this.#entries.get(key);
    if (direct) return direct;
    for (const map of this.#maps.values()) {
      if (!key.startsWith(`${map.key}.`)) continue;
      // Names may have dots themselves, leaves may not.
      const leafAt = key.lastIndexOf('.');
      const name = key.slice(map.key.length + 1, leafAt);
      const leaf = key.slice(leafAt + 1);
      const setting = map.setting.of[leaf];
      if (name && setting) return { key, setting, section: map.section, inMap: { map, name, leaf } };
    }
    return undefined;
  }

  map(key: string): MapEntry | undefined {
    return this.#maps.get(key);
  }

  /** True when keys below this one may exist, such as `gateway` or `datasources.docs`. */
  isPrefix(key: string): boolean {
    const start = `${key}.`;
    if (this.#maps.has(key)) return true;
    for (const map of this.#maps.values()) if (map.key.startsWith(start) || isGroup(map, key)) return true;
    for (const known of this.#entries.keys()) if (known.startsWith(start)) return true;
    return false;
  }

  /** What a mistyped key probably means. */
  suggest(key: string): string | undefined {
    const inMaps = [...this.#maps.values()]
      .filter((map) => key.startsWith(`${map.key}.`))
      .flatMap(({ setting }) => Object.keys(setting.of).map((leaf) => `${key.slice(0, key.lastIndexOf('.'))}.${leaf}`));
    return didYouMean(key, [...inMaps, ...this.#entries.keys(), ...this.#maps.keys(), ...this.sections.map(({ name }) => name)]);
  }
}

/** Name of the environment variable of a key: `gateway.port` is `CELLAR_GATEWAY_PORT`, `log.fileSizeMax` is `CELLAR_LOG_FILE_SIZE_MAX`. */
export function environmentName(key: string): string {
  return `CELLAR_${key
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9]+/g, '_')
    .toUpperCase()}`;
}

/** True for the key of one group, such as `datasources.docs`; a name may have dots when its map allows them. */
function isGroup(map: MapEntry, key: string): boolean {
  if (!key.startsWith(`${map.key}.`)) return false;
  const name = key.slice(map.key.length + 1);
  return !name.includes('.') || map.setting.keyPattern.test(name);
}

function isMap(setting: Setting<unknown>): setting is MapEntry['setting'] {
  return setting.kind === 'map' && 'of' in setting;
}
