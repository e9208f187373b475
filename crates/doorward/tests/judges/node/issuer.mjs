// An authorization server on oidc-provider whose tokens routes of the gateway take, and jose beside it, which makes what
// such a server never would, with its own key. Argument: a file with issuer, port, client_secret.
// POST /order with JSON decides what the introspection endpoint does: `status` (instead of an answer), `hang`.
// POST /forge with JSON `{how, header, claims}` answers with a token. GET /counts tells how often each path was asked for.

import { readFileSync } from 'node:fs';
import { EncryptJWT, SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'RS256', use: 'sig' };
const counts = {};
let orders = {};

const client = (id) => ({
	client_id: id,
	client_secret: settings.client_secret,
	redirect_uris: [],
	response_types: [],
	grant_types: ['client_credentials'],
});
const provider = new Provider(settings.issuer, {
	clients: [client('worker'), client('gate')],
	jwks: { keys: [key] },
	cookies: { keys: ['a cookie key of tests'] },
	features: {
		devInteractions: { enabled: false },
		clientCredentials: { enabled: true },
		introspection: { enabled: true, allowedPolicy: (_, asking) => asking.clientId === 'gate' },
		jwtIntrospection: { enabled: true },
		revocation: { enabled: true },
		resourceIndicators: {
			enabled: true,
			getResourceServerInfo: (_, resource) => ({
				scope: 'orders:read orders:write',
				audience: 'api',
				accessTokenFormat: resource === 'urn:orders:jwt' ? 'jwt' : 'opaque',
			}),
		},
	},
});

async function body(context) {
	const parts = [];
	for await (const part of context.req) parts.push(part);
	return JSON.parse(Buffer.concat(parts));
}

// Each is a way to make a token that nobody should take.
const forgers = {
	good: (claims, header) => new SignJWT(claims).setProtectedHeader(header).sign(privateKey),
	none: (claims) => new UnsecuredJWT(claims).encode(),
	// The public key, which everybody knows, as a shared secret.
	hmac: async (claims, header) =>
		new SignJWT(claims)
			.setProtectedHeader({ ...header, alg: 'HS256' })
			.sign(new TextEncoder().encode(await exportSPKI(publicKey))),
	ecdsa: async (claims, header) =>
		new SignJWT(claims)
			.setProtectedHeader({ ...header, alg: 'ES256' })
			.sign((await generateKeyPair('ES256')).privateKey),
	embedded: async (claims, header) => {
		const own = await generateKeyPair('RS256');
		const jwk = await exportJWK(own.publicKey);
		return new SignJWT(claims).setProtectedHeader({ ...header, jwk }).sign(own.privateKey);
	},
	crit: (claims, header) =>
		new SignJWT(claims)
			.setProtectedHeader({ ...header, crit: ['urn:x'], 'urn:x': true })
			.sign(privateKey, { crit: { 'urn:x': true } }),
	jwe: (claims) =>
		new EncryptJWT(claims).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: 'one' }).encrypt(new Uint8Array(32)),
};

provider.use(async (context, next) => {
	const { path } = context;
	if (path === '/order') {
		orders = await body(context);
		context.body = {};
	} else if (path === '/counts') {
		context.body = counts;
	} else if (path === '/forge') {
		const { how, header, claims } = await body(context);
		const all = { alg: 'RS256', kid: 'one', typ: 'at+jwt', ...header };
		for (const name of Object.keys(all)) if (all[name] === null) delete all[name];
		context.body = { token: await forgers[how](claims, all) };
	} else {
		counts[path] = (counts[path] ?? 0) + 1;
		if (path === '/token/introspection' && orders.hang) await new Promise(() => {});
		if (path === '/token/introspection' && orders.status) context.status = orders.status;
		else await next();
	}
});

provider.listen(settings.port, '127.0.0.1', () => console.log('ready'));
