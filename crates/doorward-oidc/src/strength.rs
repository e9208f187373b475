//! Whether a login was as strong as demanded (OIDC Core sections 2 and 3.1.2.1): a provider may ignore what the request
//! asks for, and a person may take it out of the address.

use std::time::Duration;

use doorward_core::Timestamp;
use doorward_jose::{Claims, claims_check::instant};
use serde_json::Value;

use crate::{config::LoginStrength, printable::printable};

/// How a login falls short of what is demanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakLogin {
    #[error("the id_token says {} of the strength of the login (acr), demanded is {}", quoted(found.as_deref()), demanded.join(" or "))]
    Acr { found: Option<String>, demanded: Vec<String> },
    #[error("the id_token does not say when the person signed in (auth_time), although max_age asks for it")]
    NoTime,
    #[error("the person signed in {} seconds ago, at most {} are accepted", age.as_secs(), limit.as_secs())]
    TooOld { age: Duration, limit: Duration },
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"))
}

/// Clocks differ, and people take a moment between signing in and coming back.
const LEEWAY: Duration = Duration::from_mins(1);

impl LoginStrength {
    /// Looks at the claims of a login that is just coming back.
    pub(crate) fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), WeakLogin> {
        let acr = claims.get("acr").and_then(Value::as_str);
        if !self.acr.is_empty() && !acr.is_some_and(|acr| self.acr.iter().any(|demanded| demanded == acr)) {
            let found = acr.map(|acr| printable(acr, 100));
            return Err(WeakLogin::Acr { found, demanded: self.acr.clone() });
        }
        let Some(limit) = self.max_age else { return Ok(()) };
        let signed_in = instant(claims, "auth_time").ok().flatten().ok_or(WeakLogin::NoTime)?;
        let age = now.since(signed_in);
        if limit.saturating_add(LEEWAY) < age { Err(WeakLogin::TooOld { age, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{NOW, now};

    fn outcome(acr: &[&str], max_age: Option<u64>, claims: &Value) -> Result<(), WeakLogin> {
        let acr = acr.iter().map(|&acr| acr.to_owned()).collect();
        let strength = LoginStrength { acr, max_age: max_age.map(Duration::from_secs) };
        strength.check(claims.as_object().unwrap(), now())
    }

    #[test]
    fn a_login_says_that_it_is_as_strong_as_demanded() {
        for (demanded, claims, good) in [
            (&[][..], json!({}), true),
            (&["gold"], json!({"acr": "gold"}), true),
            (&["gold", "silver"], json!({"acr": "silver"}), true),
            (&["gold"], json!({"acr": "silver"}), false),
            (&["gold"], json!({"acr": "Gold"}), false),
            (&["gold"], json!({"acr": ["gold"]}), false),
            (&["gold"], json!({"amr": ["gold"]}), false),
            (&["gold"], json!({}), false),
        ] {
            assert_eq!(outcome(demanded, None, &claims).is_ok(), good, "{demanded:?} {claims}");
        }
    }

    #[test]
    fn a_login_is_as_fresh_as_demanded_give_or_take_a_minute() {
        for (max_age, claims, good) in [
            (None, json!({}), true),
            (Some(300), json!({"auth_time": NOW - 300}), true),
            (Some(300), json!({"auth_time": NOW - 360}), true),
            (Some(300), json!({"auth_time": NOW - 361}), false),
            (Some(0), json!({"auth_time": NOW}), true),
            (Some(300), json!({"auth_time": NOW + 30}), true),
            (Some(300), json!({"auth_time": "yesterday"}), false),
            (Some(300), json!({"iat": NOW}), false),
        ] {
            assert_eq!(outcome(&[], max_age, &claims).is_ok(), good, "{max_age:?} {claims}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let weak = outcome(&["gold", "mfa"], None, &json!({"acr": "0"})).unwrap_err();
        let told = "the id_token says \"0\" of the strength of the login (acr), demanded is gold or mfa";
        assert_eq!(weak.to_string(), told);
        let old = outcome(&[], Some(60), &json!({"auth_time": NOW - 600})).unwrap_err();
        assert_eq!(old.to_string(), "the person signed in 600 seconds ago, at most 60 are accepted");
    }
}
