//! Reading and changing records: their keys, their JSON, and attempts that are repeated when somebody was faster.

use std::fmt;

use doorward_core::Timestamp;
use doorward_store::{Committed, Transaction};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Accounts, Unavailable};

/// How often a change is tried when others change the same record meanwhile.
pub(crate) const ATTEMPTS: usize = 8;

/// A record as it was read.
pub(crate) struct Read<T> {
    pub(crate) value: T,
    /// Exactly what stood in the store, for conditions.
    pub(crate) bytes: Vec<u8>,
}

impl<T: DeserializeOwned> Read<T> {
    pub(crate) fn decode(bytes: Option<Vec<u8>>) -> Result<Option<Self>, Unavailable> {
        let Some(bytes) = bytes else { return Ok(None) };
        let value = serde_json::from_slice(&bytes).map_err(|_| Unavailable::Unreadable)?;
        Ok(Some(Self { value, bytes }))
    }
}

impl Accounts {
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Read<T>>, Unavailable> {
        Read::decode(self.records.get(key, now).await?)
    }

    /// The names below a prefix that ends with a slash, and what stands there.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<(String, Vec<u8>)>, Unavailable> {
        let found = self.records.list(prefix, now).await?;
        let name = |key: String| key.strip_prefix(prefix).map(str::to_owned);
        Ok(found.into_iter().filter_map(|(key, value)| Some((name(key)?, value))).collect())
    }

    pub(crate) async fn commit(
        &self,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Committed, Unavailable> {
        Ok(self.records.commit(transaction, now).await?)
    }
}

pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, Unavailable> {
    serde_json::to_vec(value).map_err(|_| Unavailable::Unreadable)
}

/// Where what is kept. Parts that others choose are encoded, so that none of them reaches below another's prefix.
pub(crate) mod key {
    use super::{Part, fmt};

    pub(crate) const USERS: &str = "user/";
    pub(crate) const SIGNING_KEYS: &str = "signing-keys";
    pub(crate) const GATEWAY_SIGNING_KEYS: &str = "gateway-signing-keys";

    pub(crate) fn user(name: &str) -> String {
        format!("{USERS}{}", Part(name))
    }

    /// Of an identity: who it is at which provider.
    pub(crate) fn identity(identity: &str) -> String {
        format!("identity/{}", Part(identity))
    }

    pub(crate) fn code(name: impl fmt::Display) -> String {
        format!("code/{name}")
    }

    pub(crate) fn access(name: impl fmt::Display) -> String {
        format!("token/{name}")
    }

    pub(crate) fn family(id: impl fmt::Display) -> String {
        format!("family/{id}")
    }

    /// The access tokens of a user; the value is the family.
    pub(crate) fn tokens_of(uid: &str) -> String {
        format!("user-token/{}/", Part(uid))
    }

    /// The families of a user; the value is the login session.
    pub(crate) fn families_of(uid: &str) -> String {
        format!("user-family/{}/", Part(uid))
    }

    /// A login session by the hash of what the cookie holds.
    pub(crate) fn session(hash: &str) -> String {
        format!("session/{hash}")
    }

    /// A login session by its public id; the value is the hash.
    pub(crate) fn sid(sid: &str) -> String {
        format!("sid/{}", Part(sid))
    }

    /// The login sessions of a user; the value is the public id.
    pub(crate) fn sessions_of(uid: &str) -> String {
        format!("user-session/{}/", Part(uid))
    }

    /// The clients that are to hear of the end of a login session.
    pub(crate) fn clients_of_session(sid: &str) -> String {
        format!("sid-client/{}/", Part(sid))
    }

    pub(crate) fn client_of_session(sid: &str, client: &str) -> String {
        format!("{}{}", clients_of_session(sid), Part(client))
    }

    pub(crate) fn consent(user: &str, client: &str) -> String {
        format!("consent/{}/{}", Part(user), Part(client))
    }

    pub(crate) fn once(kind: &str, hash: &str) -> String {
        format!("once/{kind}/{hash}")
    }

    pub(crate) fn handle(hash: &str) -> String {
        format!("handle/{hash}")
    }

    pub(crate) fn denied(jti: &str) -> String {
        format!("denied/{}", Part(jti))
    }

    pub(crate) fn secret(name: &str) -> String {
        format!("secret/{}", Part(name))
    }
}

/// What separates the parts of a key, and what would hide it.
const SEPARATORS: &AsciiSet = &CONTROLS.add(b'/').add(b'%');

/// A part of a key that others chose.
struct Part<'a>(&'a str);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        utf8_percent_encode(self.0, SEPARATORS).fmt(f)
    }
}
