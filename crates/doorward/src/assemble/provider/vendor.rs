//! What the options of one kind of provider mean: which kind it is, with its settings, and which groups are demanded.

mod google;
mod hubs;
mod login_gov;
mod microsoft;

use doorward_oidc::{
    ClientAuthentication, Config, Discovery, IssuerCheck, KeySource, NonceCheck, Protocol, ProviderKind,
};
use doorward_options::structured::{Adfs, Azure, Google, LoginGov, MicrosoftEntraId, Provider};
use url::Url;

use crate::assemble::{client_auth, problems::Problems};

/// The kind that is written, with its own settings.
pub(crate) fn kind(provider: &Provider, problems: &mut Problems<'_>) -> Option<ProviderKind> {
    let mend = "write the name of a provider, such as oidc or keycloak-oidc";
    match provider.provider.as_str() {
        "oidc" => Some(ProviderKind::Oidc),
        "keycloak-oidc" => Some(ProviderKind::KeycloakOidc),
        "adfs" => Some(ProviderKind::Adfs),
        "azure" => Some(microsoft::azure(provider, problems)),
        "cidaas" => Some(ProviderKind::Cidaas),
        "entra-id" => Some(microsoft::entra_id(provider, problems)),
        "google" => google::kind(provider, problems),
        "login.gov" => Some(ProviderKind::LoginGov),
        "bitbucket" => hubs::bitbucket(provider, problems).map(ProviderKind::Bitbucket),
        "digitalocean" => Some(ProviderKind::DigitalOcean),
        "facebook" => Some(ProviderKind::Facebook),
        "github" => hubs::github(provider, problems).map(ProviderKind::GitHub),
        "gitlab" => hubs::gitlab(provider, problems).map(ProviderKind::GitLab),
        "keycloak" => Some(ProviderKind::Keycloak),
        "linkedin" => Some(ProviderKind::LinkedIn),
        "nextcloud" => Some(ProviderKind::Nextcloud),
        "sourcehut" => Some(ProviderKind::SourceHut),
        unknown => {
            problems.add("provider", format!("there is no provider type {unknown:?}"), mend);
            None
        }
    }
}

/// The groups of which a session needs one; empty: none is needed. Where the reference has an option that it then does
/// not heed, doorward heeds it, or it is refused by [`refuse_foreign`].
pub(crate) fn allowed_groups(provider: &Provider) -> Vec<String> {
    let roles = provider.keycloak.roles.iter().map(|role| format!("role:{role}"));
    let lists =
        [&provider.allowed_groups, &provider.google.group, &provider.keycloak.groups, &provider.gitlab.group];
    lists.into_iter().flatten().cloned().chain(roles).chain(hubs::projects(provider)).collect()
}

/// What to ask for: what is written, else what is usual, and what the restrictions need.
pub(super) fn scope(provider: &Provider, kind: &ProviderKind) -> String {
    let mut scope =
        if provider.scope.is_empty() { usual_scope(provider, kind) } else { provider.scope.clone() };
    for needed in kind.needed_scopes() {
        if !scope.split_ascii_whitespace().any(|word| word == needed) {
            scope.push(' ');
            scope.push_str(needed);
        }
    }
    if *kind == ProviderKind::Adfs { microsoft::adfs_scope(provider, &scope) } else { scope }
}

fn usual_scope(provider: &Provider, kind: &ProviderKind) -> String {
    let usual = kind.defaults().scope;
    // Others know no such scope, and Entra ID and GitLab refuse what they do not know.
    let is_known = matches!(kind, ProviderKind::Oidc | ProviderKind::KeycloakOidc);
    let asks_for_groups = is_known && !provider.allowed_groups.is_empty();
    format!("{usual}{}", if asks_for_groups { " groups" } else { "" })
}

/// Where a provider without metadata is. A code or a token must not go to the usual place if the provider is elsewhere.
pub(super) fn endpoints(provider: &Provider, kind: &ProviderKind, problems: &mut Problems<'_>) {
    if kind.protocol() != Protocol::OAuth2 {
        return;
    }
    let defaults = kind.defaults();
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
    let is_elsewhere = |written: &str, usual: &str| !written.is_empty() && origin(written) != origin(usual);
    let moved = is_elsewhere(&provider.login_url, defaults.login_url)
        || is_elsewhere(&provider.redeem_url, defaults.redeem_url);
    for (option, written, usual) in [
        ("login-url", &provider.login_url, defaults.login_url),
        ("redeem-url", &provider.redeem_url, defaults.redeem_url),
        ("validate-url", &provider.validate_url, defaults.validate_url),
        ("profile-url", &provider.profile_url, defaults.profile_url),
    ] {
        let is_nowhere = usual.is_empty() && option != "profile-url";
        if written.is_empty() && is_nowhere {
            let message = format!("nobody but you knows where {} is", defaults.name);
            problems.add(option, message, "write login-url, redeem-url and validate-url");
        } else if written.is_empty() && moved && !usual.is_empty() {
            let message = format!("other endpoints are written, so {usual} would belong to another provider");
            problems.add(option, message, "write all endpoints of the provider, or none");
        }
    }
}

/// Whether the provider's metadata and keys are found by its issuer, which therefore has to be written.
pub(super) fn has_written_issuer(kind: &ProviderKind) -> bool {
    kind.protocol() == Protocol::OpenIdConnect && kind.undiscovered().is_none()
}

/// How the provider knows us.
pub(super) fn client_authentication(
    provider: &Provider,
    problems: &mut Problems<'_>,
) -> Option<ClientAuthentication> {
    match provider.provider.as_str() {
        "login.gov" if provider.client_auth.method.is_empty() => login_gov::key(provider, problems),
        "entra-id" if provider.microsoft_entra_id.federated_token_auth => microsoft::federated(problems),
        _ => client_auth::authentication(provider, problems),
    }
}

/// Changes what is otherwise for a provider of this kind.
pub(super) fn adapt(provider: &Provider, config: &mut Config) {
    let jwks = Some(&provider.oidc.jwks_url).filter(|url| !url.is_empty());
    if let Some(known) = config.kind.undiscovered() {
        config.discovery = Discovery::Skip;
        config.keys = KeySource::Url(jwks.map_or(known.keys_url, String::as_str).to_owned());
        if config.issuer.is_empty() {
            known.issuer.clone_into(&mut config.issuer);
        }
    }
    match config.kind {
        ProviderKind::Azure(_) => {
            let usual = microsoft::azure_endpoints(provider, &config.kind.defaults());
            let written =
                [&provider.login_url, &provider.redeem_url, &provider.profile_url, &provider.validate_url];
            let places = [
                &mut config.login_url,
                &mut config.redeem_url,
                &mut config.profile_url,
                &mut config.validate_url,
            ];
            for ((place, written), usual) in places.into_iter().zip(written).zip(usual) {
                *place = super::either(written, &usual);
            }
        }
        ProviderKind::EntraId(_) if microsoft::is_of_several_tenants(provider) => {
            config.issuer_check = IssuerCheck::Skip;
        }
        // What is written there is where the directory is.
        ProviderKind::Google(_) => config.profile_url = None,
        ProviderKind::LoginGov => {
            config.nonce = NonceCheck::Required;
            login_gov::add_strength(&mut config.login_parameters);
            if provider.oidc.issuer_url.is_empty()
                && let Some(issuer) = login_gov::issuer(provider)
            {
                config.issuer = issuer;
            }
            if !provider.login_gov.pubjwk_url.is_empty() {
                config.keys = KeySource::Url(provider.login_gov.pubjwk_url.clone());
            }
        }
        _ => (),
    }
}

/// A restriction that the provider cannot enforce would let everybody in.
pub(super) fn refuse_foreign(provider: &Provider, problems: &mut Problems<'_>) {
    let kind = provider.provider.as_str();
    if !provider.keycloak.roles.is_empty() && kind != "keycloak-oidc" {
        let message =
            "roles are known of the provider keycloak-oidc only, so this restriction would not be enforced";
        problems.add("allowed-role", message, "use the provider keycloak-oidc, or restrict by groups");
    }
    let Provider { bitbucket, github, gitlab, .. } = provider;
    let foreign = [
        ("keycloak-group", &["keycloak"][..], !provider.keycloak.groups.is_empty()),
        ("azure-tenant", &["azure"], provider.azure != Azure::default()),
        (
            "entra-id-allowed-tenant",
            &["entra-id"],
            provider.microsoft_entra_id != MicrosoftEntraId::default(),
        ),
        ("providers[0].ADFSConfig", &["adfs"], provider.adfs != Adfs::default()),
        ("bitbucket-team", &["bitbucket"], !bitbucket.team.is_empty()),
        ("bitbucket-repository", &["bitbucket"], !bitbucket.repository.is_empty()),
        ("github-org", &["github"], !github.org.is_empty()),
        ("github-team", &["github"], !github.team.is_empty()),
        ("github-repo", &["github"], !github.repo.is_empty()),
        ("github-token", &["github"], !github.token.expose().is_empty()),
        ("github-user", &["github"], !github.users.is_empty()),
        ("gitlab-group", &["gitlab"], !gitlab.group.is_empty()),
        ("gitlab-project", &["gitlab"], !gitlab.projects.is_empty()),
        ("google-group", &["google"], provider.google != Google::default()),
        ("pubjwk-url", &["login.gov"], provider.login_gov != LoginGov::default()),
        ("resource", &["azure", "adfs"], !provider.resource.is_empty()),
    ];
    for (option, owners, _) in
        foreign.into_iter().filter(|(_, owners, is_set)| *is_set && !owners.contains(&kind))
    {
        let owners = owners.join(" or ");
        let message = format!("only the provider {owners} would heed this or the settings beside it");
        problems.add(option, message, "remove the settings of other providers");
    }
}

#[cfg(test)]
mod tests {
    use doorward_options::Sources;

    use super::*;
    use crate::files::Files;

    const PAGE: &str = include_str!("../../../../../docs/providers.md");

    /// The type of a kind, as it is written. A new kind needs its line here, and so its row in the page.
    fn written(kind: &ProviderKind) -> Option<&'static str> {
        Some(match kind {
            ProviderKind::Doorward => return None,
            ProviderKind::Oidc => "oidc",
            ProviderKind::KeycloakOidc => "keycloak-oidc",
            ProviderKind::Adfs => "adfs",
            ProviderKind::Azure(_) => "azure",
            ProviderKind::Bitbucket(_) => "bitbucket",
            ProviderKind::Cidaas => "cidaas",
            ProviderKind::DigitalOcean => "digitalocean",
            ProviderKind::EntraId(_) => "entra-id",
            ProviderKind::Facebook => "facebook",
            ProviderKind::GitHub(_) => "github",
            ProviderKind::GitLab(_) => "gitlab",
            ProviderKind::Google(_) => "google",
            ProviderKind::Keycloak => "keycloak",
            ProviderKind::LinkedIn => "linkedin",
            ProviderKind::LoginGov => "login.gov",
            ProviderKind::Nextcloud => "nextcloud",
            ProviderKind::SourceHut => "sourcehut",
        })
    }

    /// All types of the reference.
    const TYPES: [&str; 17] = [
        "adfs",
        "azure",
        "bitbucket",
        "cidaas",
        "digitalocean",
        "entra-id",
        "facebook",
        "github",
        "gitlab",
        "google",
        "keycloak",
        "keycloak-oidc",
        "linkedin",
        "login.gov",
        "nextcloud",
        "oidc",
        "sourcehut",
    ];

    #[test]
    fn the_page_of_providers_has_a_row_for_every_kind() {
        let (sources, files) = (Sources::default(), Files::default());
        let rows: Vec<(&str, &str)> = PAGE
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .map(|(word, rest)| (word, rest.split(" | ").next().unwrap()))
            .collect();
        for word in TYPES {
            let mut problems = Problems::new(&sources, &files);
            let provider = Provider { provider: word.to_owned(), ..Provider::default() };
            let row = rows.iter().find(|(found, _)| *found == word);
            let kind = kind(&provider, &mut problems).unwrap();
            assert_eq!(written(&kind), Some(word));
            assert_eq!(row, Some(&(word, kind.defaults().name)));
        }
        assert_eq!(rows.len(), TYPES.len());
    }
}
