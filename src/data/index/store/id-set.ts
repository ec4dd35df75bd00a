const idsPerPage = 1 << 20;

/** Ids that were seen, one bit each; pages of bits are made where ids are, so that a wild one costs no more than its page. */
export class IdSet {
  readonly #pages = new Map<number, Uint8Array>();

  /** False when it was there already. */
  add(id: number): boolean {
    const number = Math.floor(id / idsPerPage);
    let page = this.#pages.get(number);
    if (!page) {
      page = new Uint8Array(idsPerPage / 8);
      this.#pages.set(number, page);
    }
    const at = id - number * idsPerPage;
    const bit = 1 << (at & 7);
    const isNew = ((page[at >> 3] as number) & bit) === 0;
    page[at >> 3] = (page[at >> 3] as number) | bit;
    return isNew;
  }
}
