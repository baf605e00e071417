/** Arrays that are used again, by number, so that memory is not mapped and given back for every batch; not cleared. */
export class Scratch {
  readonly #words: Int32Array[] = [];
  #scores = new Float64Array(0);
  #bytes = new Uint8Array(0);

  words(index: number, length: number): Int32Array {
    const found = this.#words[index];
    const array = found !== undefined && found.length >= length ? found : new Int32Array(roomFor(length));
    this.#words[index] = array;
    return array.subarray(0, length);
  }

  scores(length: number): Float64Array {
    if (this.#scores.length < length) this.#scores = new Float64Array(roomFor(length));
    return this.#scores.subarray(0, length);
  }

  bytes(length: number): Uint8Array {
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(roomFor(length));
    return this.#bytes.subarray(0, length);
  }
}

/** An eighth more than asked for, as the next may need a little more. */
function roomFor(length: number): number {
  return length + (length >> 3);
}
