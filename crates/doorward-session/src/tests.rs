//! Whole lives of sessions, and what all tests share.

mod lives;
mod vectors;

use std::time::Duration;

use crate::*;

/// The usual configuration.
pub(crate) fn config() -> CookieConfig {
    CookieConfig {
        name: CookieName::try_from("_oauth2_proxy").unwrap(),
        path: "/".to_owned(),
        domains: vec!["example.com".to_owned()],
        transport: CookieTransport::HttpsOnly,
        script_access: ScriptAccess::Forbidden,
        same_site: SameSite::Lax,
        expire: Duration::from_hours(168),
        csrf_expire: Duration::from_mins(15),
        csrf_same_site: None,
        csrf_per_request: PerRequest::Shared,
        csrf_limit: None,
        stored_tokens: StoredTokens::All,
        secret: CookieSecret::try_from(&b"0123456789abcdef0123456789abcdef"[..]).unwrap(),
        previous: vec![],
    }
}
