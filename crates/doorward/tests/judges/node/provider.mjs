// An identity provider on oidc-provider that signs everybody in as whom it is told, and misbehaves when told to.
// Argument: a file with issuer, port, client_id, client_secret, redirect_uri, and post_logout_redirect_uri if wanted. Orders come as POST /order with JSON:
// `who` (claims, `sub` among them), `error` (of the authorization answer), `issuer` (in the authorization answer),
// `claims` (that replace those of the ID token).

import { readFileSync } from 'node:fs';
import { SignJWT, decodeJwt, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'RS256', use: 'sig' };
let orders = { who: { sub: 'jane' } };

const provider = new Provider(settings.issuer, {
	clients: [
		{
			client_id: settings.client_id,
			client_secret: settings.client_secret,
			redirect_uris: [settings.redirect_uri],
			post_logout_redirect_uris: [settings.post_logout_redirect_uri].filter(Boolean),
			grant_types: ['authorization_code'],
			response_types: ['code'],
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
	features: { devInteractions: { enabled: false } },
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
			: { login: { accountId: orders.who.sub, remember: false } };
		await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
		context.respond = false;
		return;
	}
	await next();
	if (orders.issuer && context.response.get('location')) forgeIssuer(context);
	if (orders.claims && context.path === '/token' && context.body?.id_token) await forgeClaims(context);
});

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

provider.listen(settings.port, '127.0.0.1', () => console.log('ready'));
