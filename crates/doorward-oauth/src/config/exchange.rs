//! Who may exchange whose tokens for which (RFC 8693): rules, and nothing without a rule. Choosing one is pure.

use std::collections::BTreeSet;

use doorward_accounts::Scopes;

use super::Config;

/// What one client may do with tokens of some issuers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExchangeRule {
    /// The id of the client that asks.
    pub client: String,
    /// Whose tokens it may present.
    pub subject_issuers: Vec<SubjectIssuer>,
    /// Whom the result may be made out to: any of these.
    pub audiences: Vec<String>,
    /// What the result may hold, as far as the token that is presented holds it too.
    pub scopes: Scopes,
    pub mode: ExchangeMode,
}

/// Who issued a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectIssuer {
    /// This server, or its gateway.
    Own,
    /// One of [`super::Exchange::issuers`], by its name.
    Trusted(String),
}

/// What the result says of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeMode {
    /// Nothing: whoever gets it sees the user alone (RFC 8693 section 1.1).
    Impersonation,
    /// That it acts for the user (`act`).
    Delegation,
}

/// An exchange that is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) client: &'a str,
    pub(crate) subject: &'a SubjectIssuer,
    /// Who issued the token of the actor, if there is one.
    pub(crate) actor: Option<&'a SubjectIssuer>,
    /// Nobody in particular: whomever the rule names, if it is one.
    pub(crate) audience: &'a [String],
    pub(crate) scopes: Option<&'a Scopes>,
    /// The scopes of the token that is presented.
    pub(crate) held: &'a Scopes,
}

/// What a rule grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) mode: ExchangeMode,
    pub(crate) audience: Vec<String>,
    pub(crate) scopes: Scopes,
}

/// What no rule has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRule {
    #[error("no rule names the client")]
    Client,
    #[error("no rule lets the client present tokens of this issuer")]
    Subject,
    #[error("no rule lets the client name this actor")]
    Actor,
    #[error("no rule of the client names this audience")]
    Target,
    #[error("the scopes are not all both in the token that is presented and in a rule")]
    Scope,
}

/// Whether a rule has something.
type Test = fn(&ExchangeRule, &Wanted<'_>) -> bool;

/// Takes the first rule that allows all of what is asked for; otherwise tells what the last of them were out at.
pub(crate) fn choose(rules: &[ExchangeRule], wanted: Wanted<'_>) -> Result<Granted, NoRule> {
    let mut left: Vec<&ExchangeRule> = rules.iter().collect();
    let tests: [(NoRule, Test); 5] = [
        (NoRule::Client, |rule, wanted| rule.client == wanted.client),
        (NoRule::Subject, |rule, wanted| rule.subject_issuers.contains(wanted.subject)),
        (NoRule::Actor, |rule, wanted| wanted.actor.is_none_or(|actor| rule.takes_actor(actor))),
        (NoRule::Target, |rule, wanted| rule.audience(wanted).is_some()),
        (NoRule::Scope, |rule, wanted| {
            wanted.scopes.is_none_or(|asked| asked.is_subset(&rule.scopes) && asked.is_subset(wanted.held))
        }),
    ];
    for (fault, passes) in tests {
        left.retain(|rule| passes(rule, &wanted));
        if left.is_empty() {
            return Err(fault);
        }
    }
    let rule = left.first().ok_or(NoRule::Client)?;
    let audience = rule.audience(&wanted).ok_or(NoRule::Target)?;
    let scopes = match wanted.scopes {
        Some(asked) => asked.clone(),
        None => wanted.held.clone().filtered(|scope| rule.scopes.contains(scope)),
    };
    Ok(Granted { mode: rule.mode, audience, scopes })
}

impl ExchangeRule {
    /// Whoever is vouched for by us may act; others if their issuer is listed.
    fn takes_actor(&self, issuer: &SubjectIssuer) -> bool {
        self.mode == ExchangeMode::Delegation
            && (*issuer == SubjectIssuer::Own || self.subject_issuers.contains(issuer))
    }

    fn audience(&self, wanted: &Wanted<'_>) -> Option<Vec<String>> {
        match (wanted.audience, self.audiences.as_slice()) {
            ([], [only]) => Some(vec![only.clone()]),
            ([], _) => None,
            (asked, known) => asked.iter().all(|one| known.contains(one)).then(|| asked.to_vec()),
        }
    }

    pub(super) fn check(&self, config: &Config, mistakes: &mut Vec<String>) {
        let name = &self.client;
        match config.all_clients().into_iter().find(|client| client.id == *name) {
            None => mistakes.push(format!(
                "a rule for token exchange names the client {name:?}, which there is not; add it to the clients"
            )),
            Some(client) if client.is_public() => mistakes.push(format!(
                "a rule for token exchange names the client {name:?}, which has no secret; give it one"
            )),
            Some(_) => (),
        }
        if self.subject_issuers.is_empty() {
            mistakes.push(format!(
                "a rule for token exchange of the client {name:?} names no subject issuers; write self, or others"
            ));
        }
        if self.audiences.is_empty() {
            mistakes.push(format!(
                "a rule for token exchange of the client {name:?} names no audiences; write whom tokens may be for"
            ));
        }
    }
}

impl Config {
    /// The clients that a rule names.
    pub(crate) fn exchanging(&self) -> BTreeSet<&str> {
        self.exchange.rules.iter().map(|rule| rule.client.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    fn rule(client: &str, audiences: &[&str], held: &str, mode: ExchangeMode) -> ExchangeRule {
        ExchangeRule {
            client: client.to_owned(),
            subject_issuers: vec![SubjectIssuer::Own],
            audiences: audiences.iter().map(|&one| one.to_owned()).collect(),
            scopes: scopes(held),
            mode,
        }
    }

    /// Audience, scopes and mode of what is granted.
    #[track_caller]
    fn check(wanted: Wanted<'_>, expected: Result<(&str, &str, ExchangeMode), NoRule>) {
        let partner = SubjectIssuer::Trusted("partner".to_owned());
        let rules = [
            rule("orders", &["inventory"], "inventory:read", ExchangeMode::Delegation),
            rule("orders", &["inventory"], "inventory:write", ExchangeMode::Impersonation),
            rule("orders", &["bills", "stock"], "", ExchangeMode::Impersonation),
            ExchangeRule {
                subject_issuers: vec![partner],
                ..rule("web", &["a"], "x", ExchangeMode::Delegation)
            },
        ];
        let granted = choose(&rules, wanted);
        let told = granted.map(|it| (it.audience.join(" "), it.scopes.to_string(), it.mode));
        assert_eq!(
            told,
            expected.map(|(audience, scopes, mode)| (audience.to_owned(), scopes.to_owned(), mode)),
            "{wanted:?}"
        );
    }

    #[test]
    fn nothing_is_granted_but_what_a_rule_and_the_token_both_have() {
        use ExchangeMode::{Delegation, Impersonation};
        let held = scopes("inventory:read inventory:write orders:read x");
        let (own, partner) = (SubjectIssuer::Own, SubjectIssuer::Trusted("partner".to_owned()));
        let inventory = ["inventory".to_owned()];
        let plain = Wanted {
            client: "orders",
            subject: &own,
            actor: None,
            audience: &inventory,
            scopes: None,
            held: &held,
        };
        check(plain, Ok(("inventory", "inventory:read", Delegation)));
        check(Wanted { client: "other", ..plain }, Err(NoRule::Client));
        check(Wanted { subject: &partner, ..plain }, Err(NoRule::Subject));
        check(Wanted { actor: Some(&own), ..plain }, Ok(("inventory", "inventory:read", Delegation)));
        check(Wanted { actor: Some(&partner), ..plain }, Err(NoRule::Actor));
        let stock = ["stock".to_owned()];
        check(Wanted { actor: Some(&own), audience: &stock, ..plain }, Err(NoRule::Target));
        check(Wanted { audience: &["unknown".to_owned()], ..plain }, Err(NoRule::Target));
        check(
            Wanted { audience: &["inventory".to_owned(), "stock".to_owned()], ..plain },
            Err(NoRule::Target),
        );
        let both = ["stock".to_owned(), "bills".to_owned()];
        check(Wanted { audience: &both, ..plain }, Ok(("stock bills", "", Impersonation)));
        // The only audience of a rule need not be named; one of two does.
        check(Wanted { audience: &[], ..plain }, Ok(("inventory", "inventory:read", Delegation)));
        let web = Wanted { client: "web", subject: &partner, audience: &[], ..plain };
        check(web, Ok(("a", "x", Delegation)));
        // The second rule of the same audience has the scope.
        let write = scopes("inventory:write");
        check(Wanted { scopes: Some(&write), ..plain }, Ok(("inventory", "inventory:write", Impersonation)));
        for asked in ["inventory:read inventory:write", "orders:read", "inventory:admin"] {
            check(Wanted { scopes: Some(&scopes(asked)), ..plain }, Err(NoRule::Scope));
        }
        let read = scopes("inventory:read");
        check(Wanted { scopes: Some(&read), held: &scopes("orders:read"), ..plain }, Err(NoRule::Scope));
        check(Wanted { held: &scopes("orders:read"), ..plain }, Ok(("inventory", "", Delegation)));
    }
}
