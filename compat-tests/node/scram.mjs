// SCRAM-SHA-256 (RFC 5802, RFC 7677) from the client's side.

import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

const mac = (key, data) => createHmac('sha256', key).update(data).digest();

export class Scram {
  constructor(user, password) {
    this.password = password;
    this.bare = `n=${user},r=${randomBytes(12).toString('hex')}`;
  }

  first() {
    return Buffer.from(`n,,${this.bare}`);
  }

  final(serverFirst) {
    const [nonce, salt, iterations] = String(serverFirst).split(',').map((part) => part.slice(2));
    const salted = pbkdf2Sync(this.password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
    const conversation = `${this.bare},${serverFirst},c=biws,r=${nonce}`;
    const clientKey = mac(salted, 'Client Key');
    const mask = mac(createHash('sha256').update(clientKey).digest(), conversation);
    const proof = clientKey.map((octet, i) => octet ^ mask[i]).toString('base64');
    this.signature = `v=${mac(mac(salted, 'Server Key'), conversation).toString('base64')}`;
    return Buffer.from(`c=biws,r=${nonce},p=${proof}`);
  }
}
