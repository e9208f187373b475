// An identity provider on oidc-provider that signs everybody in as whom it is told, and misbehaves when told to.
// Argument: a file with issuer, port, client_id, client_secret, redirect_uri, and if wanted post_logout_redirect_uri, `client`
// (more metadata of the client, `certificate` for its key), `provider` (more settings of the provider; `mTLS: true` among its
// features), and `mtls` (port, certificate, key and authority of a listener for clients with certificates).
// Orders come as POST /order with JSON: `who` (claims, `sub` among them), `acr` (of the login), `error` (of the authorization
// answer), `issuer` (in the authorization answer), `claims` (that replace those of the ID token), `fail` (a path that answers
// with 503). GET /seen tells path, status and assertion of each request.

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'RS256', use: 'sig' };
let orders = { who: { sub: 'jane' } };
const seen = [];
const { certificate, ...client } = settings.client ?? {};
if (certificate) {
	const known = new X509Certificate(certificate);
	const jwk = known.publicKey.export({ format: 'jwk' });
	client.jwks = { keys: [{ ...jwk, x5c: [known.raw.toString('base64')] }] };
}
for (const name of Object.keys(client)) if (client[name] === null) client[name] = undefined;
const { features = {}, ...more } = settings.provider ?? {};
if (features.mTLS) {
	features.mTLS = {
		enabled: true,
		tlsClientAuth: true,
		selfSignedTlsClientAuth: true,
		certificateBoundAccessTokens: true,
		getCertificate: (context) => context.socket.getPeerX509Certificate?.(),
		certificateAuthorized: (context) => context.socket.authorized === true,
		certificateSubjectMatches: (context, property, expected) =>
			property === 'tls_client_auth_subject_dn' &&
			context.socket.getPeerX509Certificate().subject.split('\n').reverse().join(',') === expected,
	};
}
if (features.dPoP?.nonceSecret) {
	features.dPoP.nonceSecret = Buffer.from(features.dPoP.nonceSecret);
	features.dPoP.requireNonce = () => true;
}

const provider = new Provider(settings.issuer, {
	clients: [
		{
			client_id: settings.client_id,
			client_secret: settings.client_secret,
			redirect_uris: [settings.redirect_uri],
			post_logout_redirect_uris: [settings.post_logout_redirect_uri].filter(Boolean),
			grant_types: ['authorization_code'],
			response_types: ['code'],
			...client,
		},
	],
	jwks: { keys: [key] },
	claims: {
		openid: ['sub'],
		email: ['email', 'email_verified'],
		profile: ['name', 'preferred_username'],
		groups: ['groups'],
	},
	// Claims come in the ID token also where there is an access token.
	conformIdTokenClaims: false,
	cookies: { keys: ['a cookie key of tests'] },
	features: { devInteractions: { enabled: false }, ...features },
	...more,
	interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
	findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...orders.who, sub: id }) }),
	// Nobody is asked for consent.
	async loadExistingGrant({ oidc }) {
		const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
		grant.addOIDCScope('openid email profile groups');
		await grant.save();
		return grant;
	},
});

provider.use(async (context, next) => {
	if (context.path === '/order') {
		const parts = [];
		for await (const part of context.req) parts.push(part);
		orders = { who: { sub: 'jane' }, ...JSON.parse(Buffer.concat(parts)) };
		context.body = {};
		return;
	}
	if (context.path.startsWith('/interaction/')) {
		const result = orders.error
			? { error: orders.error, error_description: 'as ordered <b>' }
			: { login: { accountId: orders.who.sub, acr: orders.acr, remember: false } };
		await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
		context.respond = false;
		return;
	}
	if (context.path === '/seen') {
		context.body = seen;
		return;
	}
	if (context.path === orders.fail) {
		context.status = 503;
		return;
	}
	await next();
	const { client_assertion: assertion, client_secret: secret } = context.oidc?.body ?? {};
	seen.push({
		path: context.path,
		status: context.status,
		jti: readable(assertion)?.jti,
		shown: secret !== undefined || context.headers.authorization?.startsWith('Basic ') === true,
		dpop: context.headers.dpop !== undefined,
		tls: context.socket.encrypted === true,
	});
	if (orders.issuer && context.response.get('location')) forgeIssuer(context);
	if (orders.claims && context.path === '/token' && context.body?.id_token) await forgeClaims(context);
});

function readable(assertion) {
	try {
		return decodeJwt(assertion);
	} catch {
		return undefined;
	}
}

function forgeIssuer(context) {
	const location = new URL(context.response.get('location'), settings.issuer);
	if (!location.searchParams.has('iss')) return;
	location.searchParams.set('iss', orders.issuer);
	context.set('location', location.href);
}

async function forgeClaims(context) {
	const claims = { ...decodeJwt(context.body.id_token), ...orders.claims };
	const signing = new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'JWT' });
	context.body = { ...context.body, id_token: await signing.sign(await importJWK(key, 'RS256')) };
}

const ready = () => provider.listen(settings.port, '127.0.0.1', () => console.log('ready'));
if (settings.mtls) {
	const { port, cert, key, ca } = settings.mtls;
	createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, provider.callback()).listen(
		port,
		'127.0.0.1',
		ready,
	);
} else {
	ready();
}
