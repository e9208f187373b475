"""An authorization server on Authlib whose tokens routes of the gateway take, and joserfc beside it, which makes what such
a server never would, with its own key. Argument: a file with issuer, port, client_secret.
POST /order with JSON decides what the introspection endpoint does: `status` (instead of an answer), `hang`.
POST /forge with JSON `{how, header, claims}` answers with a token. GET /counts tells how often each path was asked for.
"""

import base64
import hmac
import json
import os
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from authlib.common.security import generate_token
from authlib.oauth2 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
with open(sys.argv[1], encoding="utf-8") as file:
    SETTINGS = json.load(file)
KEY = ECKey.generate_key("P-256", {"kid": "one", "alg": "ES256", "use": "sig"}, private=True)
KEYS = KeySet([KEY])
TOKENS, COUNTS, ORDERS = {}, Counter(), {}


class Client(ClientMixin):
    def __init__(self, client_id):
        self.client_id = client_id

    def get_client_id(self):
        return self.client_id

    def get_allowed_scope(self, scope):
        return scope

    def check_client_secret(self, secret):
        return secret == SETTINGS["client_secret"]

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type):
        return self.client_id == "worker" and grant_type == "client_credentials"


class Token(dict):
    def is_expired(self):
        return self["exp"] < time.time()

    def is_revoked(self):
        return False


class JwtTokens(JWTBearerTokenGenerator):
    def get_jwks(self):
        return KEYS.as_dict(private=True)

    def get_audiences(self, client, user, scope):
        return "api"


class Grant(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic"]
    JWT = JwtTokens(SETTINGS["issuer"], alg="ES256")
    OPAQUE = BearerTokenGenerator(lambda **_: generate_token(40))

    def generate_token(self, **parameters):
        resource = self.request.payload.data.get("resource")
        make = self.JWT if resource == "urn:orders:jwt" else self.OPAQUE
        return make(grant_type=self.GRANT_TYPE, client=self.client, **parameters)


class Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS = ["client_secret_basic"]

    def query_token(self, token_string, token_type_hint):
        return TOKENS.get(token_string)

    def check_permission(self, token, client, request):
        return client.client_id == "gate"

    def introspect_token(self, token):
        return dict(token)


class Server(AuthorizationServer):
    def query_client(self, client_id):
        return Client(client_id) if client_id in ("worker", "gate") else None

    def save_token(self, token, request):
        now, client = int(time.time()), request.client.client_id
        TOKENS[token["access_token"]] = Token(
            client_id=client,
            sub=client,
            iss=SETTINGS["issuer"],
            aud="api",
            iat=now,
            exp=now + token["expires_in"],
            token_type=token["token_type"],
            scope=token.get("scope", ""),
        )

    def send_signal(self, name, *args, **kwargs):
        pass

    def create_oauth2_request(self, request):
        return request

    def handle_response(self, status, body, headers):
        return status, body


SERVER = Server()
SERVER.register_grant(Grant)
SERVER.register_endpoint(Introspection)


def stranger(claims, header):
    return jwt.encode(header, claims, ECKey.generate_key("P-256", private=True))


def encoded(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def by_hand(claims, header, sign):
    """For what joserfc refuses to make."""
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{signed}.{encoded(sign(signed.encode()))}"


def with_public_key(message):
    """The public key, which everybody knows, as a shared secret."""
    return hmac.digest(KEY.as_pem(private=False), message, "sha256")


# Each is a way to make a token that nobody should take, but for the first.
FORGERS = {
    "good": lambda claims, header: jwt.encode(header, claims, KEY),
    "none": lambda claims, header: by_hand(claims, {**header, "alg": "none"}, lambda _: b""),
    "hmac": lambda claims, header: by_hand(claims, {**header, "alg": "HS256"}, with_public_key),
    "ecdsa": stranger,
}


def forged(order):
    header = {"alg": "ES256", "kid": "one", "typ": "at+jwt", **order["header"]}
    header = {name: value for name, value in header.items() if value is not None}
    return {"token": FORGERS[order["how"]](order["claims"], header)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        COUNTS[self.path] += 1
        match self.path:
            case "/.well-known/openid-configuration":
                issuer = SETTINGS["issuer"]
                self.answer(200, {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"})
            case "/jwks":
                self.answer(200, KEYS.as_dict(private=False))
            case "/counts":
                self.answer(200, COUNTS)
            case _:
                self.answer(404, {})

    def do_POST(self):
        global ORDERS
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        match self.path:
            case "/order":
                ORDERS = json.loads(body)
                self.answer(200, {})
            case "/forge":
                self.answer(200, forged(json.loads(body)))
            case "/token":
                self.answer(*SERVER.create_token_response(self.request_of(body)))
            case "/token/introspection":
                COUNTS[self.path] += 1
                if ORDERS.get("hang"):
                    threading.Event().wait()
                if status := ORDERS.get("status"):
                    return self.answer(status, {})
                self.answer(*SERVER.create_endpoint_response("introspection", self.request_of(body)))
            case _:
                self.answer(404, {})

    def request_of(self, body):
        request = Request("POST", SETTINGS["issuer"] + self.path, headers=self.headers)
        request.fields = dict(parse_qsl(body))
        request.payload = BasicOAuth2Payload(request.fields)
        return request

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Request(OAuth2Request):
    @property
    def form(self):
        return self.fields

    @property
    def args(self):
        return {}


class Listener(ThreadingHTTPServer):
    daemon_threads = True


LISTENER = Listener(("127.0.0.1", SETTINGS["port"]), Handler)
print("ready", flush=True)
LISTENER.serve_forever()
