//! Options of Microsoft's providers: Entra ID, the older azure, and ADFS.

use std::{env, path::PathBuf};

use doorward_oidc::{Azure, ClientAuthentication, Defaults, EntraId, ProviderKind};
use doorward_options::structured::Provider;
use url::Url;

use crate::assemble::problems::Problems;

/// Names in an issuer that stand for more than one tenant.
const SEVERAL: [&str; 3] = ["common", "organizations", "consumers"];
/// Where the platform writes the token of a workload, in its own words.
const FEDERATED_TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";

pub(super) fn entra_id(provider: &Provider, problems: &mut Problems<'_>) -> ProviderKind {
    let is_open = is_of_several_tenants(provider) || provider.oidc.insecure_skip_issuer_verification;
    if is_open && provider.microsoft_entra_id.allowed_tenants.is_empty() {
        problems.warn(
            "entra-id-allowed-tenant",
            "people of every tenant can sign in, and whoever runs a tenant says which e-mail addresses its people have",
            "name the tenants whose people may come in",
        );
    }
    ProviderKind::EntraId(EntraId { allowed_tenants: provider.microsoft_entra_id.allowed_tenants.clone() })
}

/// Whether the issuer stands for several tenants, so that tokens name another.
pub(super) fn is_of_several_tenants(provider: &Provider) -> bool {
    let issuer = Url::parse(&provider.oidc.issuer_url).ok();
    let first = issuer.as_ref().and_then(|issuer| issuer.path_segments()?.next());
    first.is_some_and(|tenant| SEVERAL.contains(&tenant))
}

pub(super) fn azure(provider: &Provider, problems: &mut Problems<'_>) -> ProviderKind {
    let written = &provider.azure;
    if !provider.oidc.skip_discovery
        && written.tenant != "common"
        && !provider.oidc.issuer_url.contains(&written.tenant)
    {
        let message = "the endpoints are those of the issuer, which is of another tenant";
        let mend = "write an --oidc-issuer-url of that tenant, https://login.microsoftonline.com/TENANT/v2.0";
        problems.add("azure-tenant", message, mend);
    }
    let field = if written.graph_group_field.is_empty() { "id" } else { &written.graph_group_field };
    ProviderKind::Azure(Azure { group_field: field.to_owned(), resource: provider.resource.clone() })
}

/// The endpoints of a tenant, login first; with discovery none of them is needed.
pub(super) fn azure_endpoints(provider: &Provider, defaults: &Defaults) -> [String; 4] {
    let tenant = provider.azure.tenant.as_str();
    let of_tenant = |url: &str| url.replacen("/common/", &format!("/{tenant}/"), 1);
    let Defaults { login_url, redeem_url, profile_url, validate_url, .. } = *defaults;
    if provider.oidc.skip_discovery {
        [of_tenant(login_url), of_tenant(redeem_url), profile_url.to_owned(), validate_url.to_owned()]
    } else {
        [of_tenant(login_url), of_tenant(redeem_url), profile_url.to_owned(), String::new()]
    }
}

/// The assertion that the platform makes about a workload, in place of a secret.
pub(super) fn federated(problems: &mut Problems<'_>) -> Option<ClientAuthentication> {
    let option = "entra-id-federated-token-auth";
    let mend = "let the platform set AZURE_FEDERATED_TOKEN_FILE to a file that the program may read";
    let path = env::var(FEDERATED_TOKEN_FILE).ok().filter(|path| !path.is_empty());
    let path = path.map(PathBuf::from).ok_or("the variable AZURE_FEDERATED_TOKEN_FILE is not set");
    let path = problems.take(option, path, mend)?;
    // Not by way of the files of the configuration: the platform writes it anew all the time.
    let is_there = std::fs::metadata(&path)
        .map_err(|error| format!("AZURE_FEDERATED_TOKEN_FILE {}: {error}", path.display()));
    problems.take(option, is_there, mend)?;
    Some(ClientAuthentication::AssertionFile(path))
}

/// The resource stands before the scope, as ADFS wants it; nothing is asked for if that is wished.
pub(super) fn adfs_scope(provider: &Provider, scope: &str) -> String {
    let resource = provider.resource.as_str();
    let slash = if resource.ends_with('/') { "" } else { "/" };
    let prefix = format!("{resource}{slash}");
    if provider.adfs.skip_scope {
        String::new()
    } else if resource.is_empty() || scope.starts_with(&prefix) {
        scope.to_owned()
    } else {
        format!("{prefix}{scope}")
    }
}
