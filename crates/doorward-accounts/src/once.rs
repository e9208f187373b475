//! Values that may be used once: kept under the hash of a random text, and gone when they are taken. Nothing marks a value
//! in place: one that was used looks like one that never was, or is over. What has to tell those apart (codes, refresh
//! tokens) is not kept here.

use std::time::Duration;

use doorward_core::{SecretString, Timestamp};
use doorward_store::{Committed, Transaction};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Accounts, Unavailable,
    records::{Read, encode, key},
    token::{hash, random_part},
};

impl Accounts {
    /// Keeps `value` for `life`. Whoever has the text that comes back may take it, once, as the same `kind`.
    pub async fn keep_once(
        &self,
        kind: &str,
        value: &(impl Serialize + Sync),
        life: Duration,
        now: Timestamp,
    ) -> Result<SecretString, Unavailable> {
        let raw = SecretString::from(random_part()?);
        self.keep_once_under(kind, &raw, value, (life, now)).await?;
        Ok(raw)
    }

    /// The same under a text of the caller's, which must be as random: where the text has to be known before the value.
    pub async fn keep_once_under(
        &self,
        kind: &str,
        raw: &SecretString,
        value: &(impl Serialize + Sync),
        (life, now): (Duration, Timestamp),
    ) -> Result<(), Unavailable> {
        let key = key::once(kind, &hash(raw.expose()));
        let transaction = Transaction::new().put(&key, encode(value)?, Some(now.saturating_add(life)));
        self.commit(transaction, now).await?;
        Ok(())
    }

    /// What was kept, without taking it: to show what is going to be decided.
    pub async fn look_once<T: DeserializeOwned>(
        &self,
        kind: &str,
        raw: &str,
        now: Timestamp,
    ) -> Result<Option<T>, Unavailable> {
        Ok(self.read(&key::once(kind, &hash(raw)), now).await?.map(|read| read.value))
    }

    /// Takes what was kept. Of several attempts one gets it.
    pub async fn take_once<T: DeserializeOwned>(
        &self,
        kind: &str,
        raw: &str,
        now: Timestamp,
    ) -> Result<Option<T>, Unavailable> {
        let key = key::once(kind, &hash(raw));
        let Some(Read { value, bytes }) = self.read(&key, now).await? else { return Ok(None) };
        let transaction = Transaction::new().if_same(&key, &bytes).delete(&key);
        Ok((self.commit(transaction, now).await? == Committed::Done).then_some(value))
    }
}
