//! Handles in place of what an authorization server or login service behind the gateway hands out (norm B3.3): clients
//! only ever hold handles, and what comes back with one goes on with what it stands for.
//!
//! Whatever cannot be understood is not let through: a token in an answer that was not looked into would be out.

mod answer;
mod realm;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
pub use doorward_accounts::HandleForm;
use doorward_accounts::{Accounts, Unavailable};
use doorward_core::{SecretString, Timestamp};
use http::{HeaderMap, HeaderValue, header, response};

pub use realm::HandleRealm;

/// The most bytes a body may have that is looked into; counted after decompression.
pub const MOST_BODY: usize = 1024 * 1024;

/// What is replaced on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlesConfig {
    /// Fields of JSON answers: a name, or names joined with dots, where a number stands for an element and `*` for every
    /// element of an array; `$.` may stand before. E.g. `access_token`, `AuthenticationResult.AccessToken`.
    pub fields: Vec<String>,
    /// Names of cookies.
    pub cookies: Vec<String>,
    /// Handles of one realm mean nothing in another.
    pub realm: String,
    /// For how long a handle is good whose original does not say.
    pub life: Duration,
    pub form: HandleForm,
}

impl Default for HandlesConfig {
    fn default() -> Self {
        Self {
            fields: ["access_token", "refresh_token", "id_token"].map(str::to_owned).to_vec(),
            cookies: Vec::new(),
            realm: String::new(),
            life: Duration::from_hours(30 * 24),
            form: HandleForm::Random,
        }
    }
}

/// A field cannot be found by this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no field; write names joined with dots, like data.access_token")]
pub struct InvalidField(String);

/// Why a request or an answer does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwapFault {
    /// 503.
    #[error("handles cannot be kept or found: {0}")]
    Unavailable(#[from] Unavailable),
    /// 502: what the application answered might be a token, or hold one.
    #[error("the answer on a route with tokenResponses {0}")]
    Unswappable(&'static str),
}

/// What is replaced in the answers of a route.
#[derive(Debug)]
pub struct Handles {
    realm: HandleRealm,
    fields: Vec<Field>,
    cookies: Vec<String>,
    life: Duration,
    form: HandleForm,
}

/// Where a field is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    text: String,
    parent: Vec<String>,
    name: String,
}

impl Field {
    fn parse(text: &str) -> Result<Self, InvalidField> {
        let invalid = || InvalidField(text.to_owned());
        let mut names: Vec<String> =
            text.strip_prefix("$.").unwrap_or(text).split('.').map(str::to_owned).collect();
        if names.iter().any(|name| name.is_empty() || name.contains(['[', ']', '$'])) {
            return Err(invalid());
        }
        let name = names.pop().ok_or_else(invalid)?;
        Ok(Self { text: text.to_owned(), parent: names, name })
    }
}

impl Handles {
    pub fn new(accounts: Arc<Accounts>, config: HandlesConfig) -> Result<Self, InvalidField> {
        let HandlesConfig { fields, cookies, realm, life, form } = config;
        let fields = fields.iter().map(|field| Field::parse(field)).collect::<Result<_, _>>()?;
        Ok(Self { realm: HandleRealm::new(accounts, realm), fields, cookies, life, form })
    }

    /// What leads from handles back to originals.
    pub const fn realm(&self) -> &HandleRealm {
        &self.realm
    }

    /// Makes a request such that its answer can be looked into: whole, and compressed at most in a known way.
    pub fn prepare(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        for name in [header::RANGE, header::IF_RANGE] {
            headers.remove(name);
        }
    }

    /// Whether the body of an answer has to be read, up to [`MOST_BODY`], before [`Self::swap_answer`]. One that is longer
    /// must not be forwarded. `sent` are originals that the application got with the request: a failure may repeat them.
    pub fn reads(&self, head: &response::Parts, sent: &[SecretString]) -> bool {
        let may_repeat = !sent.is_empty() && !head.status.is_informational();
        !self.fields.is_empty() && (head.status.is_success() || may_repeat)
    }

    /// Replaces originals by handles: cookies in any answer, fields in one that succeeded and that [`Self::reads`] says is
    /// read. For any that is not read `body` is empty. Gives the body to send, in which none of the originals stands, nor
    /// any of those that were `sent`.
    pub async fn swap_answer(
        &self,
        head: &mut response::Parts,
        (body, sent): (Bytes, &[SecretString]),
        now: Timestamp,
    ) -> Result<Bytes, SwapFault> {
        let reads = self.reads(head, sent);
        answer::swap(self, head, (if reads { body } else { Bytes::new() }, sent), now).await
    }
}

#[cfg(test)]
mod tests;
