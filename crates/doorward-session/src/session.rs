//! A kept login. Pure.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use doorward_core::{Identity, SecretString, Timestamp, Tokens};
use serde_json::Value;

/// A kept login: who it is, the provider's tokens, and since when.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// When the login or its last refresh happened. A session without it never grows old.
    pub created_at: Option<Timestamp>,
    pub expires_on: Option<Timestamp>,
    pub tokens: Tokens,
    /// The `OpenID` Connect nonce of the login, raw bytes.
    pub nonce: Option<Vec<u8>>,
    pub identity: Identity,
    /// When the login happened, where somebody wants to know: refreshing does not change it. oauth2-proxy passes over
    /// it, and drops it at a refresh of its own.
    pub logged_in_at: Option<Timestamp>,
    /// When the session was last written down as used, where somebody wants to know. As above.
    pub seen_at: Option<Timestamp>,
    /// The id of the provider that it comes from, where there are several. Such a session is kept in a form that neither
    /// oauth2-proxy nor older versions read: they would take it for one of the provider that they know.
    pub provider: Option<Arc<str>>,
}

impl Session {
    /// When the login happened, as far as is known: never too early.
    pub fn since(&self) -> Option<Timestamp> {
        self.logged_in_at.or(self.created_at)
    }

    /// When the session was last used, as far as is known.
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.seen_at.max(self.created_at)
    }

    /// Whether the provider's tokens have run out.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_on.is_some_and(|expires| expires < now)
    }

    /// Time since the login or last refresh, with `now` cut to whole seconds as the reference does it.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.created_at.map(|created| now.truncated().since(created))
    }

    /// The values of a claim as headers carry them: `access_token`, `id_token`, `refresh_token`, `created_at`,
    /// `expires_on`, `email`, `user`, `groups`, `preferred_username`, or else an additional claim. What is empty
    /// is left out. The caller decides where tokens may go: this hands them out.
    pub fn claim(&self, name: &str) -> Vec<Cow<'_, str>> {
        let Identity { user, email, groups, preferred_username, additional } = &self.identity;
        let time = |at: Option<Timestamp>| Cow::Owned(at.and_then(go_time_text).unwrap_or_default());
        let values = match name {
            "access_token" => vec![exposed(self.tokens.access.as_ref())],
            "id_token" => vec![exposed(self.tokens.id.as_ref())],
            "refresh_token" => vec![exposed(self.tokens.refresh.as_ref())],
            "created_at" => vec![time(self.created_at)],
            "expires_on" => vec![time(self.expires_on)],
            "email" => vec![email.into()],
            "user" => vec![user.into()],
            "groups" => groups.iter().map(Cow::from).collect(),
            "preferred_username" => vec![preferred_username.into()],
            other => match additional.get(other) {
                None => vec![],
                Some(Value::Array(values)) => values.iter().map(value_text).collect(),
                Some(value) => vec![value_text(value)],
            },
        };
        values.into_iter().filter(|value| !value.is_empty()).collect()
    }

    /// One line for the log: whose session, and which tokens it has, never the tokens (logging-metrics).
    pub fn summary(&self) -> String {
        let Identity { user, email, groups, preferred_username, additional: _ } = &self.identity;
        let mut text = format!("Session{{email:{email} user:{user} PreferredUsername:{preferred_username}");
        if self.tokens.access.is_some() {
            text.push_str(" token:true");
        }
        if self.tokens.id.is_some() {
            text.push_str(" id_token:true");
        }
        if let Some(created) = self.created_at.and_then(go_time_text) {
            let _ = write!(text, " created:{created}");
        }
        if let Some(expires) = self.expires_on.and_then(go_time_text) {
            let _ = write!(text, " expires:{expires}");
        }
        let _ = write!(text, " refresh_token:{}", self.tokens.refresh.is_some());
        if !groups.is_empty() {
            let _ = write!(text, " groups:[{}]", groups.join(" "));
        }
        text.push('}');
        without_controls(text)
    }

    /// About how many bytes of memory this session takes.
    pub(crate) fn weight(&self) -> usize {
        let Identity { user, email, groups, preferred_username, additional } = &self.identity;
        let Tokens { access, id, refresh } = &self.tokens;
        let tokens = [access, id, refresh].into_iter().flatten().map(|token| token.expose().len());
        let groups = groups.iter().map(|group| group.len() + size_of::<String>());
        let claims = additional.iter().map(|(name, value)| name.len() + value_weight(value));
        size_of::<Self>()
            + tokens.chain(groups).chain(claims).sum::<usize>()
            + user.len()
            + email.len()
            + preferred_username.len()
            + self.nonce.as_ref().map_or(0, Vec::len)
            + self.provider.as_ref().map_or(0, |id| id.len())
    }
}

fn exposed(token: Option<&SecretString>) -> Cow<'_, str> {
    token.map_or("".into(), |token| token.expose().into())
}

fn value_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => "".into(),
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

fn value_weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(value_weight).sum(),
            Value::Object(map) => map.iter().map(|(name, value)| name.len() + value_weight(value)).sum(),
        }
}

/// A time as Go prints it, `2006-01-02 15:04:05.999999999 +0000 UTC`, always in UTC. Nothing for a time outside
/// of the years −9999 to 9999.
pub(crate) fn go_time_text(at: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::new(at.seconds, i32::try_from(at.nanos).ok()?).ok()?;
    let mut text = time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    if at.nanos != 0 {
        let fraction = format!(".{:09}", at.nanos);
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push_str(" +0000 UTC");
    Some(text)
}

/// Claims come from outside: a line break or escape sequence in one must not reach a log or terminal.
fn without_controls(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests;
