// A relying party on openid-client, with all checks that it offers. It takes one order a line and answers with one
// line; the browser is the caller's. Argument: a file with issuer, client_id, client_secret, redirect_uri,
// and method or signed_introspection where the usual should not do.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import * as client from 'openid-client';

const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
let config;
let login = {};
let tokens = {};

function authentication() {
	if (!settings.client_secret) return client.None();
	if (settings.method === 'client_secret_post') return client.ClientSecretPost(settings.client_secret);
	return client.ClientSecretBasic(settings.client_secret);
}

const orders = {
	async discover() {
		const metadata = { client_secret: settings.client_secret };
		if (settings.signed_introspection) metadata.introspection_signed_response_alg = 'RS256';
		const insecure = settings.issuer.startsWith('http:') ? [client.allowInsecureRequests] : [];
		// Compares the issuer of the document with the one asked for.
		config = await client.discovery(new URL(settings.issuer), settings.client_id, metadata, authentication(), {
			execute: [...insecure, client.enableNonRepudiationChecks],
		});
		return config.serverMetadata();
	},

	async begin({ scope, extra, pkce }) {
		login = {
			state: client.randomState(),
			nonce: client.randomNonce(),
			verifier: pkce === 'none' ? undefined : client.randomPKCECodeVerifier(),
		};
		const parameters = { redirect_uri: settings.redirect_uri, scope: scope.join(' '), state: login.state, ...extra };
		if (scope.includes('openid')) parameters.nonce = login.nonce;
		if (login.verifier) {
			parameters.code_challenge = await client.calculatePKCECodeChallenge(login.verifier);
			parameters.code_challenge_method = 'S256';
		}
		return { url: client.buildAuthorizationUrl(config, parameters).href, ...login };
	},

	// What is given besides the callback replaces what was remembered, to try what must not work.
	async finish({ callback, state, nonce, verifier, max_age }) {
		tokens = await client.authorizationCodeGrant(config, new URL(callback), {
			expectedState: state ?? login.state,
			expectedNonce: nonce ?? login.nonce,
			pkceCodeVerifier: verifier ?? login.verifier,
			maxAge: max_age,
		});
		const claims = tokens.claims();
		if (claims.at_hash !== halfHash(tokens.access_token)) throw new Error('at_hash is of another token');
		return { ...tokens, claims };
	},

	async userinfo({ token, subject }) {
		return client.fetchUserInfo(config, token ?? tokens.access_token, subject ?? tokens.claims().sub);
	},

	async refresh({ token, scope }) {
		const subject = tokens.claims?.()?.sub;
		const fresh = await client.refreshTokenGrant(config, token ?? tokens.refresh_token, scope ? { scope } : {});
		const claims = fresh.claims() ?? null;
		if (claims && subject && claims.sub !== subject) throw new Error('the new id_token is about somebody else');
		if (!token) tokens = fresh;
		return { ...fresh, claims };
	},

	async introspect({ token }) {
		return client.tokenIntrospection(config, token ?? tokens.access_token);
	},

	async revoke({ token, hint }) {
		await client.tokenRevocation(config, token, hint ? { token_type_hint: hint } : undefined);
		return {};
	},

	async credentials({ parameters }) {
		return client.clientCredentialsGrant(config, parameters);
	},

	async grant({ type, parameters }) {
		return client.genericGrantRequest(config, type, parameters);
	},

	// A token kept from earlier, against the keys that are published now.
	async verify({ id_token }) {
		const { issuer, jwks_uri } = config.serverMetadata();
		const keys = createRemoteJWKSet(new URL(jwks_uri));
		const { payload } = await jwtVerify(id_token, keys, { issuer, audience: settings.client_id });
		return payload;
	},

	// A JWT access token, RFC 9068 section 4.
	async verify_access({ token, audience }) {
		const { issuer, jwks_uri } = config.serverMetadata();
		const keys = createRemoteJWKSet(new URL(jwks_uri));
		const { payload, protectedHeader } = await jwtVerify(token, keys, {
			issuer,
			audience,
			typ: 'at+jwt',
			requiredClaims: ['sub', 'client_id', 'iat', 'exp', 'jti'],
		});
		return { ...payload, header: protectedHeader };
	},
};

// OpenID Connect Core 1.0 section 3.1.3.6, for algorithms with SHA-256.
function halfHash(token) {
	return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url');
}

function describe(error) {
	const challenge = error.cause?.[0]?.parameters;
	if (challenge) return { refused: challenge.error ?? '', status: error.status };
	if (error.error) return { refused: error.error, description: error.error_description, status: error.status };
	const reasons = [];
	for (let reason = error; reason instanceof Error; reason = reason.cause) reasons.push(reason.message);
	return { fault: reasons.join(': ') };
}

for await (const line of createInterface({ input: process.stdin })) {
	const order = JSON.parse(line);
	let answer;
	try {
		answer = await orders[order.do](order);
	} catch (error) {
		answer = describe(error);
	}
	process.stdout.write(`${JSON.stringify(answer)}\n`);
}
