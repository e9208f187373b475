//! Users who are known by what comes with the connection: the headers of a front proxy whose certificate is good, or a
//! certificate of their own. Without such a certificate the headers are nobody's. A proxy that only hands on the
//! certificates of its clients is no user.

use doorward_accounts::ProviderLogin;
use doorward_authn::x509::ClientCa;
use http::HeaderMap;

use super::{AMR_KEY, NotSignedIn, Reason, Vouched};
use crate::{
    OAuthServer,
    call::Call,
    config::{IdentityProvider, ProviderKind, RequestHeaderProvider},
};

impl OAuthServer {
    /// The user that this provider knows by headers or certificate; `None` if they name nobody.
    pub(crate) async fn presented(
        &self,
        provider: &IdentityProvider,
        call: &Call,
    ) -> Result<Option<Vouched>, NotSignedIn> {
        let (login, amr): (_, &[&str]) = match &provider.kind {
            ProviderKind::RequestHeader(headers) => (by_headers(headers, provider, call)?, &[]),
            ProviderKind::X509(authority) => (by_certificate(authority, provider, call)?, &[AMR_KEY]),
            ProviderKind::Htpasswd(_) | ProviderKind::Static | ProviderKind::Oidc(_) => (None, &[]),
        };
        match login {
            Some(login) => self.map(provider, &login, amr, call.now).await.map(Some),
            None => Ok(None),
        }
    }
}

fn by_headers(
    told: &RequestHeaderProvider,
    provider: &IdentityProvider,
    call: &Call,
) -> Result<Option<ProviderLogin>, NotSignedIn> {
    // Anybody may send headers, and most who show a certificate are no proxies: neither is worth an error.
    if call.of_connection.is_empty() || first(&call.headers, &told.headers)?.is_empty() {
        return Ok(None);
    }
    let subject = told.client_ca.verify(&call.of_connection, call.now).map_err(|why| refused(&why))?;
    if !told.allowed_names.is_empty() && !told.allowed_names.contains(&subject.common_name) {
        return Err(refused(&"the common name of the proxy's certificate is not among the allowed names"));
    }
    let headers = &call.headers;
    let groups = if told.group_headers.is_empty() { None } else { Some(all(headers, &told.group_headers)?) };
    Ok(Some(ProviderLogin {
        provider: provider.name.clone(),
        user_name: first(headers, &told.headers)?,
        preferred_username: first(headers, &told.preferred_username_headers)?,
        full_name: first(headers, &told.name_headers)?,
        email: first(headers, &told.email_headers)?,
        email_verified: false,
        groups,
    }))
}

fn by_certificate(
    authority: &ClientCa,
    provider: &IdentityProvider,
    call: &Call,
) -> Result<Option<ProviderLogin>, NotSignedIn> {
    if call.certificates.is_empty() {
        return Ok(None);
    }
    let subject = authority.verify(&call.certificates, call.now).map_err(|why| refused(&why))?;
    if subject.common_name.is_empty() {
        return Ok(None);
    }
    Ok(Some(ProviderLogin {
        provider: provider.name.clone(),
        user_name: subject.common_name,
        groups: Some(subject.organizations),
        ..ProviderLogin::default()
    }))
}

/// The value of the first header that has one; empty if none has. Two lines of it are somebody else's attempt.
fn first(headers: &HeaderMap, names: &[String]) -> Result<String, NotSignedIn> {
    for name in names {
        match all(headers, std::slice::from_ref(name))?.as_slice() {
            [] => (),
            [only] => return Ok(only.clone()),
            [_, ..] => return Err(refused(&"a header that names the user came twice")),
        }
    }
    Ok(String::new())
}

fn all(headers: &HeaderMap, names: &[String]) -> Result<Vec<String>, NotSignedIn> {
    let values = names.iter().flat_map(|name| headers.get_all(name.as_str()));
    let mut texts = Vec::new();
    for value in values.filter(|value| !value.is_empty()) {
        let text = str::from_utf8(value.as_bytes()).ok().filter(|text| !text.chars().any(char::is_control));
        texts.push(text.ok_or_else(|| refused(&"a header that names the user is not text"))?.to_owned());
    }
    Ok(texts)
}

fn refused(why: &impl ToString) -> NotSignedIn {
    NotSignedIn::Refused(Reason::AccessDenied, why.to_string())
}
