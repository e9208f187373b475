// An authorization server on oidc-provider that stands behind the gateway, which keeps its tokens. It signs everybody in
// as jane, and its access tokens are signed. Argument: a file with issuer, port, client_id, client_secret, redirect_uri.

import { readFileSync } from 'node:fs';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const { privateKey } = await generateKeyPair('RS256', { extractable: true });
const key = { ...(await exportJWK(privateKey)), kid: 'one', alg: 'RS256', use: 'sig' };
const api = { scope: 'orders:read', audience: 'api', accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } } };

const provider = new Provider(settings.issuer, {
	clients: [
		{
			client_id: settings.client_id,
			client_secret: settings.client_secret,
			redirect_uris: [settings.redirect_uri],
			grant_types: ['authorization_code', 'refresh_token'],
			response_types: ['code'],
		},
	],
	jwks: { keys: [key] },
	scopes: ['openid', 'orders:read'],
	cookies: { keys: ['a cookie key of tests'] },
	features: {
		devInteractions: { enabled: false },
		resourceIndicators: {
			enabled: true,
			defaultResource: () => 'urn:api',
			getResourceServerInfo: () => api,
			useGrantedResource: () => true,
		},
	},
	pkce: { required: () => false },
	issueRefreshToken: () => true,
	interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
	findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
	async loadExistingGrant({ oidc }) {
		const grant = new provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
		grant.addOIDCScope('openid orders:read');
		grant.addResourceScope('urn:api', 'orders:read');
		await grant.save();
		return grant;
	},
});

provider.use(async (context, next) => {
	if (!context.path.startsWith('/interaction/')) return next();
	const result = { login: { accountId: 'jane', remember: false } };
	await provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
	context.respond = false;
});

provider.listen(settings.port, '127.0.0.1', () => console.log('ready'));
