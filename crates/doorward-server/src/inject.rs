//! Telling the application who the user is: the identity headers, and the removal of those that came from outside.

use std::borrow::Cow;

use doorward_core::{Grounds, Identity, SecretString, request::Hop};
use doorward_session::Session;
use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderValue};

/// A header that doorward sets, on requests to the application or on answers to the client.
#[derive(Clone, Debug)]
pub struct InjectedHeader {
    pub name: HeaderName,
    pub values: Vec<ValueSource>,
    pub client_value: ClientValue,
}

/// What becomes of a value that the client itself sends under the name of an injected header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientValue {
    /// Ours stands alone.
    Replaced,
    /// `preserveRequestValue`: ours comes after it. The application must not take the whole for our word.
    Kept,
}

/// Where the value of an injected header comes from.
#[derive(Clone, Debug)]
pub enum ValueSource {
    /// A claim of the session, by its name in the configuration; several values are joined with commas.
    Claim { claim: String, prefix: String },
    /// `Basic base64(claim:password)` (RFC 7617).
    BasicAuth { claim: String, password: SecretString },
    /// The same text for everybody.
    Secret(SecretString),
    /// The id of the provider that the session comes from, as it says itself; never a claim that somebody makes.
    Provider { prefix: String },
    /// The grounds on which the request was let through, in words.
    Grounds,
}

/// What happens to copies of identity headers that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCopies {
    /// Removed from every request, whether or not somebody is logged in.
    Removed,
    /// `--skip-auth-strip-headers=false`: kept where doorward has no value of its own, replaced where it has.
    KeptUnlessReplaced,
}

/// All header injection of a configuration.
#[derive(Clone, Debug)]
pub struct Injection {
    request: Vec<InjectedHeader>,
    response: Vec<InjectedHeader>,
    client_copies: ClientCopies,
    /// Names removed from requests besides the well-known identity headers, normalised.
    configured: Vec<String>,
    /// Names that clients may use, in exactly this spelling.
    kept: Vec<HeaderName>,
}

/// Header names (and prefixes ending in `-`) by which applications are commonly told who the user is.
const IDENTITY_NAMES: [&str; 8] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-preferred-user",
    "x-forwarded-access-token",
    "gap-auth",
    "gap-signature",
];
const IDENTITY_PREFIX: &str = "x-auth-request-";
/// Tells a proxy in front who is signed in.
const GAP_AUTH: HeaderName = HeaderName::from_static("gap-auth");

impl Injection {
    pub fn new(
        request: Vec<InjectedHeader>,
        response: Vec<InjectedHeader>,
        client_copies: ClientCopies,
    ) -> Self {
        let configured = request.iter().map(|header| normalised(header.name.as_str()).into_owned()).collect();
        let kept = request.iter().filter(|header| header.client_value == ClientValue::Kept);
        let kept = kept.map(|header| header.name.clone()).collect();
        Self { request, response, client_copies, configured, kept }
    }

    /// Also tells the application, in this header, on which grounds a request was let through.
    pub fn explain_to_application(&mut self, name: HeaderName) {
        self.configured.push(normalised(name.as_str()).into_owned());
        let values = vec![ValueSource::Grounds];
        self.request.push(InjectedHeader { name, values, client_value: ClientValue::Replaced });
    }

    /// The tokens that headers carry: they cannot be had from sessions without tokens, and are worth refreshing.
    pub fn token_claims(&self) -> impl Iterator<Item = &str> {
        self.request.iter().chain(&self.response).flat_map(|header| &header.values).filter_map(|value| {
            match value {
                ValueSource::Claim { claim, .. } if matches!(claim.as_str(), "access_token" | "id_token") => {
                    Some(claim.as_str())
                }
                _ => None,
            }
        })
    }

    /// The claims of [`Identity::additional`] that headers carry.
    pub(crate) fn additional_claims(&self) -> impl Iterator<Item = &str> {
        const OWN: [&str; 9] = [
            "access_token",
            "id_token",
            "refresh_token",
            "created_at",
            "expires_on",
            "email",
            "user",
            "groups",
            "preferred_username",
        ];
        let values = self.request.iter().chain(&self.response).flat_map(|header| &header.values);
        let claims = values.filter_map(|value| match value {
            ValueSource::Claim { claim, .. } | ValueSource::BasicAuth { claim, .. } => Some(claim.as_str()),
            ValueSource::Secret(_) | ValueSource::Provider { .. } | ValueSource::Grounds => None,
        });
        claims.filter(|claim| !OWN.contains(claim))
    }

    /// Removes what a client must not say about itself, in every spelling that an application might fold together.
    pub fn scrub(&self, headers: &mut HeaderMap, session: Option<&Session>) {
        if self.client_copies == ClientCopies::KeptUnlessReplaced && session.is_none() {
            return;
        }
        self.scrub_all(headers);
    }

    /// As [`Self::scrub`], from requests of everybody, whatever the options say of strangers' copies.
    pub(crate) fn scrub_all(&self, headers: &mut HeaderMap) {
        remove_if(headers, |name| self.is_identity(name) && !self.kept.iter().any(|kept| kept == name));
    }

    /// Removes the same from trailers, which some applications take for headers. Nobody has reason to send any of it there.
    pub fn scrub_trailers(&self, trailers: &mut HeaderMap) {
        remove_if(trailers, |name| self.is_identity(name));
    }

    fn is_identity(&self, name: &str) -> bool {
        let name = normalised(name);
        is_known(&name) || self.configured.iter().any(|own| *own == name)
    }

    /// The identity headers for the application. `sent` are the headers of the client.
    pub fn for_request(
        &self,
        sent: &HeaderMap,
        session: Option<&Session>,
        grounds: &Grounds,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let mut values = Vec::with_capacity(self.request.len());
        for header in &self.request {
            let Some(own) = value(header, session, grounds) else { continue };
            let value = match header.client_value {
                ClientValue::Replaced => own,
                ClientValue::Kept => after_client_value(sent, &header.name, own),
            };
            values.push((header.name.clone(), value));
        }
        values
    }

    /// Puts the visitor's identity on an answer. Headers of these names that the application sent go in any case: it
    /// must not be able to speak in our name.
    pub fn write_answer(&self, headers: &mut HeaderMap, session: Option<&Session>, grounds: &Grounds) {
        let user = session.map(|session| HeaderValue::from_bytes(session.identity.display_name().as_bytes()));
        replace(headers, &GAP_AUTH, user.and_then(Result::ok));
        for header in &self.response {
            replace(headers, &header.name, value(header, session, grounds));
        }
    }
}

/// What the client sent under this name and then our value, in one line.
fn after_client_value(sent: &HeaderMap, name: &HeaderName, own: HeaderValue) -> HeaderValue {
    let mut line = Vec::new();
    for given in sent.get_all(name).iter().chain([&own]) {
        if !line.is_empty() {
            line.push(b',');
        }
        line.extend_from_slice(given.as_bytes());
    }
    HeaderValue::from_bytes(&line).unwrap_or(own)
}

fn replace(headers: &mut HeaderMap, name: &HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

fn is_known(name: &str) -> bool {
    // Nearly all names of a request end here, at their first letter.
    name.starts_with(['x', 'g']) && (name.starts_with(IDENTITY_PREFIX) || IDENTITY_NAMES.contains(&name))
}

/// Removes headers that make applications act on another request than the one that was judged: some frameworks take the
/// path from `X-Original-URL` or `X-Rewrite-URL`, which only a trusted proxy may set; `Proxy` becomes `HTTP_PROXY` in CGI
/// programs (CVE-2016-5385).
pub fn drop_misleading(headers: &mut HeaderMap, hop: Hop) {
    remove_if(headers, |name| match &*normalised(name) {
        "proxy" => true,
        "x-original-url" | "x-original-uri" | "x-rewrite-url" | "x-envoy-original-path" => hop == Hop::Direct,
        _ => false,
    });
}

/// Removes headers that make some frameworks act on another method than the one that was judged.
pub(crate) fn drop_method_overrides(headers: &mut HeaderMap) {
    let names = ["x-http-method-override", "x-http-method", "x-method-override"];
    remove_if(headers, |name| names.contains(&&*normalised(name)));
}

/// Headers by which proxies tell the way of a request, besides `X-Forwarded-…`.
const FORWARDING_NAMES: [&str; 20] = [
    "forwarded",
    "front-end-https",
    "x-real-ip",
    "x-proxyuser-ip",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-host",
    "x-http-host-override",
    "x-original-forwarded-for",
    "x-original-host",
    "x-original-method",
    "x-originating-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-scheme",
    "x-url-scheme",
];

/// Headers by which other gates than this one vouch for a client: for its certificate, or for who somebody is.
const VOUCHING_NAMES: [&str; 11] = [
    "client-cert",
    "client-cert-chain",
    "remote-email",
    "remote-groups",
    "remote-name",
    "remote-user",
    "x-arr-clientcert",
    "x-client-cert",
    "x-endpoint-api-userinfo",
    "x-jwt-assertion",
    "x-userinfo",
];
const VOUCHING_PREFIXES: [&str; 10] = [
    "ssl-client-",
    "x-amzn-oidc-",
    "x-authenticated-",
    "x-authentik-",
    "x-consumer-",
    "x-credential-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-ssl-client-",
    "x-webauth-",
];

/// Removes what a peer vouches for, in every spelling: for peers that are no trusted proxies.
pub(crate) fn drop_vouching(headers: &mut HeaderMap) {
    remove_if(headers, |name| {
        let name = &*normalised(name);
        VOUCHING_NAMES.contains(&name) || VOUCHING_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    });
}

/// Removes what a peer says about the way of a request, in every spelling: for peers that are no trusted proxies. What
/// they say about who somebody is has been dealt with.
pub fn drop_forwarding(headers: &mut HeaderMap) {
    remove_if(headers, |name| {
        let name = normalised(name);
        !is_known(&name) && (name.starts_with("x-forwarded-") || FORWARDING_NAMES.contains(&&*name))
    });
}

pub(crate) fn remove_if(headers: &mut HeaderMap, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted: Vec<HeaderName> =
        headers.keys().filter(|name| is_unwanted(name.as_str())).cloned().collect();
    for name in unwanted {
        headers.remove(name);
    }
}

/// As an application sees a name that turns everything but letters and digits into one character (CGI, WSGI, PHP).
/// Names of the engine are in lower case, and nearly all of them stay as they are.
pub(crate) fn normalised(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.replace(|character: char| !character.is_ascii_alphanumeric(), "-"))
}

/// The comma-joined value; `None` if there is nothing to say or if it cannot stand in a header.
fn value(header: &InjectedHeader, session: Option<&Session>, grounds: &Grounds) -> Option<HeaderValue> {
    let value = match (header.values.as_slice(), session) {
        // Nearly all headers are one claim as it stands: made without a detour.
        ([ValueSource::Claim { claim, prefix }], Some(session)) if prefix.is_empty() => {
            match plain_claim(session, claim) {
                Some(text) if text.is_empty() => return None,
                Some(Cow::Borrowed(text)) => HeaderValue::from_bytes(text.as_bytes()),
                Some(Cow::Owned(text)) => HeaderValue::try_from(text),
                None => joined(header, Some(session), grounds)?,
            }
        }
        _ => joined(header, session, grounds)?,
    };
    let Ok(value) = value else {
        tracing::warn!("The value for header {} holds control characters and is not sent.", header.name);
        return None;
    };
    Some(value)
}

/// The claims that most configurations pass on.
fn plain_claim<'a>(session: &'a Session, claim: &str) -> Option<Cow<'a, str>> {
    let Identity { user, email, groups, preferred_username, additional: _ } = &session.identity;
    match claim {
        "user" => Some(user.into()),
        "email" => Some(email.into()),
        "preferred_username" => Some(preferred_username.into()),
        "groups" if !groups.iter().any(String::is_empty) => Some(groups.join(",").into()),
        _ => None,
    }
}

fn joined(
    header: &InjectedHeader,
    session: Option<&Session>,
    grounds: &Grounds,
) -> Option<Result<HeaderValue, InvalidHeaderValue>> {
    let claims = |claim: &str| session.map(|session| session.claim(claim)).unwrap_or_default();
    let mut text = String::new();
    for source in &header.values {
        match source {
            ValueSource::Claim { claim, prefix } => {
                for item in claims(claim) {
                    append(&mut text, &[prefix, &item]);
                }
            }
            ValueSource::Provider { prefix } => {
                if let Some(id) = session.and_then(|session| session.provider.as_ref()) {
                    append(&mut text, &[prefix, id]);
                }
            }
            ValueSource::BasicAuth { claim, password } => {
                for item in claims(claim) {
                    let credentials = format!("{item}:{}", password.expose());
                    append(&mut text, &["Basic ", &base64_simd::STANDARD.encode_to_string(credentials)]);
                }
            }
            ValueSource::Secret(secret) => append(&mut text, &[secret.expose()]),
            ValueSource::Grounds => append(&mut text, &[&grounds.to_string()]),
        }
    }
    if text.is_empty() { None } else { Some(HeaderValue::try_from(text)) }
}

fn append(text: &mut String, pieces: &[&str]) {
    if !text.is_empty() {
        text.push(',');
    }
    for piece in pieces {
        text.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection() -> Injection {
        let source = ValueSource::Claim { claim: "id_token".into(), prefix: "Bearer ".into() };
        let header = InjectedHeader {
            name: http::header::AUTHORIZATION,
            values: vec![source],
            client_value: ClientValue::Replaced,
        };
        Injection::new(vec![header], vec![], ClientCopies::Removed)
    }

    #[test]
    fn identity_headers_from_outside_are_removed_in_every_spelling() {
        let mut headers = HeaderMap::new();
        for name in [
            "X-Forwarded-User",
            "X_Forwarded_User",
            "x_forwarded-email",
            "X-Forwarded_Groups",
            "X-Auth-Request-Email",
            "X_Auth_Request_Anything",
            "GAP-Auth",
            "X.Forwarded.User",
            "X~Forwarded~Email",
            "gap_signature",
            "X-Forwarded-Access-Token",
            "Authorization",
        ] {
            headers
                .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("root"));
        }
        for kept in ["x-forwarded-for", "x-forwarded-proto", "x-custom", "x_custom"] {
            headers.append(HeaderName::from_static(kept), HeaderValue::from_static("kept"));
        }
        injection().scrub(&mut headers, None);
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["x-custom", "x-forwarded-for", "x-forwarded-proto", "x_custom"]);
    }

    #[test]
    fn targets_that_only_a_proxy_may_name_are_removed_in_every_spelling() {
        for (hop, kept) in [(Hop::Direct, 1), (Hop::Trusted, 5)] {
            let mut headers = HeaderMap::new();
            for name in [
                "x-original-url",
                "x_original_url",
                "x.rewrite.url",
                "x_envoy-original-path",
                "x-original",
                "proxy",
            ] {
                headers.insert(HeaderName::from_static(name), HeaderValue::from_static("/admin"));
            }
            drop_misleading(&mut headers, hop);
            assert_eq!(headers.len(), kept, "{hop:?} {headers:?}");
        }
    }

    #[test]
    fn a_kept_client_value_comes_before_ours_in_its_exact_spelling_only() {
        let header = InjectedHeader {
            name: HeaderName::from_static("x-groups"),
            values: vec![ValueSource::Claim { claim: "groups".into(), prefix: String::new() }],
            client_value: ClientValue::Kept,
        };
        let injection = Injection::new(vec![header], vec![], ClientCopies::Removed);
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-groups", "a"), ("x-groups", "b"), ("x_groups", "evil")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut session = Session::default();
        session.identity.groups = vec!["dev".into()];
        let values = injection.for_request(&headers, Some(&session), &Grounds::Preflight);
        assert_eq!(values[0].1, "a,b,dev");
        injection.scrub(&mut headers, Some(&session));
        assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-groups"]);
    }

    #[test]
    fn several_values_are_joined_and_control_characters_are_never_sent() {
        let mut session = Session::default();
        session.identity.groups = vec!["a".into(), "b c".into()];
        session.identity.email = "x\r\nSet-Cookie: y".into();
        let header = |claim: &str| InjectedHeader {
            name: HeaderName::from_static("x-test"),
            values: vec![ValueSource::Claim { claim: claim.into(), prefix: String::new() }],
            client_value: ClientValue::Replaced,
        };
        let grounds = Grounds::Preflight;
        assert_eq!(value(&header("groups"), Some(&session), &grounds).unwrap(), "a,b c");
        assert_eq!(value(&header("email"), Some(&session), &grounds), None);
        assert_eq!(value(&header("user"), Some(&session), &grounds), None);
        assert_eq!(value(&header("groups"), None, &grounds), None);
    }
}
