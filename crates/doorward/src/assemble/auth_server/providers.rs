//! Where the users of the built-in server come from.

use std::sync::Arc;

use doorward_accounts::MappingMethod;
use doorward_authn::{
    htpasswd::{Config as HtpasswdConfig, Entries, Htpasswd, WeakHashes},
    x509::ClientCa,
};
use doorward_oauth::config::{
    ChallengeOffer, IdentityProvider, LoginOffer, OidcClaims, OidcProvider, PasswordGrant, ProviderKind,
    RequestHeaderProvider,
};
use doorward_oidc::{
    CaFile, ClientAuthentication, ClientSecret, Config, ConnectError, HttpConfig, NonceCheck, Pkce, Provider,
    Trust,
};
use doorward_options::structured::own::{self, AuthServer};

use super::{FirstUser, Surroundings};
use crate::assemble::{client_ca, problems::Problems, provider};

/// The source of users if none is configured.
const LOCAL: &str = "local";
/// The types that are providers elsewhere.
const UPSTREAM: &[&str] = &["oidc", CONFIGURED];
/// The type of the one that is configured beside the file.
const CONFIGURED: &str = "oauth2-proxy";

/// One source of users, before anything is contacted.
#[derive(Debug)]
pub(super) struct Planned {
    place: String,
    name: String,
    login: LoginOffer,
    challenge: ChallengeOffer,
    mapping: MappingMethod,
    kind: PlannedKind,
}

#[derive(Debug)]
enum PlannedKind {
    Htpasswd(Htpasswd),
    Static,
    Oidc { config: Box<Config>, claims: OidcClaims, password_grant: PasswordGrant },
    RequestHeader(Box<RequestHeaderProvider>),
    X509(ClientCa),
}

/// What is taken over from one configuration to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptProviders {
    htpasswd: Vec<(String, Arc<Htpasswd>)>,
    oidc: Vec<Provider>,
}

impl Planned {
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) const fn wants_client_certificates(&self) -> bool {
        matches!(self.kind, PlannedKind::X509(_))
    }

    pub(super) const fn wants_proxy_certificates(&self) -> bool {
        matches!(self.kind, PlannedKind::RequestHeader(_))
    }

    /// Whether users are made for whoever comes from there.
    pub(super) const fn admits_strangers(&self) -> bool {
        matches!((&self.kind, self.mapping), (PlannedKind::Oidc { .. }, mapping) if !matches!(mapping, MappingMethod::Lookup))
    }

    /// The provider as far as its rules go, for checks that come before anything is contacted: what takes no passwords
    /// from programs offers none.
    pub(super) fn sketch(&self) -> IdentityProvider {
        let (kind, takes_passwords) = match &self.kind {
            PlannedKind::RequestHeader(provider) => (ProviderKind::RequestHeader(provider.clone()), true),
            PlannedKind::Htpasswd(_) | PlannedKind::Static => (ProviderKind::Static, true),
            PlannedKind::Oidc { password_grant, .. } => {
                (ProviderKind::Static, *password_grant == PasswordGrant::Used)
            }
            PlannedKind::X509(_) => (ProviderKind::Static, false),
        };
        IdentityProvider {
            name: self.name.clone(),
            login: self.login,
            challenge: if takes_passwords { self.challenge } else { ChallengeOffer::NotOffered },
            mapping: self.mapping,
            kind,
        }
    }

    /// Contacts an upstream provider, unless that has been done.
    pub(super) async fn connect(
        self,
        former: &KeptProviders,
        kept: &mut KeptProviders,
        problems: &mut Problems<'_>,
    ) -> Option<IdentityProvider> {
        let Self { place, name, login, challenge, mapping, kind } = self;
        let kind = match kind {
            PlannedKind::Htpasswd(users) => {
                let known = former.htpasswd.iter().find(|(known, _)| *known == name);
                let users = Arc::new(match known {
                    Some((_, former)) => users.after(former),
                    None => users,
                });
                kept.htpasswd.push((name.clone(), Arc::clone(&users)));
                ProviderKind::Htpasswd(users)
            }
            PlannedKind::Static => ProviderKind::Static,
            PlannedKind::Oidc { config, claims, password_grant } => {
                let known = former.oidc.iter().find(|provider| provider.is_of(&config));
                let connected = match known {
                    Some(provider) => Ok(provider.clone()),
                    None => Provider::connect(*config).await,
                };
                let provider = match connected {
                    Ok(provider) => provider,
                    Err(error) => {
                        problems.add(
                            &place_of(&place, &error),
                            error.to_string(),
                            provider::connect_mend(&error),
                        );
                        return None;
                    }
                };
                kept.oidc.push(provider.clone());
                ProviderKind::Oidc(Box::new(OidcProvider { provider, claims, password_grant }))
            }
            PlannedKind::RequestHeader(provider) => ProviderKind::RequestHeader(provider),
            PlannedKind::X509(authority) => ProviderKind::X509(authority),
        };
        Some(IdentityProvider { name, login, challenge, mapping, kind })
    }
}

/// What has to change before an upstream provider can be used.
fn place_of(place: &str, error: &ConnectError) -> String {
    let key = match error {
        ConnectError::ClientSecretFile { .. } => "clientSecretFile",
        ConnectError::CaFile { .. } | ConnectError::UntrustedCertificate { .. } => "caFile",
        _ => "issuer",
    };
    format!("{place}.{key}")
}

/// The sources of users, in their order, and whether a first user has to be made.
pub(super) fn plan(
    server: &AuthServer,
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> (Vec<Planned>, FirstUser) {
    let password = bootstrap_password(server, problems);
    if server.identity_providers.is_empty() {
        let local = Planned {
            place: "authServer.identityProviders".to_owned(),
            name: LOCAL.to_owned(),
            login: LoginOffer::Offered,
            challenge: ChallengeOffer::Offered,
            mapping: MappingMethod::Claim,
            kind: PlannedKind::Static,
        };
        return (vec![local], FirstUser::Admin(password));
    }
    let written = server.identity_providers.iter().enumerate();
    let planned: Vec<_> =
        written.filter_map(|(index, written)| planned((index, written), around, problems)).collect();
    let has_static = planned.iter().any(|planned| matches!(planned.kind, PlannedKind::Static));
    if password.is_some() && !has_static {
        let message = "there is nobody whose password it could be: no identity provider is of type static";
        problems.add("authServer.bootstrapPasswordFile", message, "take it away, or add such a provider");
    }
    let first = if password.is_some() { FirstUser::Admin(password) } else { FirstUser::None };
    (planned, first)
}

fn bootstrap_password(
    server: &AuthServer,
    problems: &mut Problems<'_>,
) -> Option<doorward_core::SecretString> {
    let path = &server.bootstrap_password_file;
    if path.is_empty() {
        return None;
    }
    let (place, mend) =
        ("authServer.bootstrapPasswordFile", "name a file with the password of the user admin");
    let password = problems.read_secret_text(place, path, mend)?;
    if password.expose().is_empty() {
        problems.add(place, "the file is empty", mend);
        return None;
    }
    Some(password)
}

fn planned(
    (index, written): (usize, &own::IdentityProvider),
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<Planned> {
    let place = format!("authServer.identityProviders[{index}]");
    let before = problems.count();
    let mapping = match written.mapping_method.as_str() {
        "" | "claim" => Some(MappingMethod::Claim),
        "lookup" => Some(MappingMethod::Lookup),
        "add" => Some(MappingMethod::Add),
        "generate" => Some(MappingMethod::Generate),
        _ => super::unknown(
            &format!("{place}.mappingMethod"),
            "write claim, lookup, add or generate",
            problems,
        ),
    };
    foreign_settings(&place, written, problems);
    let kind = kind(&place, written, around, problems);
    let (mapping, kind) = (mapping?, kind?);
    let (login, challenge) = match &kind {
        PlannedKind::Htpasswd(_) | PlannedKind::Static => (true, true),
        PlannedKind::Oidc { password_grant, .. } => (true, *password_grant == PasswordGrant::Used),
        PlannedKind::RequestHeader(provider) => {
            (provider.login_url.is_some(), provider.challenge_url.is_some())
        }
        PlannedKind::X509(_) => (false, false),
    };
    let login = if written.login.unwrap_or(login) { LoginOffer::Offered } else { LoginOffer::NotOffered };
    let challenge = if written.challenge.unwrap_or(challenge) {
        ChallengeOffer::Offered
    } else {
        ChallengeOffer::NotOffered
    };
    let name = written.name.clone();
    (problems.count() == before).then_some(Planned { place, name, login, challenge, mapping, kind })
}

/// Settings that another type of provider would heed are mistakes: what they were to bring about does not happen.
fn foreign_settings(place: &str, written: &own::IdentityProvider, problems: &mut Problems<'_>) {
    let kind = written.kind.as_str();
    let is_foreign = |owners: &[&str]| !owners.contains(&kind);
    for (key, owners, _) in
        settings(written).into_iter().filter(|(_, owners, is_set)| *is_set && is_foreign(owners))
    {
        let message = format!("only a provider of type {} heeds this", owners.join(" or "));
        problems.add(&format!("{place}.{key}"), message, "take it away, or correct the type");
    }
    if kind == "x509" && written.login == Some(true) {
        let message = "a certificate comes with the connection: there is nothing to sign in with";
        problems.add(&format!("{place}.login"), message, "take it away");
    }
    let shows_passwords = written.password_grant || !UPSTREAM.contains(&kind);
    if written.challenge == Some(true) && (kind == "x509" || !shows_passwords) {
        let (message, mend) = (
            "the provider is shown no passwords that programs send",
            "take it away; oidc may have passwordGrant: true",
        );
        problems.add(&format!("{place}.challenge"), message, mend);
    }
}

/// Settings that not all types have: their key, the types that heed them, and whether they are written. Every key is
/// named here: a new one that nobody thinks of does not compile.
fn settings(written: &own::IdentityProvider) -> [(&'static str, &'static [&'static str], bool); 20] {
    let own::IdentityProvider {
        // For all types.
        name: _,
        kind: _,
        login: _,
        challenge: _,
        mapping_method: _,
        file,
        allow_weak_hashes,
        issuer,
        client_id,
        client_secret,
        client_secret_file,
        ca_file,
        scopes,
        claims,
        password_grant,
        client_ca,
        crl_files,
        client_common_names,
        headers,
        preferred_username_headers,
        name_headers,
        email_headers,
        group_headers,
        login_url,
        challenge_url,
    } = written;
    let certificates: &[&str] = &["requestHeader", "x509"];
    [
        ("file", &["htpasswd"], !file.is_empty()),
        ("allowWeakHashes", &["htpasswd"], *allow_weak_hashes),
        ("issuer", &["oidc"], !issuer.is_empty()),
        ("clientID", &["oidc"], !client_id.is_empty()),
        ("clientSecret", &["oidc"], !client_secret.expose().is_empty()),
        ("clientSecretFile", &["oidc"], !client_secret_file.is_empty()),
        ("caFile", &["oidc"], !ca_file.is_empty()),
        ("scopes", &["oidc"], !scopes.is_empty()),
        ("claims", UPSTREAM, *claims != own::ClaimLists::default()),
        ("passwordGrant", UPSTREAM, *password_grant),
        ("clientCA", certificates, !client_ca.is_empty()),
        ("crlFiles", certificates, !crl_files.is_empty()),
        ("clientCommonNames", &["requestHeader"], !client_common_names.is_empty()),
        ("headers", &["requestHeader"], !headers.is_empty()),
        ("preferredUsernameHeaders", &["requestHeader"], !preferred_username_headers.is_empty()),
        ("nameHeaders", &["requestHeader"], !name_headers.is_empty()),
        ("emailHeaders", &["requestHeader"], !email_headers.is_empty()),
        ("groupHeaders", &["requestHeader"], !group_headers.is_empty()),
        ("loginURL", &["requestHeader"], !login_url.is_empty()),
        ("challengeURL", &["requestHeader"], !challenge_url.is_empty()),
    ]
}

fn kind(
    place: &str,
    written: &own::IdentityProvider,
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<PlannedKind> {
    match written.kind.as_str() {
        "htpasswd" => htpasswd(place, written, problems).map(PlannedKind::Htpasswd),
        "static" => Some(PlannedKind::Static),
        "oidc" => oidc(place, written, problems),
        CONFIGURED => configured(place, written, around, problems),
        "requestHeader" => request_header(place, written, problems).map(PlannedKind::RequestHeader),
        "x509" => {
            let files = (written.client_ca.as_str(), written.crl_files.as_slice());
            client_ca::read(place, files, problems).map(PlannedKind::X509)
        }
        _ => super::unknown(
            &format!("{place}.type"),
            "write htpasswd, static, oidc, oauth2-proxy, requestHeader or x509",
            problems,
        ),
    }
}

fn htpasswd(place: &str, written: &own::IdentityProvider, problems: &mut Problems<'_>) -> Option<Htpasswd> {
    let (place, path) = (format!("{place}.file"), &written.file);
    let read = problems.read_text(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    let text = problems.take(&place, read, "name an htpasswd file with bcrypt entries")?;
    let weak = if written.allow_weak_hashes { WeakHashes::Allowed } else { WeakHashes::Refused };
    let mend = "correct the line; htpasswd -B makes entries that work";
    let entries = Entries::parse_with(&text, weak).map_err(|error| format!("the file {path:?}: {error}"));
    Some(Htpasswd::new(problems.take(&place, entries, mend)?, HtpasswdConfig::default()))
}

fn oidc(place: &str, written: &own::IdentityProvider, problems: &mut Problems<'_>) -> Option<PlannedKind> {
    let before = problems.count();
    for (key, value) in [("issuer", &written.issuer), ("clientID", &written.client_id)] {
        if value.is_empty() {
            let mend = "write what the provider gave you";
            problems.add(&format!("{place}.{key}"), format!("missing setting: {key}"), mend);
        }
    }
    let client_authentication = upstream_secret(place, written, problems);
    let trust = trust(place, written, problems);
    let claims = claims(&written.claims);
    let mut scopes = vec!["openid", "email", "profile"];
    scopes.extend(written.scopes.iter().map(String::as_str).filter(|scope| *scope != "openid"));
    let config = Config {
        display_name: written.name.clone(),
        client_authentication: client_authentication?,
        scope: scopes.join(" "),
        nonce: NonceCheck::Required,
        pkce: Pkce::Auto,
        http: HttpConfig { trust: trust?, ..HttpConfig::default() },
        ..Config::new(written.issuer.clone(), written.client_id.clone())
    };
    let config = claims.applied_to(config);
    if problems.count() > before {
        return None;
    }
    if let Err(error) = config.check() {
        problems.add(&place_of(place, &error), error.to_string(), provider::connect_mend(&error));
        return None;
    }
    let password_grant = if written.password_grant { PasswordGrant::Used } else { PasswordGrant::Unused };
    Some(PlannedKind::Oidc { config: Box::new(config), claims, password_grant })
}

fn claims(own::ClaimLists { id, preferred_username, name, email, groups }: &own::ClaimLists) -> OidcClaims {
    OidcClaims {
        id: id.clone(),
        preferred_username: preferred_username.clone(),
        name: name.clone(),
        email: email.clone(),
        groups: groups.clone(),
    }
}

/// Whether the provider that the options configure is a source of users here.
pub(super) fn asks_configured(server: &AuthServer) -> bool {
    server.identity_providers.iter().any(|written| written.kind == CONFIGURED)
}

/// That provider, as the options configure it.
fn configured(
    place: &str,
    written: &own::IdentityProvider,
    around: Surroundings<'_>,
    problems: &mut Problems<'_>,
) -> Option<PlannedKind> {
    let first = around.structured.providers.first().filter(|first| first.provider != super::PROVIDER);
    let Some(first) = first else {
        let message = "the options configure no provider but this server itself";
        let mend = "configure one with --provider, --oidc-issuer-url, --client-id and --client-secret, or use type oidc";
        problems.add(&format!("{place}.type"), message, mend);
        return None;
    };
    if !first.keycloak.roles.is_empty() {
        let message = "the built-in server passes no roles on, so nobody would be admitted";
        problems.add("allowed-role", message, "restrict by groups");
    }
    let config = provider::config(first, around.options, problems)?;
    let mut claims = claims(&written.claims);
    for (list, usual) in
        [(&mut claims.email, &config.email_claim), (&mut claims.groups, &config.groups_claim)]
    {
        if list.is_empty() && !usual.is_empty() {
            list.push(usual.clone());
        }
    }
    let display_name = written.name.clone();
    let config = claims.applied_to(Config { display_name, ..config });
    let password_grant = if written.password_grant { PasswordGrant::Used } else { PasswordGrant::Unused };
    Some(PlannedKind::Oidc { config: Box::new(config), claims, password_grant })
}

fn upstream_secret(
    place: &str,
    written: &own::IdentityProvider,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    match (written.client_secret.expose().as_str(), written.client_secret_file.as_str()) {
        ("", "") => Some(ClientAuthentication::Public),
        (_, "") => Some(ClientAuthentication::Secret(ClientSecret::Inline(written.client_secret.clone()))),
        ("", path) => {
            let place = format!("{place}.clientSecretFile");
            problems.read_secret(&place, path, "name a file that the program may read")?;
            Some(ClientAuthentication::Secret(ClientSecret::File(path.into())))
        }
        _ => {
            let message = "both clientSecret and clientSecretFile are set";
            problems.add(&format!("{place}.clientSecretFile"), message, "take one of the two away");
            None
        }
    }
}

fn trust(place: &str, written: &own::IdentityProvider, problems: &mut Problems<'_>) -> Option<Trust> {
    let path = &written.ca_file;
    if path.is_empty() {
        return Some(Trust::System);
    }
    let pem = problems.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    let pem = problems.take(&format!("{place}.caFile"), pem, "name a PEM file that the program may read")?;
    Some(Trust::Files(vec![CaFile { path: path.into(), pem }]))
}

fn request_header(
    place: &str,
    written: &own::IdentityProvider,
    problems: &mut Problems<'_>,
) -> Option<Box<RequestHeaderProvider>> {
    let files = (written.client_ca.as_str(), written.crl_files.as_slice());
    let client_ca = client_ca::read(place, files, problems)?;
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Some(Box::new(RequestHeaderProvider {
        client_ca,
        allowed_names: written.client_common_names.clone(),
        headers: written.headers.clone(),
        preferred_username_headers: written.preferred_username_headers.clone(),
        name_headers: written.name_headers.clone(),
        email_headers: written.email_headers.clone(),
        group_headers: written.group_headers.clone(),
        login_url: given(&written.login_url),
        challenge_url: given(&written.challenge_url),
    }))
}
