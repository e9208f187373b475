//! An upstream provider on oidc-provider, well-behaved and not.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

use doorward_testkit::{Browser, Request, free_address};
use serde_json::{Value, json};

use crate::{
    party::{Library, Party, node},
    person::Person,
    place::{Place, SECRET, Store},
};

const SCOPE: [&str; 3] = ["openid", "profile", "groups"];

/// A running provider.
pub(crate) struct Upstream {
    child: Child,
    folder: PathBuf,
    address: std::net::SocketAddr,
}

impl Upstream {
    /// For a server of this issuer that calls the provider `corp`.
    fn start(server: &str) -> Self {
        Self::with(&format!("{server}/oauth/callback/corp"), &json!({}))
    }

    /// With further settings, in which `ISSUER` stands for its address.
    pub(crate) fn with(redirect_uri: &str, more: &Value) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upstream-{}-{number}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let address = free_address();
        let mut settings = json!({
            "issuer": format!("http://{address}"), "port": address.port(), "client_id": "doorward",
            "client_secret": SECRET, "redirect_uri": redirect_uri,
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let file = folder.join("provider.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let mut command = node(&folder, "provider.mjs");
        let mut child = command.arg(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.is_ok_and(|line| line == "ready")), "the provider did not start");
        // Whoever writes into a pipe that nobody reads stops some day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, folder, address }
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came to a path, in its order.
    pub(crate) fn seen(&self, path: &str) -> Vec<Value> {
        let all = Browser::new(self.address).send(Request::get("/seen")).json();
        all.as_array().unwrap().iter().filter(|seen| seen["path"] == path).cloned().collect()
    }

    /// Signs in where a login leads; the target of the callback at doorward.
    #[track_caller]
    pub(crate) fn sign_in(&self, url: &str) -> String {
        let mut browser = Browser::new(self.address);
        let mut target =
            url.strip_prefix(&self.issuer()).unwrap_or_else(|| panic!("not here: {url}")).to_owned();
        for _ in 0..8 {
            let answer = browser.send(Request::get(&target).header("Accept", "text/html"));
            let location = answer.location().to_owned();
            assert!(!location.is_empty(), "{} {}", answer.status, answer.text());
            match location
                .strip_prefix(&self.issuer())
                .or(Some(&location).filter(|_| location.starts_with('/')).map(String::as_str))
            {
                Some(here) => target = here.to_owned(),
                None => return format!("/{}", location.splitn(4, '/').nth(3).unwrap()),
            }
        }
        panic!("still not back: {target}");
    }

    #[track_caller]
    pub(crate) fn order(&self, orders: &Value) {
        let request = Request::new("POST", "/order").body(&orders.to_string());
        assert_eq!(Browser::new(self.address).send(request).status, 200);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A place whose second provider is `corp`.
fn place_with(mapping: &str) -> (Place, Upstream) {
    let mut upstream = None;
    let place = Place::with(Store::Embedded, |settings| {
        let started = Upstream::start(settings["authServer"]["issuer"].as_str().unwrap());
        let provider = json!({
            "name": "corp", "type": "oidc", "login": true, "issuer": started.issuer(), "clientID": "doorward",
            "clientSecret": SECRET, "mappingMethod": mapping, "scopes": ["openid", "profile", "groups"],
            "claims": {"groups": ["groups"]},
        });
        settings["authServer"]["identityProviders"].as_array_mut().unwrap().push(provider);
        upstream = Some(started);
    });
    (place, upstream.unwrap())
}

/// Logs in by way of `corp`; where the browser ends.
fn log_in_at_corp(place: &Place, upstream: &Upstream, party: &mut Party) -> String {
    let order = json!({"do": "begin", "scope": SCOPE, "extra": {"idp": "corp"}});
    let begun = party.does(&order);
    let mut person = Person::alice(place).known_at(&upstream.issuer());
    person.visit(begun["url"].as_str().unwrap())
}

/// Tries to log in by way of `corp`, and is not signed in afterwards: the page that says so.
#[track_caller]
fn turned_away(place: &Place, upstream: &Upstream, party: &mut Party) -> String {
    let begun = party.does(&json!({"do": "begin", "scope": SCOPE, "extra": {"idp": "corp"}}));
    let mut person = Person::alice(place).known_at(&upstream.issuer());
    let answer = person.follow(begun["url"].as_str().unwrap());
    assert!(answer.status >= 400 && answer.location().is_empty(), "{} {}", answer.status, answer.location());
    let begun = party.does(&json!({"do": "begin", "scope": SCOPE, "extra": {"prompt": "none"}}));
    let callback = person.visit(begun["url"].as_str().unwrap());
    assert_eq!(party.is_refused(&json!({"do": "finish", "callback": callback})), "login_required");
    answer.text()
}

fn subject_of(party: &mut Party, callback: &str) -> Value {
    party.does(&json!({"do": "finish", "callback": callback}));
    party.does(&json!({"do": "userinfo"}))
}

#[test]
fn a54_names_that_collide_are_settled_by_the_mapping_method() {
    for (mapping, expected) in [
        ("claim", Err("Somebody who signs in another way has your user name here already.")),
        ("lookup", Err("")),
        ("add", Ok("alice")),
        ("generate", Ok("alice2")),
    ] {
        let (place, upstream) = place_with(mapping);
        let mut party = Party::new(Library::OpenidClient, &place, "app");
        let order = json!({"do": "begin", "scope": SCOPE, "extra": {"idp": "local"}});
        let begun = party.does(&order);
        let callback = Person::alice(&place).visit(begun["url"].as_str().unwrap());
        let local = subject_of(&mut party, &callback);

        upstream.order(&json!({"who": {"sub": "u-1", "preferred_username": "alice", "groups": ["staff"]}}));
        match expected {
            Err(reason) => {
                let page = turned_away(&place, &upstream, &mut party);
                assert!(page.contains(reason), "{mapping}: {page}");
            }
            Ok(name) => {
                let end = log_in_at_corp(&place, &upstream, &mut party);
                let corp = subject_of(&mut party, &end);
                assert_eq!(corp["preferred_username"], name, "{mapping}: {corp}");
                assert_eq!(corp["sub"] == local["sub"], name == "alice", "{mapping}: {corp} {local}");
                assert!(corp["groups"].as_array().unwrap().contains(&json!("staff")), "{corp}");
                // The next time it is the same user.
                let end = log_in_at_corp(&place, &upstream, &mut party);
                assert_eq!(subject_of(&mut party, &end)["sub"], corp["sub"]);
            }
        }
    }
}

#[test]
fn a55_an_upstream_provider_that_misbehaves_signs_nobody_in() {
    let (place, upstream) = place_with("claim");
    let mut party = Party::new(Library::OpenidClient, &place, "app");
    for orders in [
        json!({"error": "access_denied"}),
        json!({"issuer": "https://evil.example"}),
        json!({"claims": {"nonce": "another"}}),
        json!({"claims": {"iss": "https://evil.example"}}),
        json!({"claims": {"aud": "another"}}),
        json!({"claims": {"exp": 1}}),
        json!({"claims": {"sub": ""}}),
    ] {
        upstream.order(&orders);
        let page = turned_away(&place, &upstream, &mut party);
        assert!(!page.contains("<b>"), "{orders}: {page}");
    }
    upstream.order(&json!({"who": {"sub": "u-1", "preferred_username": "jane"}}));
    let end = log_in_at_corp(&place, &upstream, &mut party);
    assert_eq!(subject_of(&mut party, &end)["preferred_username"], "jane");
}
