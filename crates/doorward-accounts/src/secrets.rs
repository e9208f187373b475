//! Secrets that nobody configures, because nobody needs to know them: made once, sealed, and the same for every instance.

use doorward_core::{SecretString, Timestamp};
use doorward_store::{Committed, Transaction};

use crate::{
    Accounts, NoRandomness, Unavailable, Unsealable,
    records::{ATTEMPTS, key},
    token::random_part,
};

/// Why there is no such secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("{0}: {SEALED_MEND}")]
    Sealed(#[from] Unsealable),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What to do when the store was sealed with another key.
pub(crate) const SEALED_MEND: &str = "bring the former content of authServer.secretKeyFile back, or begin with an empty \
                                      store, which signs everybody out";

impl Accounts {
    /// The secret of this name: 256 bits in base64url, made when it is first asked for.
    pub async fn generated_secret(&self, name: &str, now: Timestamp) -> Result<SecretString, SecretError> {
        let key = key::secret(name);
        for _ in 0..ATTEMPTS {
            if let Some(sealed) = self.records.get(&key, now).await.map_err(Unavailable::from)? {
                let sealed = String::from_utf8(sealed).map_err(|_| Unsealable)?;
                let plain = self.seal.open(&key, &sealed)?;
                return Ok(String::from_utf8(plain).map_err(|_| Unsealable)?.into());
            }
            let secret = random_part().map_err(Unavailable::from)?;
            let sealed = self.seal.seal(&key, secret.as_bytes());
            let sealed = sealed.ok_or(Unavailable::NoRandomness(NoRandomness))?;
            // Whoever is first makes it; everybody else reads what is there then.
            let transaction = Transaction::new().if_absent(&key).put(&key, sealed.into_bytes(), None);
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(secret.into());
            }
        }
        Err(Unavailable::Contended.into())
    }
}
