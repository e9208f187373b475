//! `gateway.exchangeRules`: who may exchange which tokens at the built-in server.

use doorward_accounts::Scopes;
use doorward_oauth::config::{Exchange, ExchangeMode, ExchangeRule, SubjectIssuer};
use doorward_options::structured::own::{Own, gateway::ExchangeRule as Written};

use super::parts;
use crate::assemble::problems::Problems;

/// Our own tokens, among those that are exchanged.
const OWN: &str = "self";

/// The rules, and whom tokens of the gateway are for. Who signs what comes of it is added when the store is open.
pub(crate) fn exchange(own: Option<&Own>, problems: &mut Problems<'_>) -> Exchange {
    let Some(gateway) = own.and_then(|own| own.gateway.as_ref()) else { return Exchange::default() };
    let mut rules = Vec::new();
    for (index, written) in gateway.exchange_rules.iter().enumerate() {
        rules.extend(rule(&format!("gateway.exchangeRules[{index}]"), written, problems));
    }
    let of_routes = gateway.routes.iter().map(|route| &route.credential.0.audience);
    let of_credentials = gateway.credentials.iter().map(|(_, credential)| &credential.audience);
    let mut audiences: Vec<String> = of_routes.chain(of_credentials).cloned().collect();
    audiences.retain(|audience| !audience.is_empty());
    audiences.sort();
    audiences.dedup();
    Exchange { issuer: None, rules, issuers: Vec::new(), audiences }
}

fn rule(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<ExchangeRule> {
    let before = problems.count();
    for (index, issuer) in written.subject_issuers.iter().enumerate() {
        if issuer != OWN {
            let place = format!("{place}.subjectIssuers[{index}]");
            problems.add(&place, "tokens of others cannot be exchanged yet", format!("write {OWN}"));
        }
    }
    let mend = "write names without blanks, quotes and backslashes, each an item of the list";
    let scopes = Scopes::parse(&written.scopes.join(" "));
    let scopes = problems.take(&format!("{place}.scopes"), scopes, mend);
    let modes = [("delegation", ExchangeMode::Delegation), ("impersonation", ExchangeMode::Impersonation)];
    let mode = parts::word(&format!("{place}.mode"), &written.mode, &modes, problems);
    let rule = ExchangeRule {
        client: written.client.clone(),
        subject_issuers: written.subject_issuers.iter().map(|_| SubjectIssuer::Own).collect(),
        audiences: written.audiences.clone(),
        scopes: scopes?,
        mode: mode?,
    };
    (problems.count() == before).then_some(rule)
}
