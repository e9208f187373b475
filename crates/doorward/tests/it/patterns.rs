//! The configurations of docs/patterns.md, each put to work as it stands there, and what its pattern promises. Only names
//! and addresses are replaced.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_testkit::{
    Answer, Browser, Doorward, Echo, Endpoint, Fault, Headers, Launch, Provider, Redis, Request, page,
};
use serde_json::{Value, json};

use crate::support::PROGRAM;

/// What comes after this comment on the page, in the fence that follows it.
fn block(marker: &str) -> String {
    page::block("patterns.md", marker)
}

/// The world around a gate. The application is every one that the page names.
struct World {
    provider: Provider,
    echo: Echo,
    redis: Option<Redis>,
}

/// A gate in it.
struct Gate {
    // Dropped first: it looks for the provider's secrets in its log.
    doorward: Doorward,
    world: World,
}

/// Secrets that the page names in `/etc/doorward`.
const SECRETS: [(&str, &str); 6] = [
    ("shop.secret", Provider::CLIENT_SECRET),
    ("cookie.secret", Launch::COOKIE_SECRET),
    ("seal.key", "a key that seals what has to be sealed"),
    ("password", PASSWORD),
    ("partner.secret", SECRET),
    ("cluster.token", SECRET),
];
const PASSWORD: &str = "correct horse battery staple";
/// The secret of every client of the built-in server.
const SECRET: &str = "a-secret-of-clients-4711";
/// What a proxy in front would say of who is asking.
const FORGED: [&str; 5] =
    ["X-Forwarded-User", "X-Forwarded-Email", "X-Remote-User", "X-Gateway-Identity", "X_Forwarded_User"];

impl World {
    fn new() -> Self {
        Self { provider: Provider::start(), echo: Echo::start(), redis: None }
    }

    /// A configuration of the page, not started.
    fn launch(&self, pattern: &str) -> Launch {
        let launch = Launch::new(PROGRAM, &self.provider, &self.echo);
        let here = launch.folder();
        let address = launch.address.to_string();
        let mut text = block(&format!("pattern: {pattern}"));
        for (from, to) in [
            ("0.0.0.0:4180", address.as_str()),
            ("https://auth.example.com", &format!("http://{address}")),
            ("https://idp.example.com", &self.provider.issuer()),
            ("https://partner.example.com", &self.provider.issuer()),
            ("https://sts.example.com", &self.provider.issuer()),
            ("https://kubernetes.default.svc", &self.provider.issuer()),
            ("clientID: shop", &format!("clientID: {}", Provider::CLIENT_ID)),
            ("redis://sessions:6379", &self.redis.as_ref().map(Redis::url).unwrap_or_default()),
            ("http://shop:8080", &self.echo.url()),
            ("http://orders:8080", &self.echo.url()),
            ("http://stock:8080", &self.echo.url()),
            ("/etc/doorward", &here),
            ("/var/lib/doorward", &here),
        ] {
            text = text.replace(from, to);
        }
        for outside in
            ["idp.example", "partner.example", "sts.example", "/etc/", "/var/", ":8080", "default.svc"]
        {
            assert!(!text.contains(outside), "{outside} has to be replaced in\n{text}");
        }
        let given = [
            "http-address",
            "provider",
            "oidc-issuer-url",
            "client-id",
            "client-secret",
            "cookie-secret",
            "cookie-secure",
            "email-domain",
            "upstream",
        ];
        let launch = given.into_iter().fold(launch, Launch::without);
        let launch = SECRETS.into_iter().fold(launch, |launch, (name, text)| launch.private_file(name, text));
        let clients = ["reports", "orders", "web"].map(|name| format!("{name}.secret"));
        let launch = clients.iter().fold(launch, |launch, name| launch.private_file(name, SECRET));
        launch.file("doorward.yaml", &text).flag("--doorward-config={file:doorward.yaml}")
    }
}

impl Gate {
    #[track_caller]
    fn new(pattern: &str) -> Self {
        Self::with(pattern, |launch| launch)
    }

    #[track_caller]
    fn with(pattern: &str, change: impl FnOnce(Launch) -> Launch) -> Self {
        let world = World::new();
        let doorward = change(world.launch(pattern)).start();
        Self { doorward, world }
    }

    fn ask(&self, request: Request) -> Answer {
        self.doorward.browser().send(request)
    }

    fn with_token(&self, target: &str, token: &str) -> Answer {
        self.ask(bearer(Request::get(target), token))
    }

    /// A token of the provider for the audience of the page.
    fn jwt(&self, claims: &Value) -> String {
        self.world.provider.set(|knobs| {
            knobs.claims.clear();
            knobs.claim("aud", "shop-api");
            for (name, value) in claims.as_object().unwrap() {
                knobs.claim(name, value.clone());
            }
        });
        self.world.provider.id_token()
    }

    /// What a client of the built-in server gets at its token endpoint.
    fn token_endpoint(&self, client: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(Request::form("/oauth/token", fields).basic(client, SECRET))
    }

    /// An opaque token of a client in its own name.
    #[track_caller]
    fn opaque(&self, client: &str, scope: &str) -> String {
        let answer = self.token_endpoint(client, &[("grant_type", "client_credentials"), ("scope", scope)]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Takes a token back.
    #[track_caller]
    fn revoke(&self, client: &str, token: &str) {
        let answer = self.ask(Request::form("/oauth/revoke", &[("token", token)]).basic(client, SECRET));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Nobody gets in without a credential, with a bad one, or by saying who they are.
    #[track_caller]
    fn keeps_outsiders_out(&self, target: &str) {
        let before = self.world.echo.seen().len();
        let plain = || Request::get(target).header("Accept", "application/json");
        let claiming = FORGED.into_iter().fold(plain(), |request, name| request.header(name, "admin"));
        for request in [plain(), claiming, bearer(plain(), "sha256~none"), bearer(plain(), "a.b.c")] {
            let answer = self.ask(request);
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        assert_eq!(self.world.echo.seen().len(), before);
    }
}

fn bearer(request: Request, token: &str) -> Request {
    request.header("Authorization", &format!("Bearer {token}"))
}

/// The only token in a header that the application got.
#[track_caller]
fn token_in<'a>(seen: &'a Headers, name: &str) -> &'a str {
    let [sent] = seen.all(name)[..] else { panic!("{name} in {seen:?}") };
    sent.strip_prefix("Bearer ").unwrap_or(sent)
}

fn part(token: &str, index: usize) -> Value {
    let text = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(text).unwrap()).unwrap()
}

/// Verifies a token as an application does, with the keys of the gateway: its claims.
#[track_caller]
fn verified(token: &str, gate: &mut Browser) -> Value {
    let metadata = gate.get("/gateway/.well-known/openid-configuration").json();
    let keys = gate.get("/gateway/.well-known/jwks.json").json();
    let header = part(token, 0);
    assert_eq!(header["alg"], "ES256");
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]);
    let key = key.unwrap_or_else(|| panic!("{header} in {keys}"));
    let half = |name: &str| URL_SAFE_NO_PAD.decode_to_vec(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], half("x"), half("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    key.verify(signed.as_bytes(), &signature).expect("the gateway has signed it");
    let claims = part(token, 1);
    assert_eq!(claims["iss"], metadata["issuer"]);
    claims
}

#[test]
fn single_sign_on_each_application_has_its_own_session() {
    let shop = Gate::new("sso");
    let wiki =
        shop.world.launch("sso").private_file("cookie.secret", "another secret of 32 characters.").start();
    let mut person = shop.doorward.browser().logged_in();
    let seen = person.get("/page").echoed();
    assert_eq!(seen.all("x-forwarded-email"), ["jane@example.com"]);
    assert!(!seen.has("cookie"), "{seen:?}");
    // The session of one is none at the other, where the provider knows who it is.
    let mut elsewhere = wiki.browser();
    elsewhere.cookies.clone_from(&person.cookies);
    assert_eq!(elsewhere.send(Request::get("/page").header("Accept", "application/json")).status, 401);
    let mut elsewhere = wiki.browser().logged_in();
    person.get("/oauth2/sign_out");
    assert_eq!(person.send(Request::get("/page").header("Accept", "application/json")).status, 401);
    assert_eq!(elsewhere.get("/page").status, 200);
    // Programs bring a token.
    let seen = shop.with_token("/page", &shop.jwt(&json!({"sub": "robot"}))).echoed();
    assert_eq!(seen.all("x-forwarded-user"), ["robot"]);
    assert!(!seen.has("authorization"), "{seen:?}");
    assert_eq!(shop.with_token("/page", &shop.jwt(&json!({"aud": "other"}))).status, 401);
    shop.keeps_outsiders_out("/page");
}

#[test]
fn a_central_session_counts_at_every_instance_and_ends_at_all_of_them() {
    let world = World { redis: Some(Redis::start(&[])), ..World::new() };
    let (one, other) = (world.launch("central-session").start(), world.launch("central-session").start());
    let mut person = one.browser().logged_in();
    let mut there = other.browser();
    there.cookies.clone_from(&person.cookies);
    for (browser, forged) in [(&mut person, "x"), (&mut there, "y")] {
        let seen = browser.send(Request::get("/page").header("X-Forwarded-User", forged)).echoed();
        assert!(!seen.has("cookie"), "{seen:?}");
        assert!(seen.all("x-forwarded-user").iter().all(|name| *name != forged), "{seen:?}");
        // The keys are the same everywhere.
        for gate in [&one, &other] {
            let claims = verified(token_in(&seen, "authorization"), &mut gate.browser());
            assert_eq!((&claims["aud"], &claims["email"]), (&json!("shop"), &json!("jane@example.com")));
            assert!(claims["groups"].as_array().unwrap().contains(&json!("staff")), "{claims}");
        }
    }
    there.clone().get("/oauth2/sign_out");
    for browser in [&mut person, &mut there] {
        let answer = browser.send(Request::get("/page").header("Accept", "application/json"));
        assert_eq!(answer.status, 401);
    }
    Gate { doorward: one, world }.keeps_outsiders_out("/page");
}

#[test]
fn a_distributed_jwt_is_verified_by_everybody_and_asked_about_by_nobody() {
    let gate = Gate::new("distributed-jwt");
    let jwt = gate.jwt(&json!({"sub": "robot"}));
    let seen = gate.with_token("/orders/7", &jwt).echoed();
    assert_eq!(token_in(&seen, "authorization"), jwt);
    for bad in [json!({"aud": "other"}), json!({"exp": 1_000_000_000}), json!({"iss": "https://elsewhere"})] {
        let bad = gate.jwt(&bad);
        assert_eq!(gate.with_token("/orders/7", &bad).status, 401, "{}", part(&bad, 1));
    }
    // Nobody can take it back: the provider is not even there.
    for endpoint in [Endpoint::Discovery, Endpoint::Keys, Endpoint::Unknown] {
        gate.world.provider.fail(endpoint, Fault::Close);
    }
    assert_eq!(gate.with_token("/orders/7", &jwt).status, 200);
    gate.keeps_outsiders_out("/orders/7");
}

#[test]
fn a_phantom_token_is_opaque_outside_signed_inside_and_taken_back_at_once() {
    let gate = Gate::new("phantom");
    let token = gate.opaque("reports", "orders:read orders:write");
    let seen = gate.with_token("/orders/7", &token).echoed();
    let inside = token_in(&seen, "authorization");
    let claims = verified(inside, &mut gate.doorward.browser());
    assert_eq!(part(inside, 0)["typ"], "at+jwt");
    for (name, value) in [("aud", "orders"), ("client_id", "reports"), ("scope", "orders:read")] {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert!(!format!("{seen:?}").contains(&token), "{seen:?}");
    // What is for inside is nothing outside.
    assert_eq!(gate.with_token("/orders/7", inside).status, 401);
    gate.revoke("reports", &token);
    assert_eq!(gate.with_token("/orders/7", &token).status, 401);
    gate.keeps_outsiders_out("/orders/7");
}

#[test]
fn a_partner_is_asked_about_his_tokens_and_what_he_takes_back_counts_at_once() {
    let gate = Gate::new("introspection");
    let says = |answer| gate.world.provider.fail(Endpoint::Unknown, Fault::Json(answer));
    says(r#"{"active":true,"sub":"acme","client_id":"acme-app","scope":"orders:read","exp":4000000000}"#);
    let seen = gate.with_token("/orders/7", "a-token-of-the-partner").echoed();
    let claims = verified(token_in(&seen, "authorization"), &mut gate.doorward.browser());
    for (name, value) in [("aud", "orders"), ("sub", "acme"), ("scope", "orders:read")] {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert!(!format!("{seen:?}").contains("a-token-of-the-partner"), "{seen:?}");
    let asked = gate.world.provider.calls(Endpoint::Unknown);
    assert_eq!(asked.last().unwrap().parameters["token"], "a-token-of-the-partner");
    says(r#"{"active":false}"#);
    assert_eq!(gate.with_token("/orders/7", "a-token-of-the-partner").status, 401);
    gate.keeps_outsiders_out("/orders/7");
    gate.world.provider.fail(Endpoint::Unknown, Fault::Close);
    assert_eq!(gate.with_token("/orders/7", "a-token-of-the-partner").status, 503);
}

#[test]
fn a_jwt_authoriser_answers_as_aws_does() {
    let gate = Gate::new("jwt-authoriser");
    let jwt = gate.jwt(&json!({"sub": "robot", "scope": "orders:read"}));
    let seen = gate.with_token("/orders/7", &jwt).echoed();
    assert_eq!(token_in(&seen, "authorization"), jwt);
    let poor = gate.with_token("/orders/7", &gate.jwt(&json!({"scope": "stock:read"})));
    assert_eq!((poor.status, poor.text().as_str()), (403, "{\"message\":\"Forbidden\"}"));
    assert!(poor.header("www-authenticate").contains("error=\"insufficient_scope\""));
    let bad = gate.with_token("/orders/7", &gate.jwt(&json!({"aud": "other", "scope": "orders:read"})));
    assert_eq!((bad.status, bad.text().as_str()), (401, "{\"message\":\"Unauthorized\"}"));
    assert!(bad.header("www-authenticate").contains("does not have a valid audience"));
    gate.keeps_outsiders_out("/orders/7");
}

/// What a service sends to exchange a token.
fn exchange<'a>(token: &'a str, audience: &'a str) -> [(&'a str, &'a str); 5] {
    [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("audience", audience),
        ("scope", "stock:read"),
    ]
}

#[test]
fn a_service_exchanges_what_it_got_for_a_token_that_names_it_and_dies_with_the_first() {
    let gate = Gate::new("exchange-by-service");
    let token = gate.opaque("web", "orders:read stock:read");
    let seen = gate.with_token("/orders/7", &token).echoed();
    let inside = token_in(&seen, "authorization");
    let answer = gate.token_endpoint("orders", &exchange(inside, "stock"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let for_stock = answer.json()["access_token"].as_str().unwrap().to_owned();
    let claims = verified(&for_stock, &mut gate.doorward.browser());
    for (name, value) in [("aud", "stock"), ("scope", "stock:read"), ("sub", "client:web")] {
        assert_eq!(claims[name], value, "{claims}");
    }
    assert_eq!(claims["act"], json!({"sub": "client:orders"}));
    // Nothing without a rule: another client, another audience, more than the rule has.
    let error = |client, fields: &[(&str, &str)]| {
        let answer = gate.token_endpoint(client, fields);
        (answer.status, answer.json()["error"].as_str().unwrap_or_default().to_owned())
    };
    let refused = |code: &str| (400, code.to_owned());
    assert_eq!(error("web", &exchange(&token, "stock")), refused("unauthorized_client"));
    assert_eq!(error("orders", &exchange(inside, "payments")), refused("invalid_target"));
    let mut more = exchange(inside, "stock");
    more[4].1 = "orders:read";
    assert_eq!(error("orders", &more), refused("invalid_scope"));
    // Its door is that of stock and no other, and what is for orders does not open it.
    let seen = gate.with_token("/stock/7", &for_stock).echoed();
    assert_eq!(token_in(&seen, "authorization"), for_stock);
    for (target, token) in [("/stock/7", inside), ("/orders/7", for_stock.as_str()), ("/orders/7", inside)] {
        assert_eq!(gate.with_token(target, token).status, 401, "{target}");
    }
    gate.revoke("web", &token);
    assert_eq!(gate.with_token("/stock/7", &for_stock).status, 401);
    assert_eq!(error("orders", &exchange(inside, "stock")), refused("invalid_request"));
    gate.keeps_outsiders_out("/orders/7");
    gate.keeps_outsiders_out("/stock/7");
}

#[test]
fn the_gate_exchanges_what_the_client_brought_at_another_server() {
    let gate = Gate::new("exchange-by-gate");
    let answer = r#"{"access_token":"for-stock","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":300}"#;
    gate.world.provider.fail(Endpoint::Token, Fault::Json(answer));
    let jwt = gate.jwt(&json!({"sub": "robot"}));
    let seen = gate.with_token("/stock/7", &jwt).echoed();
    assert_eq!(token_in(&seen, "authorization"), "for-stock");
    let asked = gate.world.provider.calls(Endpoint::Token);
    let asked = &asked.last().unwrap().parameters;
    assert_eq!((asked["subject_token"].as_str(), asked["audience"].as_str()), (jwt.as_str(), "stock"));
    // Whom that server refuses, nobody lets in.
    let refusal = Fault::Status(400, "{\"error\":\"invalid_request\"}");
    gate.world.provider.fail(Endpoint::Token, refusal);
    let answer = gate.with_token("/stock/8", &gate.jwt(&json!({"sub": "mallory"})));
    assert!(matches!(answer.status, 401 | 403 | 502 | 503), "{} {}", answer.status, answer.text());
    assert_eq!(gate.world.echo.count("/stock/8"), 0);
    gate.keeps_outsiders_out("/stock/7");
}

#[test]
fn scopes_are_granted_by_the_issuer_and_compared_at_the_gate() {
    let gate = Gate::new("scopes");
    let token = gate.opaque("reports", "orders:read");
    let post = || bearer(Request::new("POST", "/orders/7"), &token);
    let seen = gate.with_token("/orders/7", &token).echoed();
    assert!(!seen.has("authorization"), "{seen:?}");
    assert_eq!(gate.ask(post()).status, 403);
    // The issuer does not grant more than the client may have.
    let more = [("grant_type", "client_credentials"), ("scope", "orders:write")];
    assert_eq!(gate.token_endpoint("reports", &more).json()["error"], "invalid_scope");
    gate.revoke("reports", &token);
    assert_eq!((gate.with_token("/orders/7", &token).status, gate.ask(post()).status), (401, 401));
    gate.keeps_outsiders_out("/orders/7");
}

#[test]
fn a_signed_identity_is_verified_by_the_service_and_made_by_nobody_else() {
    let gate = Gate::new("decentralised");
    let jwt = gate.jwt(&json!({"sub": "alice", "groups": ["clerks"]}));
    let request = bearer(Request::get("/orders/7"), &jwt).header("X-Gateway-Identity", "forged");
    let seen = gate.ask(request).echoed();
    assert!(!seen.has("authorization"), "{seen:?}");
    let statement = token_in(&seen, "x-gateway-identity");
    let claims = verified(statement, &mut gate.doorward.browser());
    assert_eq!(part(statement, 0)["typ"], "gw-id+jwt");
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("orders"), &json!("alice")));
    assert!(claims["groups"].as_array().unwrap().contains(&json!("clerks")), "{claims}");
    let lasts = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert!((1..=60).contains(&lasts), "{lasts}");
    // It opens no door.
    assert_eq!(gate.with_token("/orders/7", statement).status, 401);
    assert_eq!(gate.with_token("/orders/7", &gate.jwt(&json!({"exp": 1_000_000_000}))).status, 401);
    gate.keeps_outsiders_out("/orders/7");
}

/// A request of a user whom the provider vouches for.
fn of(gate: &Gate, user: &str, target: &str) -> Answer {
    gate.with_token(target, &gate.jwt(&json!({"sub": user})))
}

#[test]
fn an_embedded_policy_decides_and_what_its_data_takes_back_counts() {
    let files = ["authz.rego", "roles.json"];
    let gate = Gate::with("rego", |launch| {
        files.iter().fold(launch, |launch, name| launch.file(name, &block(&format!("file: {name}"))))
    });
    let request = bearer(Request::get("/orders/7"), &gate.jwt(&json!({"sub": "alice"})));
    let seen = gate.ask(request.header("X-Tier", "platinum")).echoed();
    assert_eq!(seen.all("x-tier"), ["gold"]);
    for (user, target) in [("bob", "/orders/7"), ("mallory", "/orders/7"), ("alice", "/payments/7")] {
        assert_eq!(of(&gate, user, target).status, 403, "{user} {target}");
    }
    gate.keeps_outsiders_out("/orders/7");
    gate.doorward.reload_with("roles.json", r#"{"roles": {"bob": ["clerk"]}}"#);
    assert_eq!(of(&gate, "alice", "/orders/7").status, 403);
    assert_eq!(of(&gate, "bob", "/orders/7").status, 200);
}

#[test]
fn a_cluster_is_asked_whether_the_user_may_and_counts_at_once() {
    let authority = include_str!("tls/certificate.pem");
    let gate = Gate::with("access-review", |launch| launch.file("ca.pem", authority));
    let says = |answer| gate.world.provider.fail(Endpoint::Unknown, Fault::Json(answer));
    says(
        r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","status":{"allowed":true}}"#,
    );
    assert_eq!(of(&gate, "alice", "/orders/7").status, 200);
    let asked = gate.world.provider.calls(Endpoint::Unknown);
    let asked = format!("{:?}", asked.last().unwrap().parameters).replace('\\', "");
    for part in ["\"user\":\"alice\"", "\"verb\":\"get\"", "\"path\":\"/orders/7\""] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    says(
        r#"{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","status":{"allowed":false}}"#,
    );
    assert_eq!(of(&gate, "alice", "/orders/7").status, 403);
    gate.world.provider.fail(Endpoint::Unknown, Fault::Close);
    let answer = of(&gate, "alice", "/orders/7");
    assert!(matches!(answer.status, 403 | 503), "an error is never a yes: {}", answer.status);
    gate.keeps_outsiders_out("/orders/7");
    assert_eq!(gate.world.echo.count("/orders/7"), 1);
}

#[test]
fn in_a_hybrid_the_gate_asks_for_the_scope_and_the_service_hears_what_the_policy_found() {
    let gate = Gate::with("hybrid", |launch| launch.file("view.rego", &block("file: view.rego")));
    for (scope, group, expected) in [
        ("orders:read", "clerks", Some("all")),
        ("orders:read", "customers", Some("own")),
        ("orders:read", "visitors", None),
        ("stock:read", "clerks", None),
    ] {
        let jwt = gate.jwt(&json!({"sub": "alice", "scope": scope, "groups": [group]}));
        let answer = gate.with_token("/orders/7", &jwt);
        let Some(orders) = expected else {
            assert_eq!(answer.status, 403, "{scope} {group}");
            continue;
        };
        let claims = verified(token_in(&answer.echoed(), "authorization"), &mut gate.doorward.browser());
        assert_eq!(claims["authz"], json!({"orders": orders}), "{scope} {group}: {claims}");
    }
    gate.keeps_outsiders_out("/orders/7");
}
