//! What users have agreed to: scopes, by user and client. Bound to the `uid`: a user of the same name starts anew.

use doorward_core::Timestamp;
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    Accounts, Scopes, Subject, Unavailable,
    records::{ATTEMPTS, Read, encode, key},
};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Consent {
    uid: String,
    scopes: Scopes,
}

impl Accounts {
    /// The scopes that a user has agreed to give a client.
    pub async fn consented(
        &self,
        subject: &Subject,
        client: &str,
        now: Timestamp,
    ) -> Result<Scopes, Unavailable> {
        let read = self.read::<Consent>(&key::consent(&subject.name(), client), now).await?;
        Ok(read
            .map(|read| read.value)
            .filter(|own| own.uid == subject.uid())
            .map_or_else(Scopes::default, |own| own.scopes))
    }

    /// Notes that a user agrees to give a client these scopes as well.
    pub async fn add_consent(
        &self,
        subject: &Subject,
        client: &str,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let key = key::consent(&subject.name(), client);
        for _ in 0..ATTEMPTS {
            let read: Option<Read<Consent>> = self.read(&key, now).await?;
            let transaction = match &read {
                Some(read) => Transaction::new().if_same(&key, &read.bytes),
                None => Transaction::new().if_absent(&key),
            };
            let former = read.map(|read| read.value).filter(|own| own.uid == subject.uid());
            let former = former.map_or_else(Scopes::default, |own| own.scopes);
            let consent = Consent { uid: subject.uid(), scopes: former.with(scopes) };
            let transaction = transaction.put(&key, encode(&consent)?, None);
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(());
            }
        }
        Err(Unavailable::Contended)
    }

    /// Forgets what a user agreed to for a client.
    pub async fn forget_consent(
        &self,
        subject: &Subject,
        client: &str,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        self.commit(Transaction::new().delete(&key::consent(&subject.name(), client)), now).await?;
        Ok(())
    }
}
