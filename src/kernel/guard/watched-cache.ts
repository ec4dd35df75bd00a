import { Lru } from '#lib/lru.ts';
import type { Fault } from '../fault.ts';
import { follow } from './follow.ts';

export interface WatchedCacheOptions {
  /** The version of whoever answers: whenever it changes the cache is dropped. */
  readonly watch: (signal: AbortSignal) => AsyncIterable<bigint>;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Entries kept. */
  readonly max: number;
  /** How long an entry serves while the version is watched. Unit: milliseconds. */
  readonly ttlMs: number;
  /** How long entries go on serving after sight of the version was lost. Unit: milliseconds. */
  readonly graceMs: number;
  readonly onLost: (fault: Fault) => void;
}

/** What was loaded; `expireTimeMs` is when it ends by itself, in any case. */
export interface Loaded<V> {
  readonly value: V;
  readonly expireTimeMs?: number | undefined;
}

interface Entry<V> {
  readonly value: V;
  readonly freshUntilMs: number;
  readonly expireTimeMs: number;
}

/**
 * Keeps answers of another service exactly as long as they hold. Nothing is kept before the version is watched, nor what was asked before a
 * change and answered after it.
 */
export class WatchedCache<V> {
  readonly #options: WatchedCacheOptions;
  readonly #loading = new Map<string, Promise<Loaded<V>>>();
  #entries: Lru<string, Entry<V>>;
  #version: bigint | undefined;
  #isWatched = false;
  #lostAtMs = 0;
  /** Grows whenever entries are dropped or sight is lost: tells an answer that it was asked for before. */
  #generation = 0;
  #following: Promise<void> | undefined;

  constructor(options: WatchedCacheOptions) {
    this.#options = options;
    this.#entries = new Lru(options.max);
  }

  /** The value kept, undefined when there is none that may be used now. */
  peek(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const nowMs = this.#options.now();
    const endMs = this.#isWatched ? entry.freshUntilMs : this.#lostAtMs + this.#options.graceMs;
    return nowMs < endMs && nowMs < entry.expireTimeMs ? entry.value : undefined;
  }

  /** The value kept, or loaded now, once for all who ask at the same time. Errors: those of `load`, none of which is kept. */
  async get(key: string, load: () => Promise<Loaded<V>>): Promise<V> {
    this.#following ??= this.#follow();
    const known = this.peek(key);
    if (known !== undefined) return known;
    const underWay = this.#loading.get(key) ?? this.#load(key, load);
    return (await underWay).value;
  }

  #load(key: string, load: () => Promise<Loaded<V>>): Promise<Loaded<V>> {
    const generation = this.#generation;
    const loading = load()
      .then((loaded) => {
        if (this.#isWatched && generation === this.#generation) this.#keep(key, loaded);
        return loaded;
      })
      .finally(() => {
        if (this.#loading.get(key) === loading) this.#loading.delete(key);
      });
    this.#loading.set(key, loading);
    return loading;
  }

  #keep(key: string, { value, expireTimeMs = Number.POSITIVE_INFINITY }: Loaded<V>): void {
    this.#entries.set(key, { value, expireTimeMs, freshUntilMs: this.#options.now() + this.#options.ttlMs });
  }

  #drop(): void {
    this.#generation++;
    this.#entries = new Lru(this.#options.max);
    // Who asks from now on must not get an answer that was on its way before.
    this.#loading.clear();
  }

  #follow(): Promise<void> {
    const { watch, signal, now, onLost } = this.#options;
    return follow({
      watch,
      signal,
      onVersion: (version) => {
        if (version !== this.#version) this.#drop();
        this.#version = version;
        this.#isWatched = true;
      },
      onLost: (fault) => {
        if (this.#isWatched) {
          this.#lostAtMs = now();
          onLost(fault);
        }
        this.#isWatched = false;
        this.#generation++;
      },
    });
  }
}
