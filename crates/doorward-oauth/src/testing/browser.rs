//! A browser for tests, and a server for it: where people and programs sign in with passwords.

use std::{collections::BTreeMap, sync::Arc};

use doorward_accounts::{Accounts, MappingMethod, Rules, SealKey};
use doorward_authn::htpasswd::{self, Entries, Htpasswd};
use doorward_core::Timestamp;
use doorward_jose::Algorithm;
use doorward_store::Records;

use super::{NOW, call};
use crate::{
    OAuthServer,
    call::{Answer, Call},
    config::{ChallengeOffer, Config, IdentityProvider, Issuer, LoginOffer, ProviderKind},
};

/// A server over records that are gone with it. `change` says how it departs from an issuer with nothing but a password
/// file: bob with `password`, carol with `secret`.
pub(crate) fn server(change: impl FnOnce(&mut Config)) -> OAuthServer {
    server_at("https://auth.example.com", change)
}

pub(crate) fn server_at(issuer: &str, change: impl FnOnce(&mut Config)) -> OAuthServer {
    let mut config = Config::new(Issuer::parse(issuer).unwrap());
    config.providers = vec![htpasswd("local")];
    config.signing = Algorithm::Es256;
    change(&mut config);
    let rules = Rules { algorithms: vec![Algorithm::Es256], ..Rules::default() };
    let accounts = Accounts::new(Arc::new(Records::memory()), SealKey::new(&[7; 32]).unwrap(), rules);
    OAuthServer::new(config, Arc::new(accounts)).unwrap()
}

/// A provider with a password file.
pub(crate) fn htpasswd(name: &str) -> IdentityProvider {
    let rows = "bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\ncarol:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
    let users = Htpasswd::new(Entries::parse(rows).unwrap(), htpasswd::Config::default());
    provider(name, ProviderKind::Htpasswd(Arc::new(users)))
}

/// A provider for people and programs.
pub(crate) fn provider(name: &str, kind: ProviderKind) -> IdentityProvider {
    IdentityProvider {
        name: name.to_owned(),
        login: LoginOffer::Offered,
        challenge: ChallengeOffer::Offered,
        mapping: MappingMethod::Claim,
        kind,
    }
}

/// A browser: it keeps cookies, and goes nowhere by itself.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) now: Timestamp,
}

impl Default for Browser {
    fn default() -> Self {
        Self { cookies: BTreeMap::new(), now: NOW }
    }
}

impl Browser {
    pub(crate) async fn get(&mut self, server: &OAuthServer, target: &str) -> Answer {
        self.send(server, call("GET", target).header("accept", "text/html,*/*;q=0.8")).await
    }

    pub(crate) async fn post(
        &mut self,
        server: &OAuthServer,
        target: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(server, call("POST", target).header("accept", "text/html").form(body.as_bytes())).await
    }

    pub(crate) async fn send(&mut self, server: &OAuthServer, mut call: Call) -> Answer {
        if !self.cookies.is_empty() {
            let pairs: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            call = call.header("cookie", &pairs.join("; "));
        }
        call.now = self.now;
        let endpoint = server.find("auth.example.com", &call.path).unwrap();
        let answer = server.answer(endpoint, call).await;
        for cookie in answer.headers().get_all("set-cookie") {
            let line = cookie.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Signs in at the form of `provider` and gives the answer to it.
    pub(crate) async fn log_in(&mut self, server: &OAuthServer, page: &str, user: (&str, &str)) -> Answer {
        let shown = self.get(server, page).await;
        assert_eq!(shown.status(), 200, "{page}");
        let path = page.split('?').next().unwrap();
        let (then, csrf) = (hidden(&shown, "then"), hidden(&shown, "csrf"));
        let fields = [("then", then.as_str()), ("csrf", &csrf), ("username", user.0), ("password", user.1)];
        self.post(server, path, &fields).await
    }
}

/// Where an answer leads.
#[track_caller]
pub(crate) fn location(answer: &Answer) -> String {
    let target =
        answer.headers().get("location").unwrap_or_else(|| panic!("{} {}", answer.status(), text(answer)));
    target.to_str().unwrap().to_owned()
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body().to_vec()).unwrap()
}

/// The value of a hidden field of a page.
#[track_caller]
pub(crate) fn hidden(answer: &Answer, name: &str) -> String {
    let page = text(answer);
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap().replace("&amp;", "&").replace("&#43;", "+")
}

/// A parameter of an address, of its query or fragment.
pub(crate) fn parameter(address: &str, name: &str) -> Option<String> {
    let (_, query) = address.split_once(['?', '#'])?;
    form_urlencoded::parse(query.as_bytes()).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}
