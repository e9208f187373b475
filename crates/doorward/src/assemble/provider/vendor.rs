//! What the options of one kind of provider mean: which kind it is, with its settings, and which groups are demanded.

use doorward_oidc::{Protocol, ProviderKind};
use doorward_options::structured::{
    Adfs, Azure, Bitbucket, GitHub, GitLab, Google, LoginGov, MicrosoftEntraId, Provider,
};

use crate::assemble::problems::Problems;

/// Provider types of the reference that are still to come.
const LATER: [&str; 14] = [
    "adfs",
    "azure",
    "bitbucket",
    "cidaas",
    "entra-id",
    "facebook",
    "github",
    "gitlab",
    "google",
    "keycloak",
    "linkedin",
    "login.gov",
    "nextcloud",
    "sourcehut",
];

/// The kind that is written, with its own settings.
pub(crate) fn kind(provider: &Provider, problems: &mut Problems<'_>) -> Option<ProviderKind> {
    let mend = "write the name of a provider, such as oidc or keycloak-oidc";
    match provider.provider.as_str() {
        "oidc" => Some(ProviderKind::Oidc),
        "keycloak-oidc" => Some(ProviderKind::KeycloakOidc),
        "digitalocean" => Some(ProviderKind::DigitalOcean),
        later if LATER.contains(&later) => {
            problems.add("provider", format!("the provider {later} is not implemented yet"), mend);
            None
        }
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
    provider.allowed_groups.iter().cloned().chain(roles).collect()
}

/// What to ask for if nothing is written.
pub(super) fn scope(provider: &Provider, kind: &ProviderKind) -> String {
    if !provider.scope.is_empty() {
        return provider.scope.clone();
    }
    let usual = kind.defaults().scope;
    // Providers without metadata know no such scope.
    let asks_for_groups = kind.protocol() == Protocol::OpenIdConnect && !provider.allowed_groups.is_empty();
    format!("{usual}{}", if asks_for_groups { " groups" } else { "" })
}

/// A restriction that the provider cannot enforce would let everybody in.
pub(super) fn refuse_foreign(provider: &Provider, problems: &mut Problems<'_>) {
    let kind = provider.provider.as_str();
    if !provider.keycloak.roles.is_empty() && kind != "keycloak-oidc" {
        let message =
            "roles are known of the provider keycloak-oidc only, so this restriction would not be enforced";
        problems.add("allowed-role", message, "use the provider keycloak-oidc, or restrict by groups");
    }
    let foreign = [
        ("keycloak-group", &["keycloak"][..], !provider.keycloak.groups.is_empty()),
        ("azure-tenant", &["azure"], provider.azure != Azure::default()),
        (
            "entra-id-allowed-tenant",
            &["entra-id"],
            provider.microsoft_entra_id != MicrosoftEntraId::default(),
        ),
        ("providers[0].ADFSConfig", &["adfs"], provider.adfs != Adfs::default()),
        ("bitbucket-team", &["bitbucket"], provider.bitbucket != Bitbucket::default()),
        ("github-org", &["github"], provider.github != GitHub::default()),
        ("gitlab-group", &["gitlab"], provider.gitlab != GitLab::default()),
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
