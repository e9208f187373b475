//! Handles: opaque texts that clients hold in place of what others issued. What a handle stands for is sealed under the
//! handle itself, and found by its hash, so that the store alone yields nothing.
//!
//! A signed token may be split: its signature is the handle then, and what is kept is the rest of it.

use doorward_core::{SecretString, Timestamp};
use doorward_store::Transaction;

use crate::{
    Accounts, NoRandomness, Unavailable,
    records::key,
    seal::{open_under, seal_under},
    token::{hash, is_random_part, random_part},
};

/// What handles begin with, before random characters.
const PREFIX: &str = "gwh~";
/// What handles begin with, before the signature of a token.
const SPLIT_PREFIX: &str = "gws~";
/// How long a signature is in base64url: from 256 bits to RSA with 8192.
const SIGNATURE_LENGTHS: std::ops::RangeInclusive<usize> = 43..=1366;

/// Something to hand out a handle for.
#[derive(Clone, Debug)]
pub struct Original {
    pub text: SecretString,
    /// When nobody needs it any more.
    pub expires: Timestamp,
    pub form: HandleForm,
}

/// What the handle for a signed token is. What is no signed token has a random one in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandleForm {
    #[default]
    Random,
    /// The signature of the token (norm B3.4).
    Signature,
}

impl Accounts {
    /// Whether a text can be a handle.
    pub fn is_handle(text: &str) -> bool {
        match (text.strip_prefix(PREFIX), text.strip_prefix(SPLIT_PREFIX)) {
            (Some(random), _) => is_random_part(random),
            (None, Some(signature)) => is_signature(signature),
            (None, None) => false,
        }
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
        for original in originals {
            let (handle, kept) = divided(original)?;
            let sealed = seal_under(handle.expose(), &purpose(realm), kept.as_bytes());
            let sealed = sealed.ok_or(Unavailable::NoRandomness(NoRandomness))?;
            let name = key::handle(&hash(handle.expose()));
            transaction = transaction.put(&name, sealed.into_bytes(), Some(original.expires));
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
        let Some(kept) = plain.and_then(|plain| String::from_utf8(plain).ok()) else { return Ok(None) };
        Ok(Some(match handle.strip_prefix(SPLIT_PREFIX) {
            Some(signature) => format!("{kept}.{signature}").into(),
            None => kept.into(),
        }))
    }

    /// Forgets what handles stand for.
    pub async fn forget_handles(&self, handles: &[SecretString], now: Timestamp) -> Result<(), Unavailable> {
        let forget =
            |all: Transaction, handle: &SecretString| all.delete(&key::handle(&hash(handle.expose())));
        self.commit(handles.iter().fold(Transaction::new(), forget), now).await?;
        Ok(())
    }
}

/// The handle for an original, and what has to be kept.
fn divided(original: &Original) -> Result<(SecretString, &str), NoRandomness> {
    let text = original.text.expose();
    if original.form == HandleForm::Signature
        && let Some((rest, signature)) = text.rsplit_once('.')
        && rest.split('.').count() == 2
        && is_signature(signature)
    {
        return Ok((format!("{SPLIT_PREFIX}{signature}").into(), rest));
    }
    Ok((format!("{PREFIX}{}", random_part()?).into(), text))
}

fn is_signature(text: &str) -> bool {
    SIGNATURE_LENGTHS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn purpose(realm: &str) -> String {
    format!("doorward gateway handle 1 {realm}")
}
