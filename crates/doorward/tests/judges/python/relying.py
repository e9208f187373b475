"""A relying party on Authlib and joserfc. It takes one order a line and answers with one line; the browser is the
caller's. Argument: a file with issuer, client_id, client_secret and redirect_uri."""

import json
import sys

import requests
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import KeySet


class RelyingParty:
    def __init__(self, settings):
        self.settings = settings
        method = "client_secret_basic" if settings.get("client_secret") else "none"
        self.session = OAuth2Session(
            settings["client_id"],
            settings.get("client_secret"),
            redirect_uri=settings["redirect_uri"],
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            code_challenge_method="S256",
        )

    def document(self, name, kind):
        answer = requests.get(f"{self.settings['issuer']}/.well-known/{name}", timeout=20)
        answer.raise_for_status()
        document = kind(answer.json())
        document.validate()
        if document["issuer"] != self.settings["issuer"]:
            raise ValueError(f"{name} names another issuer")
        return document

    def discover(self, _order):
        oauth = self.document("oauth-authorization-server", AuthorizationServerMetadata)
        self.metadata = self.document("openid-configuration", OpenIDProviderMetadata)
        for name, value in oauth.items():
            if self.metadata.get(name) != value:
                raise ValueError(f"the documents differ in {name}")
        return self.metadata

    def begin(self, order):
        self.session.scope = " ".join(order["scope"])
        self.nonce, self.verifier = generate_token(32), generate_token(48)
        address, self.state = self.session.create_authorization_url(
            self.metadata["authorization_endpoint"], code_verifier=self.verifier, nonce=self.nonce
        )
        return {"url": address}

    def finish(self, order):
        # Checks the state, and gives what the redirect says of an error.
        self.session.state = self.state
        token = self.session.fetch_token(
            self.metadata["token_endpoint"],
            authorization_response=order["callback"],
            state=self.state,
            code_verifier=self.verifier,
        )
        claims = self.checked(token["id_token"], self.nonce, token["access_token"])
        self.subject = claims["sub"]
        return {**token, "claims": claims}

    def checked(self, text, nonce=None, access_token=None):
        keys = KeySet.import_key_set(requests.get(self.metadata["jwks_uri"], timeout=20).json())
        algorithms = self.metadata["id_token_signing_alg_values_supported"]
        decoded = jwt.decode(text, keys, algorithms=algorithms)
        essential = {"essential": True}
        options = {
            "iss": {"essential": True, "value": self.settings["issuer"]},
            "aud": {"essential": True, "value": self.settings["client_id"]},
            "exp": essential,
            "iat": essential,
            "sub": essential,
        }
        if access_token:
            options["at_hash"] = essential
        parameters = {"nonce": nonce, "access_token": access_token, "client_id": self.settings["client_id"]}
        claims = CodeIDToken(decoded.claims, decoded.header, options, parameters)
        claims.validate()
        return dict(claims)

    def userinfo(self, _order):
        answer = self.session.get(self.metadata["userinfo_endpoint"], timeout=20)
        answer.raise_for_status()
        claims = answer.json()
        if claims["sub"] != self.subject:
            raise ValueError("userinfo is about somebody else")
        return claims

    def refresh(self, order):
        token = self.session.refresh_token(
            self.metadata["token_endpoint"], refresh_token=order.get("token"), **scope_of(order)
        )
        if "error" in token:
            raise OAuthError(token["error"])
        claims = self.checked(token["id_token"]) if "id_token" in token else None
        if claims and claims["sub"] != self.subject:
            raise ValueError("the new id_token is about somebody else")
        return {**token, "claims": claims}

    def grant(self, order):
        endpoint = self.metadata["token_endpoint"]
        token = self.session.fetch_token(endpoint, grant_type=order["type"], **order["parameters"])
        if "error" in token:
            raise OAuthError(token["error"])
        return dict(token)

    def verify(self, order):
        return self.checked(order["id_token"])


def scope_of(order):
    return {"scope": order["scope"]} if "scope" in order else {}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        party = RelyingParty(json.load(file))
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(party, order["do"])(order)
        except OAuthError as error:
            answer = {"refused": error.error, "description": error.description}
        except Exception as error:  # whatever it is, the caller should hear of it
            answer = {"fault": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


main()
