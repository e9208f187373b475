//! `gateway.exchangeRules`: who may exchange which tokens at the built-in server.

use doorward_accounts::Scopes;
use doorward_oauth::config::{Exchange, ExchangeMode, ExchangeRule, SubjectIssuer};
use doorward_options::structured::own::{
    Own,
    gateway::{ExchangeRule as Written, Gateway},
};

use super::{authenticators, parts};
use crate::assemble::problems::Problems;

/// Our own tokens, among those that are exchanged.
const OWN: &str = "self";

/// The rules, and whom tokens of the gateway are for. Who signs what comes of it, and who judges tokens of others, is
/// added when the store is open. `server` is the issuer of the built-in server.
pub(crate) fn exchange(own: Option<&Own>, server: Option<&str>, problems: &mut Problems<'_>) -> Exchange {
    let Some(gateway) = own.and_then(|own| own.gateway.as_ref()) else { return Exchange::default() };
    let mut rules = Vec::new();
    for (index, written) in gateway.exchange_rules.iter().enumerate() {
        rules.extend(rule(&format!("gateway.exchangeRules[{index}]"), written, (gateway, server), problems));
    }
    let of_routes = gateway.routes.iter().map(|route| &route.credential.0.audience);
    let of_credentials = gateway.credentials.iter().map(|(_, credential)| &credential.audience);
    let mut audiences: Vec<String> = of_routes.chain(of_credentials).cloned().collect();
    audiences.retain(|audience| !audience.is_empty());
    audiences.sort();
    audiences.dedup();
    Exchange { issuer: None, rules, issuers: Vec::new(), audiences }
}

fn rule(
    place: &str,
    written: &Written,
    around: (&Gateway, Option<&str>),
    problems: &mut Problems<'_>,
) -> Option<ExchangeRule> {
    let before = problems.count();
    let mut subject_issuers = Vec::new();
    for (index, name) in written.subject_issuers.iter().enumerate() {
        let place = format!("{place}.subjectIssuers[{index}]");
        subject_issuers.extend(subject_issuer(&place, name, around, problems));
    }
    let mend = "write names without blanks, quotes and backslashes, each an item of the list";
    let scopes = Scopes::parse(&written.scopes.join(" "));
    let scopes = problems.take(&format!("{place}.scopes"), scopes, mend);
    let modes = [("delegation", ExchangeMode::Delegation), ("impersonation", ExchangeMode::Impersonation)];
    let mode = parts::word(&format!("{place}.mode"), &written.mode, &modes, problems);
    let rule = ExchangeRule {
        client: written.client.clone(),
        subject_issuers,
        audiences: written.audiences.clone(),
        scopes: scopes?,
        mode: mode?,
    };
    (problems.count() == before).then_some(rule)
}

/// Us, or an authenticator that judges signed tokens: of others a token says who issued it only by its signature.
fn subject_issuer(
    place: &str,
    name: &str,
    (gateway, server): (&Gateway, Option<&str>),
    problems: &mut Problems<'_>,
) -> Option<SubjectIssuer> {
    if name == OWN {
        return Some(SubjectIssuer::Own);
    }
    let Some((_, written)) = gateway.authenticators.iter().find(|(known, _)| *known == name) else {
        let judging = gateway.authenticators.iter().filter(|(_, one)| one.kind == authenticators::JWT);
        let known: Vec<&str> = [OWN].into_iter().chain(judging.map(|(name, _)| name)).collect();
        let message = format!("there is no authenticator {name:?}");
        problems.add(place, message, parts::mend_of(name, &known));
        return None;
    };
    if written.kind != authenticators::JWT {
        let message = format!("the authenticator {name} judges no signed tokens of others");
        problems.add(place, message, format!("name one of type {}, or write {OWN}", authenticators::JWT));
        return None;
    }
    let is_ours = |server: &str| {
        let issuer = written.issuer.as_str();
        issuer == server || issuer.strip_prefix(server) == Some("/gateway") || issuer == gateway.issuer
    };
    if server.is_some_and(is_ours) {
        problems.add(place, format!("the tokens of {name} are our own"), format!("write {OWN}"));
        return None;
    }
    Some(SubjectIssuer::Trusted(name.to_owned()))
}
