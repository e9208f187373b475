//! The OAuth `state` parameter: the hash of a login's secret and where to go afterwards (wire-formats, section 6).
//!
//! The target in it is not protected: whoever begins a login may change it, so it is validated after the callback.

use base64_simd::URL_SAFE_NO_PAD;

/// Whether `state` is sent as it stands or in base64 as a whole (encode-state).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateEncoding {
    Plain,
    Base64,
}

/// What a provider sent back as `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReturnedState {
    /// To be compared with a login's cookie by `CsrfKeeper::find`.
    pub hash: String,
    /// Where the user wanted to go. Unproven.
    pub redirect: String,
}

/// A `state` that we did not make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state parameter is not one of ours")]
pub struct InvalidState;

/// The `state` to send for a login: its hash and the target.
pub fn state_parameter(hash: &str, redirect: &str, encoding: StateEncoding) -> String {
    let plain = format!("{hash}:{redirect}");
    match encoding {
        StateEncoding::Plain => plain,
        StateEncoding::Base64 => URL_SAFE_NO_PAD.encode_to_string(plain),
    }
}

/// Takes a returned `state` apart at its first colon; the target may hold more of them.
pub fn parse_state(state: &str, encoding: StateEncoding) -> Result<ReturnedState, InvalidState> {
    let split = |plain: &str| {
        let (hash, redirect) = plain.split_once(':').ok_or(InvalidState)?;
        Ok(ReturnedState { hash: hash.to_owned(), redirect: redirect.to_owned() })
    };
    match encoding {
        StateEncoding::Plain => split(state),
        StateEncoding::Base64 => {
            let plain = URL_SAFE_NO_PAD.decode_to_vec(state).map_err(|_| InvalidState)?;
            split(std::str::from_utf8(&plain).map_err(|_| InvalidState)?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_understood_when_it_returns() {
        for encoding in [StateEncoding::Plain, StateEncoding::Base64] {
            for redirect in ["/", "", "/app?x=1:y", "https://h:8443/ü"] {
                let state = state_parameter("hash", redirect, encoding);
                let expected = ReturnedState { hash: "hash".to_owned(), redirect: redirect.to_owned() };
                assert_eq!(parse_state(&state, encoding), Ok(expected));
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(parse_state("", StateEncoding::Plain), Err(InvalidState));
        assert_eq!(parse_state("no-colon", StateEncoding::Plain), Err(InvalidState));
        for state in ["", "a:b", "YTpi=", "YTpi\n", "YTp", "/w"] {
            assert!(matches!(parse_state(state, StateEncoding::Base64), Err(InvalidState)), "{state}");
        }
    }
}
