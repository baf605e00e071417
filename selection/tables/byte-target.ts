import { once } from 'node:events';
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { writeFailure } from './output.ts';

/** Where bytes go, in order; a call ends when they are taken, so that no more is held than what is being written. */
export interface ByteTarget {
  write(pieces: readonly Uint8Array[]): Promise<void>;
  close(): Promise<void>;
}

function byteLength(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** What is left of the pieces after their first bytes. */
function rest(pieces: readonly Uint8Array[], written: number): Uint8Array[] {
  let skip = written;
  return pieces.flatMap(piece => {
    const dropped = Math.min(skip, piece.length);
    skip -= dropped;
    return dropped === piece.length ? [] : [piece.subarray(dropped)];
  });
}

/** A file that is written from its start. */
export async function fileTarget(path: string): Promise<ByteTarget> {
  const handle = await open(path, 'w').catch((error: unknown) => {
    throw writeFailure(path, error);
  });
  return {
    async write(pieces) {
      try {
        for (let left = rest(pieces, 0); left.length > 0;) {
          const { bytesWritten } = await handle.writev(left);
          left = rest(left, bytesWritten);
        }
      } catch (error) {
        throw writeFailure(path, error);
      }
    },
    close: () => handle.close(),
  };
}

/** A stream such as standard output, which is left open at the end. */
export function streamTarget(stream: Writable, name: string): ByteTarget {
  let failure: unknown;
  const onError = (error: unknown): void => {
    failure = writeFailure(name, error);
  };
  stream.on('error', onError);
  return {
    async write(pieces) {
      if (failure === undefined && byteLength(pieces) > 0 && !stream.write(Buffer.concat(pieces))) {
        await once(stream, 'drain').catch(onError);
      }
      if (failure !== undefined) throw failure;
    },
    async close() {
      await new Promise<void>(resolve => {
        stream.write('', () => resolve());
      });
      stream.off('error', onError);
      if (failure !== undefined) throw failure;
    },
  };
}
