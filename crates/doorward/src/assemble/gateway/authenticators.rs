//! `gateway.authenticators`: nobody is contacted here; keys of issuers are fetched when a token needs them.

use std::sync::Arc;

use doorward_accounts::Accounts;
use doorward_authn::{
    chain::Opaque,
    front_proxy::FrontProxy,
    gateway::{
        Authenticator, Introspection, IntrospectionConfig, JwtAuthorizer, JwtConfig, Kind, Source, Sources,
        introspection::Accept,
        jwt::{ClaimNames, ClaimTest, RequiredClaim, Revocation},
        source::RawToken,
    },
    token_review::TokenReview,
    x509::ClientCa,
};
use doorward_core::PathPattern;
use doorward_jose::Algorithm;
use doorward_oauth::config::TrustedIssuer;
use doorward_oidc::{ClientAuth, ClientAuthentication, ClientSecret, IssuerKeys, IssuerKeysConfig};
use doorward_options::structured::{
    Named,
    own::{
        self,
        gateway::{Authenticator as Written, ValueTest},
    },
};

use super::{
    conditions,
    parts::{self, Setting},
};
use crate::assemble::{api_auth, client_ca, problems::Problems};

/// What browsers with a session are known by, without anybody writing it.
pub(super) const SESSION: &str = "session";
/// By what nobody in particular is let in where a route says so.
pub(super) const ANONYMOUS: &str = "anonymous";

/// The type that judges signed tokens.
pub(super) const JWT: &str = "jwt";

const KINDS: &[(&str, Form)] = &[
    ("opaque", Form::Opaque),
    (JWT, Form::Jwt),
    ("introspection", Form::Introspection),
    ("session", Form::Session),
    ("x509", Form::X509),
    ("requestHeader", Form::RequestHeader),
    ("tokenReview", Form::TokenReview),
    ("anonymous", Form::Anonymous),
];

#[derive(Clone, Copy, Debug)]
enum Form {
    Opaque,
    Jwt,
    Introspection,
    Session,
    X509,
    RequestHeader,
    TokenReview,
    Anonymous,
}

/// One of them, before the store is open.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: Arc<str>,
    pub(super) place: String,
    kind: PlannedKind,
}

#[derive(Debug)]
enum PlannedKind {
    Opaque { audiences: Vec<String>, sources: Sources },
    Jwt { config: Box<JwtConfig>, sources: Sources },
    Ready(Kind),
}

/// The keys of issuers. Authenticators of one issuer share them, and so does the next configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptKeys(Vec<(IssuerKeysConfig, Arc<IssuerKeys>)>);

impl Planned {
    fn new(name: &str, kind: Kind) -> Self {
        let place = format!("gateway.authenticators.{name}");
        Self { name: name.into(), place, kind: PlannedKind::Ready(kind) }
    }

    /// Whether it looks tokens up in our own store.
    pub(super) const fn needs_accounts(&self) -> bool {
        matches!(self.kind, PlannedKind::Opaque { .. })
    }

    pub(super) const fn is_anonymous(&self) -> bool {
        matches!(self.kind, PlannedKind::Ready(Kind::Anonymous))
    }

    pub(super) const fn is_session(&self) -> bool {
        matches!(self.kind, PlannedKind::Ready(Kind::Session))
    }

    pub(super) const fn wants_client_certificates(&self) -> bool {
        matches!(self.kind, PlannedKind::Ready(Kind::X509(_)))
    }

    pub(super) const fn wants_proxy_certificates(&self) -> bool {
        matches!(self.kind, PlannedKind::Ready(Kind::RequestHeader(_)))
    }

    /// Whose tokens may be exchanged, if it judges signed ones: another than ours.
    pub(super) fn issuer(&self) -> Option<TrustedIssuer> {
        let PlannedKind::Jwt { config, .. } = &self.kind else { return None };
        let jwt = JwtAuthorizer::new(JwtConfig::clone(config)).ok()?;
        let kind = Kind::Jwt(Box::new(jwt), Sources::default());
        let authenticator = Arc::new(Authenticator::new(Arc::clone(&self.name), kind));
        Some(TrustedIssuer { name: self.name.to_string(), authenticator })
    }

    /// The one that asks our own store if there is one; what needs it is refused before if there is none.
    pub(super) fn ready(
        self,
        accounts: Option<&Arc<Accounts>>,
        own_issuers: &[String],
    ) -> Option<Arc<Authenticator>> {
        let kind = match self.kind {
            PlannedKind::Ready(kind) => kind,
            PlannedKind::Opaque { audiences, sources } => {
                let gateway = own_issuers.first().map(|issuer| Arc::from(issuer.as_str()));
                Kind::Opaque(Opaque { accounts: Arc::clone(accounts?), audiences, gateway }, sources)
            }
            PlannedKind::Jwt { mut config, sources } => {
                let is_own = own_issuers.contains(&config.issuer);
                if let Some(accounts) = accounts.filter(|_| is_own) {
                    config.revocation = Revocation::Own(Arc::clone(accounts));
                }
                Kind::Jwt(Box::new(JwtAuthorizer::new(*config).ok()?), sources)
            }
        };
        Some(Arc::new(Authenticator::new(self.name, kind)))
    }
}

/// All that are written, then those that need not be.
pub(super) fn authenticators(
    written: &Named<Written>,
    former: Option<&KeptKeys>,
    problems: &mut Problems<'_>,
) -> (Vec<Planned>, KeptKeys) {
    let mut keys = Keys { former, kept: KeptKeys::default() };
    let mut planned = Vec::new();
    for (name, written) in written.iter() {
        let place = format!("gateway.authenticators.{name}");
        let named = parts::name(&place, name, problems);
        let kind = kind(&place, written, &mut keys, problems);
        planned.extend(named.zip(kind).map(|(name, kind)| Planned { name, place, kind }));
    }
    for (name, kind) in [(SESSION, Kind::Session), (ANONYMOUS, Kind::Anonymous)] {
        if written.iter().all(|(written, _)| written != name) {
            planned.push(Planned::new(name, kind));
        }
    }
    (planned, keys.kept)
}

fn kind(
    place: &str,
    written: &Written,
    keys: &mut Keys<'_>,
    problems: &mut Problems<'_>,
) -> Option<PlannedKind> {
    if written.kind.is_empty() {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        problems.add(&format!("{place}.type"), "missing setting: the type", parts::mend_of("", &names));
        return None;
    }
    let form = parts::word(&format!("{place}.type"), &written.kind, KINDS, problems)?;
    parts::refuse_foreign((place, &written.kind), &settings(written), problems);
    let ready = |kind: Option<Kind>| kind.map(PlannedKind::Ready);
    match form {
        Form::Session => ready(Some(Kind::Session)),
        Form::Anonymous => ready(Some(Kind::Anonymous)),
        Form::Opaque => Some(PlannedKind::Opaque {
            audiences: written.audiences.clone(),
            sources: sources(place, written, problems)?,
        }),
        Form::Jwt => jwt(place, written, keys, problems),
        Form::Introspection => ready(introspection(place, written, keys, problems)),
        Form::X509 => ready(x509(place, written, problems).map(Kind::X509)),
        Form::RequestHeader => ready(request_header(place, written, problems).map(Kind::RequestHeader)),
        Form::TokenReview => ready(token_review(place, written, problems)),
    }
}

/// A key that nobody thinks of here does not compile.
#[expect(clippy::too_many_lines, reason = "it is a table of all keys")]
fn settings(written: &Written) -> Vec<Setting> {
    const TOKENS: &[&str] = &["opaque", "jwt", "introspection", "tokenReview"];
    const SIGNED: &[&str] = &["jwt", "introspection"];
    const ASKED: &[&str] = &["introspection", "tokenReview"];
    const CERTIFICATES: &[&str] = &["x509", "requestHeader"];
    const PROXY: &[&str] = &["requestHeader"];
    let Written {
        kind: _,
        issuer,
        jwks_uri,
        audiences,
        algorithms,
        leeway,
        jwks_max_age,
        identity_source,
        allow_raw_token,
        typ,
        required_claims,
        user_claim,
        groups_claim,
        email_claim,
        ca_file,
        url,
        client_id,
        client_secret,
        client_secret_file,
        client_auth,
        accept,
        cache_ttl,
        token_file,
        implicit_audience,
        on_error,
        client_ca,
        crl_files,
        allowed_names,
        username_headers,
        uid_headers,
        group_headers,
        extra_header_prefixes,
    } = written;
    vec![
        ("issuer", SIGNED, !issuer.is_empty()),
        ("jwksUri", SIGNED, !jwks_uri.is_empty()),
        ("audiences", TOKENS, !audiences.is_empty()),
        ("algorithms", SIGNED, !algorithms.is_empty()),
        ("leeway", SIGNED, leeway.is_some()),
        ("jwksMaxAge", SIGNED, jwks_max_age.is_some()),
        ("identitySource", TOKENS, !identity_source.0.is_empty()),
        ("allowRawToken", TOKENS, *allow_raw_token),
        ("typ", SIGNED, !typ.0.is_empty()),
        ("requiredClaims", SIGNED, required_claims.iter().next().is_some()),
        ("userClaim", SIGNED, !user_claim.is_empty()),
        ("groupsClaim", SIGNED, !groups_claim.is_empty()),
        ("emailClaim", SIGNED, !email_claim.is_empty()),
        ("caFile", &["jwt", "introspection", "tokenReview"], !ca_file.is_empty()),
        ("url", ASKED, !url.is_empty()),
        ("clientID", &["introspection"], !client_id.is_empty()),
        ("clientSecret", &["introspection"], !client_secret.expose().is_empty()),
        ("clientSecretFile", &["introspection"], !client_secret_file.is_empty()),
        ("clientAuth", &["introspection"], !client_auth.is_empty()),
        ("accept", &["introspection"], !accept.is_empty()),
        ("cacheTtl", ASKED, cache_ttl.is_some()),
        ("tokenFile", &["tokenReview"], !token_file.is_empty()),
        ("implicitAudience", &["tokenReview"], !implicit_audience.is_empty()),
        ("onError", &["tokenReview"], !on_error.is_empty()),
        ("clientCA", CERTIFICATES, !client_ca.is_empty()),
        ("crlFiles", CERTIFICATES, !crl_files.is_empty()),
        ("allowedNames", PROXY, !allowed_names.is_empty()),
        ("usernameHeaders", PROXY, !username_headers.is_empty()),
        ("uidHeaders", PROXY, !uid_headers.is_empty()),
        ("groupHeaders", PROXY, !group_headers.is_empty()),
        ("extraHeaderPrefixes", PROXY, !extra_header_prefixes.is_empty()),
    ]
}

/// Where tokens stand.
fn sources(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Sources> {
    let raw = if written.allow_raw_token { RawToken::Allowed } else { RawToken::Refused };
    if written.identity_source.0.is_empty() {
        return Sources::new(vec![Source::Authorization(raw)]).ok();
    }
    let mut sources = Vec::new();
    for (index, text) in written.identity_source.0.iter().enumerate() {
        let place = format!("{place}.identitySource[{index}]");
        let mend = "write $request.header.NAME, $request.querystring.NAME or $request.cookie.NAME";
        sources.extend(problems.take(&place, Source::parse(text, raw), mend));
    }
    if written.allow_raw_token && !sources.iter().any(|one| matches!(one, Source::Authorization(_))) {
        let message = "only a token in Authorization has a scheme before it";
        problems.add(&format!("{place}.allowRawToken"), message, "take it away");
    }
    Sources::new(sources).ok()
}

/// Keys, each set fetched for all who need it.
struct Keys<'a> {
    former: Option<&'a KeptKeys>,
    kept: KeptKeys,
}

impl Keys<'_> {
    fn of(&mut self, place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Arc<IssuerKeys>> {
        let jwks_uri = if written.jwks_uri.is_empty() {
            None
        } else {
            let example = "https://idp.example.com/jwks";
            let place = format!("{place}.jwksUri");
            Some(parts::address(&place, &written.jwks_uri, example, problems)?)
        };
        let issuer_place = format!("{place}.issuer");
        if jwks_uri.is_none() {
            parts::address(&issuer_place, &written.issuer, "https://idp.example.com", problems)?;
        } else if written.issuer.is_empty() {
            let message = "missing setting: tokens of anybody would count";
            problems.add(&issuer_place, message, "write the issuer as its tokens have it");
            return None;
        }
        let config = IssuerKeysConfig {
            issuer: written.issuer.clone(),
            jwks_uri,
            max_age: written.jwks_max_age.unwrap_or(IssuerKeys::LONGEST_AGE),
            http: parts::http(&format!("{place}.caFile"), &written.ca_file, problems)?,
        };
        let known = self.kept.0.iter().chain(self.former.iter().flat_map(|former| &former.0));
        let known = known.into_iter().find(|(known, _)| *known == config).map(|(_, keys)| Arc::clone(keys));
        let keys = if let Some(keys) = known {
            keys
        } else {
            let mend = "correct issuer, jwksUri, jwksMaxAge or caFile";
            problems.take(place, IssuerKeys::new(config.clone()), mend)?
        };
        if self.kept.0.iter().all(|(known, _)| *known != config) {
            self.kept.0.push((config, Arc::clone(&keys)));
        }
        Some(keys)
    }
}

fn jwt(
    place: &str,
    written: &Written,
    keys: &mut Keys<'_>,
    problems: &mut Problems<'_>,
) -> Option<PlannedKind> {
    let sources = sources(place, written, problems);
    let config = jwt_config(place, written, keys, problems);
    Some(PlannedKind::Jwt { config: Box::new(config?), sources: sources? })
}

fn jwt_config(
    place: &str,
    written: &Written,
    keys: &mut Keys<'_>,
    problems: &mut Problems<'_>,
) -> Option<JwtConfig> {
    let keys = keys.of(place, written, problems);
    let required_claims = required_claims(place, written, problems);
    let algorithms = algorithms(place, written, problems);
    let config = JwtConfig {
        issuer: written.issuer.clone(),
        audiences: written.audiences.clone(),
        algorithms: algorithms?,
        leeway: written.leeway.unwrap_or(JwtAuthorizer::USUAL_LEEWAY),
        types: written.typ.0.clone(),
        required_claims: required_claims?,
        names: claim_names(written),
        keys: keys?,
        revocation: Revocation::None,
    };
    let mend = "correct audiences, algorithms or leeway";
    problems.take(place, JwtAuthorizer::new(config.clone()).map(drop), mend)?;
    Some(config)
}

fn algorithms(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Vec<Algorithm>> {
    let mut algorithms = Vec::new();
    for (index, name) in written.algorithms.iter().enumerate() {
        let place = format!("{place}.algorithms[{index}]");
        let parsed = name.parse::<Algorithm>().map_err(|_unknown| format!("there is no algorithm {name:?}"));
        algorithms.push(problems.take(&place, parsed, "write RS256, PS256, ES256, EdDSA or a like one")?);
    }
    Some(algorithms)
}

fn claim_names(written: &Written) -> ClaimNames {
    let usual = ClaimNames::default();
    let or = |written: &String, usual: String| if written.is_empty() { usual } else { written.clone() };
    ClaimNames {
        user: or(&written.user_claim, usual.user),
        groups: or(&written.groups_claim, usual.groups),
        email: or(&written.email_claim, usual.email),
    }
}

fn required_claims(
    place: &str,
    written: &Written,
    problems: &mut Problems<'_>,
) -> Option<Vec<RequiredClaim>> {
    let mut claims = Vec::new();
    for (name, test) in written.required_claims.iter() {
        let test = required_claim(&format!("{place}.requiredClaims.{name}"), test, problems)?;
        claims.push(RequiredClaim { name: name.to_owned(), test });
    }
    Some(claims)
}

fn required_claim(place: &str, written: &ValueTest, problems: &mut Problems<'_>) -> Option<ClaimTest> {
    match written {
        ValueTest { equals: Some(wanted), within: None, matches: None, present: None } => {
            Some(ClaimTest::OneOf(vec![conditions::value(wanted)]))
        }
        ValueTest { equals: None, within: Some(wanted), matches: None, present: None }
            if !wanted.is_empty() =>
        {
            Some(ClaimTest::OneOf(wanted.iter().map(conditions::value).collect()))
        }
        ValueTest { equals: None, within: None, matches: Some(expression), present: None } => {
            // Alone first: what is wrong by itself could be right between brackets.
            let whole = PathPattern::parse(expression)
                .and_then(|_alone| PathPattern::parse(&format!("^(?:{expression})$")));
            let mend = "write a regular expression for the whole value";
            problems.take(&format!("{place}.matches"), whole, mend).map(ClaimTest::Matches)
        }
        ValueTest { equals: None, within: None, matches: None, present: Some(true) } => {
            Some(ClaimTest::Present)
        }
        ValueTest { equals: None, within: None, matches: None, present: Some(false) } => {
            Some(ClaimTest::Absent)
        }
        _ => {
            let message = "the claim is not tested, or by more than one test";
            problems.add(place, message, "write equals, in, matches or present");
            None
        }
    }
}

fn introspection(
    place: &str,
    written: &Written,
    keys: &mut Keys<'_>,
    problems: &mut Problems<'_>,
) -> Option<Kind> {
    let example = "https://idp.example.com/introspect";
    let url = parts::address(&format!("{place}.url"), &written.url, example, problems);
    let (inline, file) = (&written.client_secret, written.client_secret_file.as_str());
    let secret = parts::secret((place, "clientSecret", "clientSecretFile"), (inline, file), problems);
    if written.client_id.is_empty() || secret.as_ref().is_some_and(Option::is_none) {
        let message = "missing setting: the server wants to know who asks";
        problems.add(place, message, "write clientID and clientSecretFile");
    }
    let forms = [("basic", ClientAuth::Basic), ("post", ClientAuth::Post)];
    let client_auth = parts::word(&format!("{place}.clientAuth"), &written.client_auth, &forms, problems);
    let is_jwt = [("json", false), ("jwt", true)];
    let accept = if parts::word(&format!("{place}.accept"), &written.accept, &is_jwt, problems)? {
        let config = jwt_config(place, written, keys, problems)?;
        let mend = "correct audiences, algorithms or leeway";
        Accept::Jwt(Box::new(problems.take(place, JwtAuthorizer::new(config), mend)?))
    } else {
        Accept::Json
    };
    let http = parts::http(&format!("{place}.caFile"), &written.ca_file, problems);
    let sources = sources(place, written, problems);
    let config = IntrospectionConfig {
        url: url?,
        client_id: written.client_id.clone(),
        client_authentication: ClientAuthentication::SecretIn(ClientSecret::Inline(secret??), client_auth?),
        accept,
        cache: written.cache_ttl.unwrap_or(Introspection::LONGEST_CACHE),
        issuer: written.issuer.clone(),
        audiences: written.audiences.clone(),
        names: claim_names(written),
        http: http?,
    };
    let server = problems.take(place, Introspection::new(config), "correct url, cacheTtl or caFile")?;
    Some(Kind::Introspection(Box::new(server), sources?))
}

fn x509(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<ClientCa> {
    client_ca::read(place, (&written.client_ca, &written.crl_files), problems)
}

fn request_header(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<FrontProxy> {
    let proxy = own::RequestHeader {
        client_ca: written.client_ca.clone(),
        crl_files: written.crl_files.clone(),
        allowed_names: written.allowed_names.clone(),
        username_headers: written.username_headers.clone(),
        uid_headers: written.uid_headers.clone(),
        group_headers: written.group_headers.clone(),
        extra_header_prefixes: written.extra_header_prefixes.clone(),
    };
    api_auth::front_proxy(place, &proxy, problems)
}

fn token_review(place: &str, written: &Written, problems: &mut Problems<'_>) -> Option<Kind> {
    let on_error = if written.on_error.is_empty() { "unavailable" } else { &written.on_error };
    let review = own::TokenReview {
        url: written.url.clone(),
        token_file: written.token_file.clone(),
        ca_file: written.ca_file.clone(),
        audiences: written.audiences.clone(),
        implicit_audience: written.implicit_audience.clone(),
        cache_ttl: written.cache_ttl,
        on_error: on_error.to_owned(),
    };
    let sources = sources(place, written, problems);
    let review: Option<TokenReview> = api_auth::token_review(place, &review, problems);
    Some(Kind::TokenReview(Arc::new(review?), sources?))
}
