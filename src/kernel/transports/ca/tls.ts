/** What an end of a TLS connection between machines holds; all PEM. The key is a secret. */
export interface TlsMaterial {
  /** The certificates of the CA that are trusted, the current one first. */
  readonly ca: string;
  /** The certificate of this end. */
  readonly cert: string;
  readonly key: string;
}

type Listener = (material: TlsMaterial) => void;

/** The material in use, which may be renewed while servers and channels use it: connections made from then on have the new one. */
export class TlsIdentity {
  #material: TlsMaterial;
  readonly #listeners = new Set<Listener>();

  constructor(material: TlsMaterial) {
    this.#material = material;
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  renew(material: TlsMaterial): void {
    this.#material = material;
    for (const listener of this.#listeners) listener(material);
  }

  /** Calls `listener` at every renewal until the returned function is called. */
  watch(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
