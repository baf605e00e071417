import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { DpError } from '../../accounting/check.ts';
import { canonicalJson, sha256 } from '../digest.ts';

/** A DSSE envelope (secure-systems-lab/dsse, version 1.0) with one Ed25519 signature. */
export interface Envelope {
  readonly payloadType: string;
  /** Base64. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** What of an envelope can be told without its key, and whether a key signed it. */
export interface OpenedEnvelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** SHA-256 of the public key (SPKI, DER) that the envelope names. */
  readonly keyid: string;
  /** Null where no key was given. */
  readonly isSigned: boolean | null;
}

/**
 * Pre-authentication encoding of DSSE: what is signed, so that type and body can't be taken for one another.
 *
 * @example
 * ```ts
 * const body = new TextEncoder().encode('hello world');
 * new TextDecoder().decode(preAuthentication('http://example.com/HelloWorld', body)); // 'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
 * ```
 */
export function preAuthentication(type: string, body: Uint8Array): Uint8Array {
  const start = `DSSEv1 ${Buffer.byteLength(type)} ${type} ${body.length} `;
  return Buffer.concat([Buffer.from(start), body]);
}

function badKey(what: string, cause: unknown): DpError {
  return new DpError(
    'INVALID_DATA',
    `Cannot read the ${what} key: it is no Ed25519 key in PEM without a passphrase. ` +
      'Make one with `openssl genpkey -algorithm ed25519`, its public half with `openssl pkey -pubout`.',
    { cause },
  );
}

function readPem(pem: string, what: 'private' | 'public'): KeyObject {
  try {
    const key = what === 'private' ? createPrivateKey(pem) : createPublicKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (error) {
    throw badKey(what, error);
  }
  throw badKey(what, undefined);
}

/** Throws `INVALID_DATA` for a text that is no private key to sign with. */
export function checkPrivateKey(pem: string): void {
  readPem(pem, 'private');
}

function keyIdOf(publicKey: KeyObject): string {
  return sha256(publicKey.export({ type: 'spki', format: 'der' }));
}

/** Signs a body of a type. `privateKey`: Ed25519 in PEM. */
export function signEnvelope(
  body: Uint8Array,
  { payloadType, privateKey }: { payloadType: string; privateKey: string },
): Envelope {
  const key = readPem(privateKey, 'private');
  const sig = sign(null, preAuthentication(payloadType, body), key).toString('base64');
  const keyid = keyIdOf(createPublicKey(key));
  return { payloadType, payload: Buffer.from(body).toString('base64'), signatures: [{ keyid, sig }] };
}

/** An envelope as a file has it: canonical JSON, of which every byte counts. */
export function renderEnvelope(envelope: Envelope): string {
  return `${canonicalJson(envelope)}\n`;
}

function isEnvelope(value: unknown): value is Envelope {
  if (typeof value !== 'object' || value === null || !('signatures' in value)) return false;
  const { signatures } = value;
  const [first]: readonly unknown[] = Array.isArray(signatures) ? signatures : [];
  return (
    'payloadType' in value &&
    typeof value.payloadType === 'string' &&
    'payload' in value &&
    typeof value.payload === 'string' &&
    typeof first === 'object' &&
    first !== null &&
    'keyid' in first &&
    typeof first.keyid === 'string' &&
    'sig' in first &&
    typeof first.sig === 'string'
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** True for texts that set out to be an envelope, whole or not. */
export function looksLikeEnvelope(text: string): boolean {
  return /^\s*\{\s*"(?:payload|payloadType|signatures)"/.test(text);
}

/**
 * Opens an envelope; undefined where it is not written the one way that envelopes are written here, so that no byte of a file
 * can change unnoticed.
 *
 * @param text - as `renderEnvelope` gives it
 */
export function openEnvelope(
  text: string,
  options: { publicKey?: string | undefined },
): OpenedEnvelope | undefined {
  const envelope = parsed(text);
  if (!isEnvelope(envelope) || envelope.signatures.length !== 1) return undefined;
  const { payloadType, signatures } = envelope;
  const { keyid, sig } = signatures[0]!;
  const [payload, signature] = [Buffer.from(envelope.payload, 'base64'), Buffer.from(sig, 'base64')];
  const again = { payloadType, payload: payload.toString('base64') };
  const rewritten = renderEnvelope({ ...again, signatures: [{ keyid, sig: signature.toString('base64') }] });
  if (rewritten !== text) return undefined;
  const { publicKey } = options;
  if (publicKey === undefined) return { payloadType, payload, keyid, isSigned: null };
  const key = readPem(publicKey, 'public');
  const isSigned =
    keyid === keyIdOf(key) && verify(null, preAuthentication(payloadType, payload), key, signature);
  return { payloadType, payload, keyid, isSigned };
}
