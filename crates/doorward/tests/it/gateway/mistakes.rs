//! What is wrong with a gateway is told at the start, all of it together, with file, line, column and mend.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{Echo, Provider, launch};

/// A mistake below `gateway`, after the usual authenticators: line (counted from the first of this text) and column, and
/// part of what is said.
type Mistake = (&'static str, (usize, usize), &'static str);

const SOUND: &str = "upstream: UPSTREAM, authenticate: jwt";

/// What stands before the text in doorward.yaml.
const LINES_BEFORE: usize = 10;

#[track_caller]
fn assert_told((gateway, (line, column), expected): Mistake) {
    let (provider, echo) = (Provider::start(), Echo::start());
    let text = gateway.replace("SOUND", SOUND);
    let exit = launch(&provider, &echo, &text).fail();
    assert_eq!(exit.code, Some(1), "{text}: {}", exit.output);
    let place = format!("doorward.yaml line {}, column {column})", line + LINES_BEFORE);
    let told = exit.output.lines().any(|told| told.contains(expected) && told.contains(&place));
    assert!(told, "{text}\nwanted {expected} at {place}:\n{}", exit.output);
}

const MISTAKES: &[Mistake] = &[
    ("  route: []\n", (1, 3), "gateway.route: there is no such key"),
    (
        "  routes:\n    - {id: a, match: {path: /}, upstream: UPSTREAM}\n",
        (2, 7),
        "write [anonymous] if nobody has to say who they are",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /}, upstream: UPSTREAM, authenticate: [jtw]}\n",
        (2, 82),
        "did you mean jwt?",
    ),
    (
        "  routes:\n    - id: a\n      match: {path: /}\n      upstream: UPSTREAM\n      authenticate: jwt\n      \
             authorize: {policy: rbac}\n",
        (6, 27),
        "there is no policy \"rbac\" below gateway.policies",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /}, SOUND, credential: inernal}\n",
        (2, 98),
        "there is no \"inernal\" below gateway.credentials",
    ),
    (
        "  routes:\n    - id: a\n      match: {path: /}\n      upstream: UPSTREAM\n      authenticate: \
             [anonymous]\n      authorize: {scopes: {any: [x]}}\n",
        (5, 21),
        "nobody who comes by \"anonymous\" can fulfil what authorize asks for",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /}, upstream: UPSTREAM, authenticate: [jwt, anonymous]}\n",
        (2, 81),
        "write authorize: {public: true} if everybody may",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /a/}, SOUND}\n    - {id: b, match: {path: /a/b}, SOUND}\n",
        (3, 22),
        "no request reaches it, as route a matches all of its requests before",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /a}, SOUND}\n    - {id: a, match: {path: /b}, SOUND}\n",
        (3, 12),
        "another route has the same id",
    ),
    ("  routes:\n    - {id: a, match: {}, SOUND}\n", (2, 22), "which requests the route is for"),
    ("  routes:\n    - {id: a, match: {path: 'a'}, SOUND}\n", (2, 29), "it has to begin with a slash"),
    ("  routes:\n    - {id: a, match: {path: /, methods: [get]}, SOUND}\n", (2, 42), "write it in capitals"),
    (
        "  routes:\n    - {id: a, match: {path: /}, authenticate: jwt, upstream: 'http://a/b'}\n",
        (2, 62),
        "the address of an application has no path here",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /}, SOUND, authorize: {all: []}}\n",
        (2, 103),
        "the list is empty, which would ask for nothing",
    ),
    (
        "  routes:\n    - {id: a, match: {path: /}, SOUND, authorize: {authenticator: opaque}}\n",
        (2, 113),
        "\"opaque\" is none of the authenticators of this route",
    ),
    (
        "  credentials: {a: {type: jwt}}\n  routes:\n    - {id: a, match: {path: /}, SOUND, credential: a}\n",
        (3, 98),
        "for whom the credential is",
    ),
    ("  credentials: {a: {type: jwt, ttl: 1h}}\n", (1, 37), "it lives for five minutes at most"),
    ("  credentials: {a: {type: jtw}}\n", (1, 27), "did you mean jwt?"),
    ("  credentials: {a: {type: none, ttl: 1m}}\n", (1, 38), "only the type jwt heeds this"),
    (
        "  policies: {a: {type: opa, url: 'http://opa.example.com/v1/data/a'}}\n",
        (1, 34),
        "write an https address",
    ),
    ("  policies: {a: {type: rego, query: data.a, files: [HERE/none.rego]}}\n", (1, 53), "cannot be read"),
    ("  exchangeRules: [{client: x, subjectIssuers: [self], audiences: [a]}]\n", (1, 19), "the client \"x\""),
    (
        "  exchangeRules: [{client: x, subjectIssuers: [opaqe], audiences: [a]}]\n",
        (1, 48),
        "there is no authenticator \"opaqe\"",
    ),
    (
        "  exchangeRules: [{client: x, subjectIssuers: [opaque], audiences: [a]}]\n",
        (1, 48),
        "name one of type jwt, or write self",
    ),
];

#[test]
fn b40_mistakes_are_told_with_file_line_and_mend() {
    crate::support::at_once(MISTAKES, |row| assert_told(*row));
}

#[test]
fn mistakes_of_authenticators_are_told_too() {
    let (provider, echo) = (Provider::start(), Echo::start());
    for (authenticator, expected) in [
        ("{type: jwt, issuer: 'http://idp.example.com', audiences: [a]}", "write an https address"),
        ("{type: jwt, issuer: 'https://idp.example.com'}", "no audience is named"),
        ("{type: jwt, issuer: 'https://i', audiences: [a], algorithms: [HS256]}", "HS256"),
        ("{type: jwt, issuer: 'https://i', audiences: [a], leeway: 1h}", "leeway"),
        ("{type: jwt, issuer: 'https://i', audiences: [a], url: 'https://i'}", "heeds this"),
        ("{type: introspection, url: 'https://i'}", "write clientID and clientSecretFile"),
        (
            "{type: introspection, url: 'https://i', clientID: a, clientSecretFile: HERE/none}",
            "cannot be read",
        ),
        ("{type: jvt}", "did you mean jwt?"),
        ("{issuer: 'https://i'}", "missing setting: the type"),
        ("{type: x509}", "without an authority anybody could say to be anybody"),
        (
            "{type: jwt, issuer: 'https://i', audiences: [a], identitySource: [$request.body.x]}",
            "names no place",
        ),
    ] {
        let gateway = format!("    mine: {authenticator}\n");
        let exit = launch(&provider, &echo, &gateway).fail();
        assert_eq!(exit.code, Some(1), "{authenticator}: {}", exit.output);
        let told =
            exit.output.lines().any(|told| told.contains("line 11, column") && told.contains(expected));
        assert!(told, "{authenticator}\nwanted {expected}:\n{}", exit.output);
    }
}

#[test]
fn all_mistakes_come_together() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let gateway = "  routes:
    - {id: a, match: {path: /a}, upstream: UPSTREAM, authenticate: [nobody]}
    - {id: b, match: {path: /b}, upstream: UPSTREAM, authenticate: jwt, credential: nothing}
    - {id: c, match: {path: /c}, authenticate: jwt}
";
    let exit = launch(&provider, &echo, gateway).fail();
    for part in ["\"nobody\"", "\"nothing\"", "where requests go"] {
        assert!(exit.output.contains(part), "{part}: {}", exit.output);
    }
}

#[test]
fn a_server_that_is_wrong_is_not_said_to_be_off() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let rules = "  exchangeRules: [{client: x, subjectIssuers: [self], audiences: [a]}]\n";
    let exit = launch(&provider, &echo, rules).fail();
    assert!(exit.output.contains("the client \"x\""), "{}", exit.output);
    assert!(!exit.output.contains("it is off"), "{}", exit.output);
}

#[test]
fn secrets_are_not_for_everybody() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let inline =
        "    partner: {type: introspection, url: 'https://i', clientID: a, clientSecret: s3cr3t-9}\n";
    let open = launch(&provider, &echo, inline);
    fs::set_permissions(open.path("doorward.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    let exit = open.fail();
    assert!(exit.output.contains("everybody on this machine may read"), "{}", exit.output);
    assert!(!exit.output.contains("s3cr3t-9"), "{}", exit.output);
    let file =
        "    partner: {type: introspection, url: 'https://i', clientID: a, clientSecretFile: HERE/open}\n";
    let open = launch(&provider, &echo, file).file("open", "s3cr3t-9");
    fs::set_permissions(open.path("open"), fs::Permissions::from_mode(0o644)).unwrap();
    let exit = open.fail();
    assert!(exit.output.contains("chmod o-rwx"), "{}", exit.output);
    // A variable stands there, and nothing to read.
    let variable = inline.replace("s3cr3t-9", "${PARTNER}");
    let closed = launch(&provider, &echo, &variable).variable("PARTNER", "s3cr3t-9");
    fs::set_permissions(closed.path("doorward.yaml"), fs::Permissions::from_mode(0o644)).unwrap();
    drop(closed.start());
}

#[test]
fn what_is_signed_needs_a_place_for_keys() {
    let (provider, echo) = (Provider::start(), Echo::start());
    let text = "authServer: {enabled: false}\ngateway: {credentials: {a: {type: jwt}}}\n";
    let exit = super::Launch::new(super::PROGRAM, &provider, &echo)
        .file("doorward.yaml", text)
        .flag("--doorward-config={file:doorward.yaml}")
        .fail();
    assert!(exit.output.contains("write authServer.store and authServer.secretKeyFile"), "{}", exit.output);
    assert!(exit.output.contains("gateway.issuer: missing setting"), "{}", exit.output);
}
