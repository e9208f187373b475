//! The gateway: `gateway` of doorward.yaml. [`plan`] checks everything that can be checked without contacting anybody, and
//! tells all mistakes together; [`Plan::ready`] joins it to the store, which is open by then.

mod authenticators;
mod conditions;
mod credentials;
mod exchange;
mod parts;
mod policies;
mod routes;
mod upstreams;

use std::{collections::BTreeMap, sync::Arc};

use doorward_accounts::{Accounts, Rules};
use doorward_authn::{chain::Naming, gateway::Authenticator};
use doorward_authz::gateway::Routes;
use doorward_gateway::{Credential, Handles, Issuer, IssuerConfig, PhantomConfig, PomeriumKeys};
use doorward_jose::Algorithm;
use doorward_oauth::config::TrustedIssuer;
use doorward_options::structured::{
    Provider,
    own::{
        AuthServer, Own, RecordStore,
        gateway::{Gateway as Written, Route},
    },
};
use doorward_policy::Policies;
use doorward_server::{
    api::{ErrorFormat, IdentityForm},
    gateway::{CredentialUse, Gateway, RoutePlan},
};
use doorward_session::OwnCookies;
use doorward_upstream::Upstreams;

pub(crate) use self::{authenticators::KeptKeys, exchange::exchange, parts::inline_secrets};
use super::{
    api_auth,
    auth_server::{self, RecordsPlan, SignInAt},
    problems::Problems,
};

/// The configuration, checked; what belongs to the store comes with [`Plan::ready`].
#[derive(Debug)]
pub(crate) struct Plan {
    authenticators: Vec<authenticators::Planned>,
    keys: KeptKeys,
    policies: Arc<Policies>,
    credentials: Vec<credentials::Planned>,
    routes: Routes,
    planned: Vec<routes::Planned>,
    /// How failures look, and how applications are told who it is, where no route says it.
    errors: ErrorFormat,
    identity: IdentityForm,
    issuer: Option<IssuerConfig>,
    algorithms: Vec<Algorithm>,
    /// Where keys and tokens are, if the built-in server does not open them anyway.
    records: Option<(RecordsPlan, Rules)>,
}

/// What is configured beside it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside<'a> {
    pub(crate) server: Option<&'a auth_server::Plan>,
    pub(crate) api: Option<&'a api_auth::Plan>,
    pub(crate) former: Option<&'a KeptKeys>,
    pub(crate) sign_in: SignInAt,
    /// At which people sign in, where they do that at providers.
    pub(crate) providers: &'a [Provider],
}

/// What is there once everything is open.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) gateway: Box<Gateway>,
    pub(crate) keys: KeptKeys,
}

/// Checks the configuration; `Some(None)` if there is none.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a gateway")]
pub(crate) fn plan(
    own: Option<&Own>,
    beside: Beside<'_>,
    problems: &mut Problems<'_>,
) -> Option<Option<Plan>> {
    let Some((own, written)) = own.and_then(|own| Some((own, own.gateway.as_ref()?))) else {
        return Some(None);
    };
    let before = problems.count();
    let (authenticators, keys) =
        authenticators::authenticators(&written.authenticators, beside.former, problems);
    let policies = policies::policies(&written.policies, problems);
    let credentials = credentials::credentials(&written.credentials, problems);
    let names = Names::of(written);
    let usual = routes::errors("gateway.errorFormat", &written.error_format, ErrorFormat::Auto, problems);
    let usual = usual.unwrap_or(ErrorFormat::Auto);
    let identity = beside.api.map_or(&IdentityForm::Forwarded, api_auth::Plan::identity);
    let around = routes::Around {
        authenticators: &authenticators,
        credentials: &credentials,
        policies: policies.as_ref(),
        policy_names: &names.policies,
        written: (&names.authenticators, &names.credentials),
        errors: usual,
        identity,
        sign_in: beside.sign_in,
        providers: beside.providers,
    };
    let routes = routes::routes(&written.routes, around, problems);
    // Of a server that is on, but wrong, the mistakes have been told.
    let is_on = own.auth_server.as_ref().is_some_and(|server| server.enabled == Some(true));
    if !written.exchange_rules.is_empty() && beside.server.is_none() && !is_on {
        let message = "the built-in server exchanges tokens, and it is off";
        problems.add(
            "gateway.exchangeRules",
            message,
            "write authServer.enabled: true, or take the rules away",
        );
    }
    let needs = Needs::of(written, &authenticators, &credentials);
    let issuer = issuer(written, own.auth_server.as_ref(), (&needs, &credentials, beside), problems);
    let records = match beside.server {
        Some(_) => Some(None),
        None => records(own.auth_server.as_ref(), &needs, problems),
    };
    if problems.count() > before {
        return None;
    }
    let (routes, planned) = routes?;
    Some(Some(Plan {
        authenticators,
        keys,
        policies: Arc::new(policies?),
        credentials,
        routes,
        planned,
        errors: usual,
        identity: identity.clone(),
        issuer: issuer?,
        algorithms: needs.algorithms,
        records: records?,
    }))
}

/// Whether the gateway of this file works with nobody signing in. Where `authServer` is not written, the built-in server
/// is there for whatever asks for it; where it is off, a route that does is told so.
pub(crate) fn stands_alone(own: &Own) -> bool {
    let Some(written) = &own.gateway else { return false };
    match own.auth_server.as_ref().map(|server| server.enabled) {
        Some(Some(false)) => true,
        Some(_) => false,
        None => own.api_auth.is_none() && !asks_for_server(written),
    }
}

/// Whether anything has to do with people who sign in, or with the store.
fn asks_for_server(written: &Written) -> bool {
    let by_session = |route: &Route| {
        route.authenticate.iter().any(|names| names.0.iter().any(|name| name == authenticators::SESSION))
    };
    let mut authenticators = written.authenticators.iter().map(|(_, one)| one.kind.as_str());
    let mut credentials = written.credentials.iter().map(|(_, one)| one.kind.as_str());
    authenticators.any(|kind| matches!(kind, "opaque" | "session"))
        || credentials.any(|kind| matches!(kind, "jwt" | "identity"))
        || !written.exchange_rules.is_empty()
        || written.routes.iter().any(|route| by_session(route) || route.token_responses.is_some())
}

/// Names as they are written, whether sound or not: of what is wrong with them, that alone is told.
struct Names<'a> {
    authenticators: Vec<&'a str>,
    policies: Vec<&'a str>,
    credentials: Vec<&'a str>,
}

impl<'a> Names<'a> {
    fn of(written: &'a Written) -> Self {
        Self {
            authenticators: written.authenticators.iter().map(|(name, _)| name).collect(),
            policies: written.policies.iter().map(|(name, _)| name).collect(),
            credentials: written.credentials.iter().map(|(name, _)| name).collect(),
        }
    }
}

/// What the store is needed for.
struct Needs {
    /// Where it stands in the file.
    place: Option<String>,
    /// What something is signed with.
    algorithms: Vec<Algorithm>,
}

impl Needs {
    fn of(
        written: &Written,
        authenticators: &[authenticators::Planned],
        credentials: &[credentials::Planned],
    ) -> Self {
        let signed = credentials.iter().find(|one| one.signed_with().is_some()).map(|one| one.place.clone());
        let looked_up = authenticators.iter().find(|one| one.needs_accounts()).map(|one| one.place.clone());
        let mut algorithms: Vec<Algorithm> = Vec::new();
        for algorithm in credentials.iter().filter_map(credentials::Planned::signed_with) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        let is_swapped = |route: &Route| route.token_responses.is_some();
        let swapped = written.routes.iter().position(is_swapped);
        let swapped = swapped.map(|index| format!("gateway.routes[{index}].tokenResponses"));
        let usual = PhantomConfig::default().algorithm;
        if !written.exchange_rules.is_empty() && !algorithms.contains(&usual) {
            algorithms.push(usual);
        }
        Self { place: signed.or(looked_up).or(swapped), algorithms }
    }
}

/// Who signs. `Some(None)` if nothing is signed and nobody wrote an issuer.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there an issuer")]
fn issuer(
    written: &Written,
    server: Option<&AuthServer>,
    (needs, credentials, beside): (&Needs, &[credentials::Planned], Beside<'_>),
    problems: &mut Problems<'_>,
) -> Option<Option<IssuerConfig>> {
    if needs.algorithms.is_empty() && written.issuer.is_empty() {
        return Some(None);
    }
    let of_server = beside.server.map(|server| server.issuer().to_owned());
    let of_server = of_server.or_else(|| server.map(|server| server.issuer.clone()));
    let issuer = match (written.issuer.as_str(), of_server.filter(|issuer| !issuer.is_empty())) {
        ("", Some(server)) => format!("{}/gateway", server.trim_end_matches('/')),
        ("", None) => {
            let message = "missing setting: by which applications find the keys that verify what they get";
            let mend =
                "write the address of this program with a path, such as https://auth.example.com/gateway";
            problems.add("gateway.issuer", message, mend);
            return None;
        }
        (written, server) => {
            let example = "https://auth.example.com/gateway";
            let url = parts::address("gateway.issuer", written, example, problems)?;
            let is_plain = url.query().is_none() && url.fragment().is_none() && !written.ends_with('/');
            if !is_plain || server.is_some_and(|server| server == written) {
                let message = "the issuer of the gateway has neither query nor slash at its end, and is another than \
                               the server's";
                problems.add("gateway.issuer", message, format!("write for example {example}"));
                return None;
            }
            written.to_owned()
        }
    };
    let is_for_pomerium = credentials.iter().any(credentials::Planned::is_for_pomerium);
    Some(Some(IssuerConfig {
        issuer,
        hosts: beside.server.map(|server| server.hosts().to_vec()).unwrap_or_default(),
        algorithm: needs.algorithms.first().copied().unwrap_or(PhantomConfig::default().algorithm),
        pomerium_keys: if is_for_pomerium { PomeriumKeys::Served } else { PomeriumKeys::NotServed },
    }))
}

/// The store, where the built-in server is off and something needs it nevertheless.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a store")]
fn records(
    server: Option<&AuthServer>,
    needs: &Needs,
    problems: &mut Problems<'_>,
) -> Option<Option<(RecordsPlan, Rules)>> {
    let Some(place) = &needs.place else { return Some(None) };
    let is_written =
        |server: &&AuthServer| server.store != RecordStore::default() || !server.secret_key_file.is_empty();
    let Some(server) = server.filter(is_written) else {
        let message = "it needs the store, which the built-in server would open, and that is off";
        problems.add(
            place,
            message,
            "write authServer.store and authServer.secretKeyFile; the server may stay off",
        );
        return None;
    };
    auth_server::for_commands(server, problems).map(Some)
}

/// Whoever signs, with the keys that the store has.
pub(crate) fn signer(
    config: Option<&IssuerConfig>,
    accounts: Option<&Arc<Accounts>>,
    problems: &mut Problems<'_>,
) -> Option<Arc<Issuer>> {
    let mend = "write an address such as https://auth.example.com/gateway";
    let issuer = Issuer::new(config?.clone(), Arc::clone(accounts?));
    problems.take("gateway.issuer", issuer, mend).map(Arc::new)
}

impl Plan {
    /// The same, with an empty store of its own.
    pub(crate) fn rehearsed(self) -> Self {
        Self { records: self.records.map(|(_, rules)| (RecordsPlan::passing(), rules)), ..self }
    }

    /// What the gateway needs keys for.
    pub(crate) fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Who issues signed tokens elsewhere that rules for exchange may name.
    pub(crate) fn trusted_issuers(&self) -> Vec<TrustedIssuer> {
        self.authenticators.iter().filter_map(authenticators::Planned::issuer).collect()
    }

    /// As whom the gateway signs, if it does.
    pub(crate) const fn issuer(&self) -> Option<&IssuerConfig> {
        self.issuer.as_ref()
    }

    /// The store to open, if the built-in server does not.
    pub(crate) fn take_records(&mut self) -> Option<(RecordsPlan, Rules)> {
        let (plan, rules) = self.records.take()?;
        Some((plan, auth_server::with_gateway_keys(rules, &self.algorithms)))
    }

    /// What looks at the certificates of clients.
    pub(crate) fn wants_client_certificates(&self) -> Option<&str> {
        self.authenticators.iter().find(|one| one.wants_client_certificates()).map(|one| one.place.as_str())
    }

    /// What looks at the certificates of front proxies.
    pub(crate) fn wants_proxy_certificates(&self) -> Option<&str> {
        self.authenticators.iter().find(|one| one.wants_proxy_certificates()).map(|one| one.place.as_str())
    }

    /// The setting of the server room.
    pub(crate) fn ready(
        self,
        (accounts, issuer): (Option<&Arc<Accounts>>, Option<Arc<Issuer>>),
        (cookies, naming): (Vec<OwnCookies>, Naming),
        problems: &mut Problems<'_>,
    ) -> Option<Ready> {
        let own_issuers: Vec<String> = issuer.iter().map(|issuer| issuer.as_str().to_owned()).collect();
        let identity_headers = self.credentials.iter().filter_map(credentials::Planned::header).collect();
        let mut credentials = BTreeMap::new();
        for planned in self.credentials {
            credentials.extend(planned.ready(issuer.as_ref(), problems));
        }
        let is_known = |one: &authenticators::Planned| !one.is_anonymous();
        let known = self.authenticators.iter().enumerate().filter(|(_, one)| is_known(one));
        let questions =
            routes::Planned::of_questions(known.map(|(place, _)| place), self.errors, self.identity);
        let authenticators: Option<Vec<Arc<Authenticator>>> =
            self.authenticators.into_iter().map(|one| one.ready(accounts, &own_issuers)).collect();
        let joint = Joint { accounts: accounts.cloned(), authenticators: authenticators?, credentials };
        let plans: Option<Vec<RoutePlan>> =
            self.planned.into_iter().map(|planned| joint.route(planned, problems)).collect();
        let plans = plans?;
        let hands_out = plans.iter().find_map(|plan| plan.token_responses.as_ref());
        let handles = hands_out.map(|handles| handles.realm().clone());
        let gateway = Box::new(Gateway {
            routes: self.routes,
            plans,
            policies: self.policies,
            questions: joint.route(questions, problems)?,
            issuer,
            cookies,
            handles,
            naming,
            identity_headers,
        });
        Some(Ready { gateway, keys: self.keys })
    }
}

/// What routes have in common, ready to use.
struct Joint {
    accounts: Option<Arc<Accounts>>,
    authenticators: Vec<Arc<Authenticator>>,
    credentials: BTreeMap<String, Arc<Credential>>,
}

impl Joint {
    fn route(&self, planned: routes::Planned, problems: &mut Problems<'_>) -> Option<RoutePlan> {
        let routes::Planned {
            authenticate,
            providers,
            upstreams,
            credential,
            audience,
            max_scopes,
            identity,
            errors,
            with_body,
            expose,
            token_responses,
            max_connection_age,
        } = planned;
        let token_responses = match token_responses {
            Some((place, config)) => {
                let made = Handles::new(Arc::clone(self.accounts.as_ref()?), config);
                let mend = "write names joined with dots, such as data.access_token";
                Some(problems.take(&format!("{place}.fields"), made, mend)?)
            }
            None => None,
        };
        let authenticate: Option<Vec<_>> =
            authenticate.iter().map(|place| self.authenticators.get(*place).map(Arc::clone)).collect();
        let mend = "correct the upstreams";
        let credential = Arc::clone(self.credentials.get(&credential)?);
        Some(RoutePlan {
            authenticate: authenticate?,
            providers,
            upstreams: problems.take("gateway.routes", Upstreams::chosen(upstreams), mend)?,
            credential: CredentialUse { credential, audience, max_scopes },
            identity,
            errors,
            with_body,
            expose,
            token_responses,
            max_connection_age,
        })
    }
}
