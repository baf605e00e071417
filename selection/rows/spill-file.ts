import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { writeFailure } from '../tables/output.ts';

/** A file without a name for what memory has no room for; the system removes it whatever happens to us. */
export class SpillFile {
  readonly #path: string;
  #descriptor: number | undefined;
  #end = 0;

  /** @param folder - an existing one; nothing is made there before the first write */
  constructor(folder: string) {
    this.#path = join(folder, `.privacy-unit-${randomBytes(6).toString('hex')}`);
  }

  /**
   * Writes bytes at the end and says where they start.
   *
   * @throws DpError `OUTPUT_FAILED` where the disk is full or the folder cannot be written
   */
  append(bytes: Uint8Array): number {
    const start = this.#end;
    try {
      this.#descriptor ??= this.#open();
      for (let done = 0; done < bytes.length;)
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, start + done);
    } catch (error) {
      throw writeFailure(this.#path, error);
    }
    this.#end += bytes.length;
    return start;
  }

  /** Fills `target` with what was written from `start` on. */
  read(start: number, target: Uint8Array): void {
    for (let done = 0; done < target.length;) {
      const read = readSync(this.#descriptor!, target, done, target.length - done, start + done);
      if (read === 0) throw new Error('a temporary file was cut short');
      done += read;
    }
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #open(): number {
    const descriptor = openSync(this.#path, 'wx+', 0o600);
    rmSync(this.#path);
    return descriptor;
  }
}
