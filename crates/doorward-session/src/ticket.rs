//! The ticket: what the browser holds of a session that is kept in a store (wire-formats, section 7).
//!
//! It names the session and holds the key that opens it, so the store alone gives nothing away.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey,
};
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::Secret;

use crate::codec::Unsealable;
use crate::cookie::config::CookieName;
use crate::random::{self, NoRandomness};

#[derive(Clone, Debug)]
pub(crate) struct Ticket {
    id: String,
    secret: Secret<Vec<u8>>,
}

impl Ticket {
    /// A ticket nobody has seen yet.
    pub(crate) fn random(name: &CookieName) -> Result<Self, NoRandomness> {
        let id = u128::from_be_bytes(random::bytes()?);
        let secret: [u8; 16] = random::bytes()?;
        Ok(Self { id: format!("{name}-{id:032x}"), secret: Secret::new(secret.to_vec()) })
    }

    /// Reads the verified payload of a ticket cookie: `v2.<id>.<secret>`, both in base64, or the older
    /// `<id>.<secret>` with the id as it stands.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Unsealable> {
        let text = std::str::from_utf8(payload).map_err(|_| Unsealable)?;
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode_to_vec(text).map_err(|_| Unsealable);
        let mut parts = text.split('.');
        let (id, secret) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(secret), None, _) => (id.to_owned(), secret),
            (Some("v2"), Some(id), Some(secret), None) => {
                (String::from_utf8(decoded(id)?).map_err(|_| Unsealable)?, secret)
            }
            _ => return Err(Unsealable),
        };
        let secret = decoded(secret)?;
        let usable = matches!(secret.len(), 16 | 24 | 32)
            && (1..=MAX_ID_BYTES).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_graphic());
        if usable { Ok(Self { id, secret: Secret::new(secret) }) } else { Err(Unsealable) }
    }

    pub(crate) fn encode(&self) -> String {
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode_to_string(bytes);
        format!("v2.{}.{}", encoded(self.id.as_bytes()), encoded(self.secret.expose()))
    }

    /// The key in the store, which is no secret.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn lock_key(&self) -> String {
        format!("{}.lock", self.id)
    }

    /// Encrypts a session for the store.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random::bytes()?;
        let key = self.key().map_err(|Unsealable| SealError::Key)?;
        let mut sealed = nonce.to_vec();
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let tag = key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), text)
            .map_err(|_| SealError::Key)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Decrypts and verifies what the store held.
    pub(crate) fn open<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], Unsealable> {
        let (nonce, text) = sealed.split_first_chunk_mut::<NONCE_LEN>().ok_or(Unsealable)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Ok(self.key()?.open_in_place(nonce, Aad::empty(), text).map_err(|_| Unsealable)?)
    }

    fn key(&self) -> Result<LessSafeKey, Unsealable> {
        let algorithm = match self.secret.expose().len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return Err(Unsealable),
        };
        UnboundKey::new(algorithm, self.secret.expose()).map(LessSafeKey::new).map_err(|_| Unsealable)
    }
}

/// A session could not be encrypted for the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealError {
    NoRandomness,
    Key,
}

impl From<NoRandomness> for SealError {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

const MAX_ID_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_survives_its_cookie_and_no_other_ticket_opens_its_session() {
        let name = CookieName::try_from("n").unwrap();
        let (one, other) = (Ticket::random(&name).unwrap(), Ticket::random(&name).unwrap());
        assert_ne!(one.id(), other.id());
        let mut sealed = one.seal(b"session").unwrap();
        let again = Ticket::decode(one.encode().as_bytes()).unwrap();
        assert_eq!(again.id(), one.id());
        assert_eq!(other.open(&mut sealed.clone()), Err(Unsealable));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(again.open(&mut changed), Err(Unsealable), "{at}");
            assert_eq!(again.open(&mut sealed[..at].to_vec()), Err(Unsealable), "{at}");
        }
        assert_eq!(again.open(&mut sealed), Ok(&b"session"[..]));
    }

    #[test]
    fn the_older_form_is_understood_and_odd_ones_are_not() {
        let old = Ticket::decode(b"_oauth2_proxy-00ff.ecDdFGjZTxKh474TjMqrvA").unwrap();
        assert_eq!(old.id(), "_oauth2_proxy-00ff");
        assert!(old.encode().starts_with("v2."));
        let odd = [
            "",
            ".",
            "v2",
            "v2..",
            ".ecDdFGjZTxKh474TjMqrvA",
            "id.",
            "id.ecDdFGjZTxKh474TjMqrv",
            "id.ecDdFGjZTxKh474TjMqrvA==",
            "a b.ecDdFGjZTxKh474TjMqrvA",
            "v3.aWQ.ecDdFGjZTxKh474TjMqrvA",
            "v2.aWQ.ecDdFGjZTxKh474TjMqrvA.x",
            "v2.a=.ecDdFGjZTxKh474TjMqrvA",
        ];
        for text in odd {
            assert!(Ticket::decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ticket_does_not_show_its_key() {
        let ticket = Ticket::random(&CookieName::try_from("n").unwrap()).unwrap();
        assert!(format!("{ticket:?}").contains("[secret]"));
    }
}
