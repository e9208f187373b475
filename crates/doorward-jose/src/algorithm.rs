//! The names of signature algorithms (RFC 7518 section 3.1, RFC 8037) and which of them we can verify.

use std::{fmt, str::FromStr};

/// A signature algorithm that operators may name. `none` is not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
    /// The HMAC algorithms are legal names, but a public key set never holds a shared secret,
    /// so no token verifies with them (RFC 8725 section 2.1 tells why that matters).
    Hs256,
    Hs384,
    Hs512,
}

/// A name that is not a signature algorithm we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown signing algorithm {0:?}")]
pub struct UnknownAlgorithm(pub String);

impl Algorithm {
    /// All names, in the order in which messages list them.
    pub const ALL: [Self; 13] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::EdDsa,
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// Whether a token signed this way can be verified at all.
    pub const fn is_verifiable(self) -> bool {
        matches!(self, Self::Es512) || self.engine().is_some()
    }

    /// What `jsonwebtoken` calls it. It has no P-521, which is verified without it.
    pub(crate) const fn engine(self) -> Option<jsonwebtoken::Algorithm> {
        match self {
            Self::Rs256 => Some(jsonwebtoken::Algorithm::RS256),
            Self::Rs384 => Some(jsonwebtoken::Algorithm::RS384),
            Self::Rs512 => Some(jsonwebtoken::Algorithm::RS512),
            Self::Ps256 => Some(jsonwebtoken::Algorithm::PS256),
            Self::Ps384 => Some(jsonwebtoken::Algorithm::PS384),
            Self::Ps512 => Some(jsonwebtoken::Algorithm::PS512),
            Self::Es256 => Some(jsonwebtoken::Algorithm::ES256),
            Self::Es384 => Some(jsonwebtoken::Algorithm::ES384),
            Self::EdDsa => Some(jsonwebtoken::Algorithm::EdDSA),
            Self::Es512 | Self::Hs256 | Self::Hs384 | Self::Hs512 => None,
        }
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Reads a name exactly as the standard spells it.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm(name.chars().take(32).collect()))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_written_and_none_is_no_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.name().parse(), Ok(algorithm));
        }
        for name in ["none", "None", "NONE", "rs256", "", "RS256 "] {
            assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm(name.to_owned())));
        }
    }

    #[test]
    fn shared_secret_algorithms_are_never_verifiable() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            assert!(!algorithm.is_verifiable());
        }
    }
}
