//! Handles: opaque texts that clients hold in place of what others issued. What a handle stands for is sealed under the
//! handle itself, and found by its hash, so that the store alone yields nothing.

use doorward_core::{SecretString, Timestamp};
use doorward_store::Transaction;

use crate::{
    Accounts, NoRandomness, Unavailable,
    records::key,
    seal::{open_under, seal_under},
    token::{HANDLE_PREFIX, hash, is_random_part, random_part},
};

/// Something to hand out a handle for.
#[derive(Clone, Debug)]
pub struct Original {
    pub text: SecretString,
    /// When nobody needs it any more.
    pub expires: Timestamp,
}

impl Accounts {
    /// Whether a text can be a handle.
    pub fn is_handle(text: &str) -> bool {
        text.strip_prefix(HANDLE_PREFIX).is_some_and(is_random_part)
    }

    /// Keeps texts, all or none, and gives a handle for each of them. They are found again in the same `realm` only.
    pub async fn keep_behind_handles(
        &self,
        realm: &str,
        originals: &[Original],
        now: Timestamp,
    ) -> Result<Vec<SecretString>, Unavailable> {
        let mut transaction = Transaction::new();
        let mut handles = Vec::with_capacity(originals.len());
        for Original { text, expires } in originals {
            let handle = SecretString::from(format!("{HANDLE_PREFIX}{}", random_part()?));
            let sealed = seal_under(handle.expose(), &purpose(realm), text.expose().as_bytes());
            let sealed = sealed.ok_or(Unavailable::NoRandomness(NoRandomness))?;
            transaction =
                transaction.put(&key::handle(&hash(handle.expose())), sealed.into_bytes(), Some(*expires));
            handles.push(handle);
        }
        self.commit(transaction, now).await?;
        Ok(handles)
    }

    /// What a handle stands for; `None` if it is none, is over, or belongs to another realm.
    pub async fn behind_handle(
        &self,
        realm: &str,
        handle: &str,
        now: Timestamp,
    ) -> Result<Option<SecretString>, Unavailable> {
        if !Self::is_handle(handle) {
            return Ok(None);
        }
        let sealed = self.records.get(&key::handle(&hash(handle)), now).await?;
        let Some(sealed) = sealed.and_then(|sealed| String::from_utf8(sealed).ok()) else { return Ok(None) };
        let plain = open_under(handle, &purpose(realm), &sealed).ok();
        Ok(plain.and_then(|plain| String::from_utf8(plain).ok()).map(SecretString::from))
    }

    /// Forgets what handles stand for.
    pub async fn forget_handles(&self, handles: &[SecretString], now: Timestamp) -> Result<(), Unavailable> {
        let forget =
            |all: Transaction, handle: &SecretString| all.delete(&key::handle(&hash(handle.expose())));
        self.commit(handles.iter().fold(Transaction::new(), forget), now).await?;
        Ok(())
    }
}

fn purpose(realm: &str) -> String {
    format!("doorward gateway handle 1 {realm}")
}
