// An application behind the gateway, on jose: finds keys by discovery, and verifies the tokens in its settings. Argument:
// a file with `issuer` and `tokens`, each with `token`, `audience`, `typ`, and `later` (seconds from now). Prints the PEM
// of each key, then what it makes of each token.

import { readFileSync } from 'node:fs';
import { createPublicKey } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const metadata = await read(`${settings.issuer}/.well-known/openid-configuration`);
if (metadata.issuer !== settings.issuer) throw new Error(`the issuer calls itself ${metadata.issuer}`);
const published = await read(metadata.jwks_uri);
const pem = (jwk) => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
say({ keys: published.keys.map((jwk) => ({ alg: jwk.alg, pem: pem(jwk), members: Object.keys(jwk) })) });

const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
for (const { token, audience, typ, later } of settings.tokens) {
	const currentDate = new Date(Date.now() + (later ?? 0) * 1000);
	try {
		const { payload, protectedHeader } = await jwtVerify(token, keys, {
			issuer: metadata.issuer,
			audience,
			typ,
			currentDate,
			requiredClaims: ['exp', 'iat', 'jti', 'sub'],
		});
		say({ claims: payload, header: protectedHeader });
	} catch (error) {
		say({ refused: error.code ?? String(error) });
	}
}

async function read(url) {
	const answer = await fetch(url);
	if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
	return answer.json();
}

function say(value) {
	console.log(JSON.stringify(value));
}
