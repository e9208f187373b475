//! AES-CFB with 128 bits of feedback: random IV, then the ciphertext. It hides and does not authenticate, so it
//! is only ever applied to what the envelope has verified.

use aes::cipher::{InnerIvInit as _, KeyInit as _};
use aes::{Aes128, Aes192, Aes256};
use cfb_mode::{Decryptor, Encryptor};

use crate::codec::Unsealable;

/// An expanded key.
#[derive(Clone)]
pub(crate) enum CookieCipher {
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl CookieCipher {
    /// A cipher for a key of 16, 24 or 32 bytes; none for any other length.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(Box::new).map(Self::Aes128),
            24 => Aes192::new_from_slice(key).ok().map(Box::new).map(Self::Aes192),
            32 => Aes256::new_from_slice(key).ok().map(Box::new).map(Self::Aes256),
            _ => None,
        }
    }

    /// IV and ciphertext. An IV must not be used twice.
    pub(crate) fn encrypt(&self, plain: &[u8], iv: [u8; IV_BYTES]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(IV_BYTES + plain.len());
        sealed.extend_from_slice(&iv);
        sealed.extend_from_slice(plain);
        let (_, text) = sealed.split_at_mut(IV_BYTES);
        match self {
            Self::Aes128(key) => Encryptor::inner_iv_init((**key).clone(), &iv.into()).encrypt(text),
            Self::Aes192(key) => Encryptor::inner_iv_init((**key).clone(), &iv.into()).encrypt(text),
            Self::Aes256(key) => Encryptor::inner_iv_init((**key).clone(), &iv.into()).encrypt(text),
        }
        sealed
    }

    /// Decrypts in place; returns the part of `sealed` that is plain text now.
    pub(crate) fn decrypt<'a>(&self, sealed: &'a mut [u8]) -> Result<&'a [u8], Unsealable> {
        let (iv, text) = sealed.split_first_chunk_mut::<IV_BYTES>().ok_or(Unsealable)?;
        let iv = *iv;
        match self {
            Self::Aes128(key) => Decryptor::inner_iv_init((**key).clone(), &iv.into()).decrypt(text),
            Self::Aes192(key) => Decryptor::inner_iv_init((**key).clone(), &iv.into()).decrypt(text),
            Self::Aes256(key) => Decryptor::inner_iv_init((**key).clone(), &iv.into()).decrypt(text),
        }
        Ok(text)
    }
}

pub(crate) const IV_BYTES: usize = 16;
