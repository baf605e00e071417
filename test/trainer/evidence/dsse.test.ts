import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  openEnvelope,
  preAuthentication,
  renderEnvelope,
  signEnvelope,
} from '../../../trainer/evidence/dsse.ts';

const own = generateKeyPairSync('ed25519', {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const other = generateKeyPairSync('ed25519', {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const payloadType = 'application/vnd.in-toto+json';
const signed = (text: string): string =>
  renderEnvelope(signEnvelope(Buffer.from(text), { payloadType, privateKey: own.privateKey }));

describe('preAuthentication()', () => {
  it('gives the published bytes, under which the published signature of DSSE holds', () => {
    // protocol.md of secure-systems-lab/dsse, "Test Vectors": ECDSA over P-256 with SHA-256, r and s one after the other.
    const encoded = preAuthentication('http://example.com/HelloWorld', Buffer.from('hello world'));
    expect(Buffer.from(encoded).toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
    const coordinate = (decimal: bigint): string =>
      Buffer.from(decimal.toString(16).padStart(64, '0'), 'hex').toString('base64url');
    const x = coordinate(46950820868899156662930047687818585632848591499744589407958293238635476079160n);
    const y = coordinate(5640078356564379163099075877009565129882514886557779369047442380624545832820n);
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
    const signature = Buffer.from(
      'A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==',
      'base64',
    );
    expect(verify('sha256', encoded, { key, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true);
  });

  it('counts bytes, not characters, and tells type and body apart', () => {
    expect(Buffer.from(preAuthentication('é', Buffer.from('ü'))).toString()).toBe('DSSEv1 2 é 2 ü');
    expect(Buffer.from(preAuthentication('a 1 b', Buffer.from(''))).toString()).not.toBe(
      Buffer.from(preAuthentication('a', Buffer.from('b'))).toString(),
    );
  });
});

describe('openEnvelope()', () => {
  it('gives the payload back, signed by its own key alone', () => {
    const text = signed('{"a":1}');
    expect(openEnvelope(text, { publicKey: own.publicKey })).toMatchObject({ payloadType, isSigned: true });
    expect(Buffer.from(openEnvelope(text, {})!.payload).toString()).toBe('{"a":1}');
    expect(openEnvelope(text, {})!.isSigned).toBe(null);
    expect(openEnvelope(text, { publicKey: other.publicKey })!.isSigned).toBe(false);
  });

  it('notices any change of any byte', () => {
    const text = signed('{"subject":[]}');
    const change = fc.record({
      at: fc.nat({ max: text.length - 1 }),
      mask: fc.integer({ min: 1, max: 127 }),
    });
    fc.assert(
      fc.property(change, ({ at, mask }) => {
        const bytes = Buffer.from(text);
        bytes[at]! ^= mask;
        return openEnvelope(bytes.toString('latin1'), { publicKey: own.publicKey })?.isSigned !== true;
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses what is written in another way, and several signatures', () => {
    const text = signed('{}');
    for (const changed of [
      `${text} `,
      text.trim(),
      text.replace(',', ', '),
      '',
      '[]',
      'null',
      '{"payload":1}',
    ])
      expect(openEnvelope(changed, { publicKey: own.publicKey }), changed).toBe(undefined);
    const envelope = signEnvelope(Buffer.from('{}'), { payloadType, privateKey: own.privateKey });
    const { signatures } = envelope;
    expect(
      openEnvelope(renderEnvelope({ ...envelope, signatures: [...signatures, ...signatures] }), {}),
    ).toBe(undefined);
  });

  it('takes Ed25519 keys in PEM and no others', () => {
    const ec = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    });
    for (const privateKey of ['', 'key', ec.privateKey, own.publicKey])
      expect(() => signEnvelope(Buffer.from(''), { payloadType, privateKey })).toThrow(
        expect.objectContaining({ code: 'INVALID_DATA' }),
      );
    expect(() => openEnvelope(signed('{}'), { publicKey: ec.publicKey })).toThrow(
      'Cannot read the public key',
    );
  });
});
