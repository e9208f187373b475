//! Microsoft's providers: Entra ID, and the older `azure`. A token lists groups up to a number; beyond it, it only says so,
//! and Microsoft Graph is asked. Where Graph is follows from the userinfo endpoint, so that national clouds need no
//! setting.

use std::borrow::Cow;

use doorward_core::Identity;
use doorward_jose::{ClaimError, Claims, claims_check::check_issuer};
use serde_json::Value;
use url::Url;

use super::{Api, ApiFault, VendorError};
use crate::discovery::Metadata;

/// What an Entra ID of several tenants has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntraId {
    /// The ids of the tenants whose users are let in; empty: those of every tenant that the issuer allows.
    pub allowed_tenants: Vec<String>,
}

/// What the older endpoints have to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Azure {
    /// The property of a group that names it, such as `id` or `displayName`.
    pub group_field: String,
    /// What tokens are wanted for; heeded by endpoints of version 1. Empty: nothing in particular.
    pub resource: String,
}

/// Nobody is in more groups than this many pages hold; it only ends what would never end.
const MAX_PAGES: usize = 50;
/// What Graph gives on one page at most.
const PAGE: &str = "999";
const GRAPH: &str = "https://graph.microsoft.com";
/// Graph answers filters over memberships only with this.
const EVENTUAL: &[(&str, &str)] = &[("ConsistencyLevel", "eventual")];

/// Adds the groups that did not fit into the ID token. Without an ID token nothing is known to have changed.
pub(super) async fn entra_id(
    api: Api<'_>,
    mut identity: Identity,
    claims: Option<&Claims>,
) -> Result<Identity, VendorError> {
    if claims.is_some_and(has_overage) {
        let url = memberships(api.profile, &[("$select", "id"), ("$top", PAGE)])?;
        add_members(&mut identity, members(api, url, "id").await?);
    }
    Ok(identity)
}

/// With endpoints of version 2, adds the security groups that Graph knows.
pub(super) async fn azure(
    (api, settings): (Api<'_>, &Azure),
    mut identity: Identity,
    (claims, login): (Option<&Claims>, Option<&Url>),
) -> Result<Identity, VendorError> {
    if claims.is_some() && login.is_some_and(is_second_version) {
        let field = settings.group_field.as_str();
        let select = match field {
            "id" | "displayName" => Cow::Borrowed("displayName,id"),
            other => Cow::Owned(format!("displayName,id,{other}")),
        };
        let filter = [("$count", "true"), ("$filter", "securityEnabled eq true"), ("$select", &select)];
        let url = memberships(api.profile, &filter)?;
        add_members(&mut identity, members(api, url, field).await?);
    }
    Ok(identity)
}

/// The scope to ask for: endpoints of version 2 know no scope `groups`, and want the resource as a scope.
pub(super) fn azure_scope(scope: &str, metadata: &Metadata) -> String {
    if !metadata.login.as_ref().is_some_and(is_second_version) {
        return scope.to_owned();
    }
    let graph = format!("{}/.default", graph(metadata.profile.as_ref()));
    let mut scopes: Vec<&str> = scope.split(' ').filter(|scope| !matches!(*scope, "" | "groups")).collect();
    if !scopes.contains(&graph.as_str()) {
        scopes.push(&graph);
    }
    scopes.join(" ")
}

/// The resource to ask for, which only endpoints of version 1 know.
pub(super) fn azure_resource<'a>(settings: &'a Azure, metadata: &Metadata) -> Option<&'a str> {
    let is_second = metadata.login.as_ref().is_some_and(is_second_version);
    Some(settings.resource.as_str()).filter(|resource| !resource.is_empty() && !is_second)
}

fn is_second_version(login: &Url) -> bool {
    login.as_str().contains("v2.0")
}

/// Groups are told elsewhere (OIDC Core section 5.6.2), or left out of a token in a URL.
fn has_overage(claims: &Claims) -> bool {
    let elsewhere = claims.get("_claim_names").and_then(|names| names.get("groups"));
    elsewhere.is_some() || claims.get("hasgroups").is_some_and(|value| *value == Value::Bool(true))
}

/// The origin of Graph.
fn graph(profile: Option<&Url>) -> String {
    profile.map_or_else(|| GRAPH.to_owned(), |profile| profile.origin().ascii_serialization())
}

fn memberships(profile: Option<&Url>, query: &[(&str, &str)]) -> Result<Url, VendorError> {
    let url = format!("{}/v1.0/me/transitiveMemberOf", graph(profile));
    Url::parse_with_params(&url, query).map_err(|error| malformed(error.to_string()))
}

/// A text of every member of a list, page by page. The access token goes to no other place than the first page's.
async fn members(api: Api<'_>, first: Url, field: &str) -> Result<Vec<String>, VendorError> {
    let (mut found, mut next) = (Vec::new(), first.clone());
    for _ in 0..MAX_PAGES {
        let page = api.json_under(WHAT, &next, EVENTUAL).await?;
        let values = page.get("value").and_then(Value::as_array);
        let values = values.ok_or_else(|| malformed("a page has no list of values".to_owned()))?;
        let texts = values.iter().filter_map(|value| value.get(field).and_then(Value::as_str));
        found.extend(texts.filter(|text| !text.is_empty()).map(str::to_owned));
        next = match page.get("@odata.nextLink") {
            None | Some(Value::Null) => return Ok(found),
            Some(link) => follow(link, &first)?,
        };
    }
    Err(malformed(format!("there are more than {MAX_PAGES} pages")))
}

fn follow(link: &Value, first: &Url) -> Result<Url, VendorError> {
    let link = link.as_str().and_then(|link| Url::parse(link).ok());
    link.filter(|link| link.origin() == first.origin())
        .ok_or_else(|| malformed("the next page is at another place".to_owned()))
}

fn add_members(identity: &mut Identity, groups: Vec<String>) {
    for group in groups {
        if !identity.groups.contains(&group) {
            identity.groups.push(group);
        }
    }
}

const WHAT: &str = "groups (Microsoft Graph; the application needs GroupMember.Read.All or User.Read)";

const fn malformed(reason: String) -> VendorError {
    VendorError::Api { what: WHAT, fault: ApiFault::Malformed(reason) }
}

/// The issuers whose tokens are believed: one for each tenant, all of one cloud, which is that of the configured issuer.
#[derive(Clone, Debug)]
pub(crate) struct Tenants {
    /// What an issuer begins with.
    cloud: String,
    /// The one issuer, unless several will do.
    only: Option<String>,
    /// Empty: every tenant.
    allowed: Vec<String>,
}

impl Tenants {
    pub(crate) fn new(issuer: &str, only: Option<String>, settings: &EntraId) -> Self {
        let origin = Url::parse(issuer).map(|url| url.origin().ascii_serialization());
        let cloud = format!("{}/", origin.unwrap_or_default());
        Self { cloud, only, allowed: settings.allowed_tenants.clone() }
    }

    /// Whether `iss` is that of a tenant whose users are let in.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), ClaimError> {
        if let Some(only) = &self.only {
            check_issuer(claims, only)?;
        }
        let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
        let tenant = self.tenant(issuer);
        let is_allowed = match (tenant, self.allowed.as_slice()) {
            (None, []) => self.only.is_some(),
            (Some(_), []) => true,
            (None, _) => false,
            (Some(tenant), allowed) => allowed.iter().any(|one| one.eq_ignore_ascii_case(tenant)),
        };
        if is_allowed {
            return Ok(());
        }
        let tenants = if self.allowed.is_empty() { "TENANT".to_owned() } else { self.allowed.join("|") };
        check_issuer(claims, &format!("{}{tenants}/v2.0", self.cloud))
    }

    fn tenant<'a>(&self, issuer: &'a str) -> Option<&'a str> {
        let rest = issuer.strip_prefix(&self.cloud)?;
        let tenant = rest.strip_suffix("/v2.0").or_else(|| rest.strip_suffix("/v2.0/"))?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (!tenant.is_empty() && tenant.bytes().all(is_name)).then_some(tenant)
    }
}

#[cfg(test)]
mod tests;
