//! `gateway.credentials`: what applications get in place of what clients sent.

use std::sync::Arc;

use doorward_gateway::{
    Binding, Credential, Exchange, ExchangeConfig, ExchangeSubject, IdentityConfig, IdentityStyle, Issuer,
    Phantom, PhantomConfig, SignedIdentity,
};
use doorward_jose::Algorithm;
use doorward_oidc::{ClientAuthentication, ClientSecret, TokenExchangeConfig};
use doorward_options::structured::{Named, own::gateway::Credential as Written};
use http::HeaderName;
use url::Url;

use super::parts::{self, Setting};
use crate::assemble::problems::Problems;

const KINDS: &[(&str, Kind)] = &[
    ("jwt", Kind::Jwt),
    ("exchange", Kind::Exchange),
    ("identity", Kind::Identity),
    ("forwarded", Kind::Forwarded),
    ("passthrough", Kind::Passthrough),
    ("none", Kind::None),
];

/// Those that are there without being written.
const USUAL: [(&str, PlannedKind); 3] = [
    (FORWARDED, PlannedKind::Forwarded),
    ("passthrough", PlannedKind::Passthrough),
    ("none", PlannedKind::None),
];

/// What routes use that name none.
pub(super) const FORWARDED: &str = "forwarded";

#[derive(Clone, Copy, Debug)]
enum Kind {
    Jwt,
    Exchange,
    Identity,
    Forwarded,
    Passthrough,
    None,
}

/// One of them, before the store is open.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) place: String,
    /// For whom it is, unless the route says it.
    pub(super) audience: String,
    kind: PlannedKind,
}

#[derive(Debug)]
enum PlannedKind {
    Forwarded,
    Passthrough,
    None,
    Jwt(PhantomConfig),
    Identity(IdentityConfig),
    Exchange(Box<PlannedExchange>),
}

#[derive(Debug)]
struct PlannedExchange {
    service: TokenExchangeConfig,
    resource: String,
    scopes: Vec<String>,
    /// With the name of the service, for tokens that are signed here.
    signed_for: Option<String>,
}

impl Planned {
    /// What it is signed with here, if it is.
    pub(super) fn signed_with(&self) -> Option<Algorithm> {
        match &self.kind {
            PlannedKind::Jwt(config) => Some(config.algorithm),
            PlannedKind::Identity(config) => {
                Some(config.algorithm.unwrap_or_else(|| config.style.algorithm()))
            }
            PlannedKind::Exchange(exchange) => {
                exchange.signed_for.as_ref().map(|_| PhantomConfig::default().algorithm)
            }
            PlannedKind::Forwarded | PlannedKind::Passthrough | PlannedKind::None => None,
        }
    }

    pub(super) fn is_for_pomerium(&self) -> bool {
        matches!(&self.kind, PlannedKind::Identity(config) if config.style == IdentityStyle::Pomerium)
    }

    /// The header that carries it, if it is one by which applications believe to know who asks.
    pub(super) fn header(&self) -> Option<HeaderName> {
        match &self.kind {
            PlannedKind::Identity(config) => {
                Some(config.header.clone().unwrap_or_else(|| config.style.header()))
            }
            _ => None,
        }
    }

    /// Whether it is for somebody, who has to be named.
    pub(super) const fn needs_audience(&self) -> bool {
        matches!(self.kind, PlannedKind::Jwt(_) | PlannedKind::Identity(_))
    }

    /// `issuer` is there wherever something is signed; what is wrong has been told before.
    pub(super) fn ready(
        self,
        issuer: Option<&Arc<Issuer>>,
        problems: &mut Problems<'_>,
    ) -> Option<(String, Arc<Credential>)> {
        let Self { name, place, kind, audience } = self;
        let credential = match kind {
            PlannedKind::Forwarded => Credential::Forwarded,
            PlannedKind::Passthrough => Credential::Passthrough,
            PlannedKind::None => Credential::None,
            PlannedKind::Jwt(config) => {
                let made = Phantom::new(Arc::clone(issuer?), config);
                Credential::Jwt(problems.take(&place, made, "correct ttl or claims")?)
            }
            PlannedKind::Identity(config) => {
                let made = SignedIdentity::new(Arc::clone(issuer?), config);
                Credential::Identity(problems.take(&place, made, "correct header or claims")?)
            }
            PlannedKind::Exchange(planned) => {
                let PlannedExchange { service, resource, scopes, signed_for } = *planned;
                let subject = match signed_for {
                    None => ExchangeSubject::Presented,
                    Some(service) => {
                        let made = Phantom::new(Arc::clone(issuer?), PhantomConfig::default());
                        let phantom = Box::new(problems.take(&place, made, "report this")?);
                        ExchangeSubject::Signed { phantom, audience: service }
                    }
                };
                let config = ExchangeConfig { service, audience, resource, scopes, subject };
                let made = problems.take(&place, Exchange::new(config), "correct caFile")?;
                Credential::Exchange(Box::new(made))
            }
        };
        Some((name, Arc::new(credential)))
    }
}

/// All that are written, then those that need not be.
pub(super) fn credentials(written: &Named<Written>, problems: &mut Problems<'_>) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (name, credential) in written.iter() {
        let place = format!("gateway.credentials.{name}");
        let named = parts::name(&place, name, problems);
        let kind = kind(&place, credential, problems);
        planned.extend(named.zip(kind).map(|(name, kind)| Planned {
            name: name.to_string(),
            place,
            audience: credential.audience.clone(),
            kind,
        }));
    }
    for (name, kind) in USUAL {
        if written.iter().all(|(written, _)| written != name) {
            let (name, place) = (name.to_owned(), format!("gateway.credentials.{name}"));
            planned.push(Planned { name, place, audience: String::new(), kind });
        }
    }
    planned
}

fn kind(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<PlannedKind> {
    if written.kind.is_empty() {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        problems.add(&format!("{place}.type"), "missing setting: the type", parts::mend_of("", &names));
        return None;
    }
    let kind = parts::word(&format!("{place}.type"), &written.kind, KINDS, problems)?;
    parts::refuse_foreign((place, &written.kind), &settings(written), problems);
    match kind {
        Kind::Forwarded => Some(PlannedKind::Forwarded),
        Kind::Passthrough => Some(PlannedKind::Passthrough),
        Kind::None => Some(PlannedKind::None),
        Kind::Jwt => jwt(place, written, problems).map(PlannedKind::Jwt),
        Kind::Identity => identity(place, written, problems).map(PlannedKind::Identity),
        Kind::Exchange => {
            let exchange = exchange(place, written, problems)?;
            Some(PlannedKind::Exchange(Box::new(exchange)))
        }
    }
}

/// A key that nobody thinks of here does not compile.
fn settings(written: &Written) -> [Setting; 16] {
    const SIGNED: &[&str] = &["jwt", "identity"];
    const EXCHANGE: &[&str] = &["exchange"];
    let Written {
        kind: _,
        ttl,
        claims,
        algorithm,
        token_url,
        client_id,
        client_secret,
        client_secret_file,
        audience,
        resource,
        scopes,
        subject,
        subject_audience,
        ca_file,
        header,
        style,
        issuer,
        bind_to_request,
    } = written;
    [
        ("ttl", &["jwt"], ttl.is_some()),
        ("claims", SIGNED, !claims.is_empty()),
        ("algorithm", SIGNED, !algorithm.is_empty()),
        ("tokenURL", EXCHANGE, !token_url.is_empty()),
        ("clientID", EXCHANGE, !client_id.is_empty()),
        ("clientSecret", EXCHANGE, !client_secret.expose().is_empty()),
        ("clientSecretFile", EXCHANGE, !client_secret_file.is_empty()),
        ("audience", &["jwt", "identity", "exchange"], !audience.is_empty()),
        ("resource", EXCHANGE, !resource.is_empty()),
        ("scopes", EXCHANGE, !scopes.is_empty()),
        ("subject", EXCHANGE, !subject.is_empty()),
        ("subjectAudience", EXCHANGE, !subject_audience.is_empty()),
        ("caFile", EXCHANGE, !ca_file.is_empty()),
        ("header", &["identity"], !header.is_empty()),
        ("style", &["identity"], !style.is_empty()),
        ("issuer, bindToRequest", &["identity"], !issuer.is_empty() || *bind_to_request),
    ]
}

const ALGORITHMS: &[(&str, Option<Algorithm>)] = &[
    ("", None),
    ("ES256", Some(Algorithm::Es256)),
    ("RS256", Some(Algorithm::Rs256)),
    ("EdDSA", Some(Algorithm::EdDsa)),
];

#[expect(clippy::option_option, reason = "outer: did it work; inner: is one written")]
fn algorithm(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Option<Algorithm>> {
    parts::word(&format!("{place}.algorithm"), &written.algorithm, ALGORITHMS, problems)
}

fn jwt(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<PhantomConfig> {
    let usual = PhantomConfig::default();
    let ttl = written.ttl.unwrap_or(usual.ttl);
    if ttl.is_zero() || Phantom::LONGEST < ttl {
        let message = "nobody takes such a token back, so it lives for five minutes at most";
        problems.add(&format!("{place}.ttl"), message, "write a time up to 5m");
    }
    let algorithm = algorithm(place, written, problems)?.unwrap_or(usual.algorithm);
    Some(PhantomConfig { ttl, claims: written.claims.clone(), algorithm })
}

fn identity(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<IdentityConfig> {
    let styles = [
        ("gateway", IdentityStyle::Gateway),
        ("iap", IdentityStyle::Iap),
        ("cloudflareAccess", IdentityStyle::CloudflareAccess),
        ("pomerium", IdentityStyle::Pomerium),
    ];
    let style = parts::word(&format!("{place}.style"), &written.style, &styles, problems);
    let header = match written.header.as_str() {
        "" => None,
        name => {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            let parsed = parsed.map_err(|_invalid| format!("{name:?} is no header name"));
            Some(problems.take(&format!("{place}.header"), parsed, "write a header name")?)
        }
    };
    Some(IdentityConfig {
        style: style?,
        header,
        claims: written.claims.clone(),
        algorithm: algorithm(place, written, problems)?,
        issuer: Some(written.issuer.clone()).filter(|issuer| !issuer.is_empty()),
        binding: if written.bind_to_request { Binding::ToRequest } else { Binding::None },
    })
}

fn exchange(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<PlannedExchange> {
    let example = "https://sts.example.com/token";
    let url: Option<Url> =
        parts::address(&format!("{place}.tokenURL"), &written.token_url, example, problems);
    let (inline, file) = (&written.client_secret, written.client_secret_file.as_str());
    let secret = parts::secret((place, "clientSecret", "clientSecretFile"), (inline, file), problems);
    if written.client_id.is_empty() || secret.as_ref().is_some_and(Option::is_none) {
        let message = "missing setting: the server wants to know who asks";
        problems.add(place, message, "write clientID and clientSecretFile");
    }
    let subjects = [("presented", false), ("signed", true)];
    let is_signed = parts::word(&format!("{place}.subject"), &written.subject, &subjects, problems)?;
    let subject_audience = format!("{place}.subjectAudience");
    match (is_signed, written.subject_audience.is_empty()) {
        (true, true) => {
            let message = "missing setting: for whom the token is that is signed here";
            problems.add(&subject_audience, message, "write how that server calls itself");
        }
        (false, false) => {
            let message = "the client's own token says for whom it is";
            problems.add(&subject_audience, message, "take it away, or write subject: signed");
        }
        _ => (),
    }
    let http = parts::http(&format!("{place}.caFile"), &written.ca_file, problems);
    Some(PlannedExchange {
        service: TokenExchangeConfig {
            url: url?,
            client_id: written.client_id.clone(),
            client_authentication: ClientAuthentication::Secret(ClientSecret::Inline(secret??)),
            http: http?,
        },
        resource: written.resource.clone(),
        scopes: written.scopes.clone(),
        signed_for: is_signed.then(|| written.subject_audience.clone()),
    })
}
