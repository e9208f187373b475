//! What is known of sessions beside the sessions themselves: which of them were ended by others than their browser, and,
//! where they are kept in a store, which there are of a user.
//!
//! A session that was ended is known by a record that lives as long as the session could have: by the session at the
//! provider, by the user at the provider, or by a name of the user here; all but the first with the time, so that a later
//! login counts again. What a provider calls its users and sessions counts for its own alone. The record alone ends a session. Where tickets are listed, those found are removed too, so that
//! their tokens go, and other programs that read the same store know as well.
//!
//! Keys of the store hold hashes of names, never names. What cannot be asked is an error and never a no.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use doorward_core::Timestamp;
use doorward_store::{Listed, Store, StoreError};

use crate::{Session, SessionKey, cookie::config::CookieName, random};

/// The book of sessions.
#[derive(Clone, Debug)]
pub struct Ledger {
    store: Arc<Store>,
    cookie: CookieName,
    /// How long a session can go on without being refreshed.
    lifetime: Duration,
    tickets: Tickets,
}

/// Whether the sessions themselves are in the same store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tickets {
    /// They are, and are listed.
    InStore,
    /// They are with the browsers.
    Elsewhere,
}

/// What a session may be called by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The session at the provider.
    pub sid: Option<String>,
    /// The user at the provider.
    pub subject: Option<String>,
    /// The id of that provider, as the session says it.
    pub provider: Option<Arc<str>>,
    pub user: String,
    pub email: String,
    pub preferred_username: String,
}

impl Names {
    /// Those of `session`; what the provider calls it and its user is in its ID token, which the caller reads.
    pub fn of(session: &Session, sid: Option<String>, subject: Option<String>) -> Self {
        let identity = &session.identity;
        Self {
            sid,
            subject,
            provider: session.provider.clone(),
            user: identity.user.clone(),
            email: identity.email.to_lowercase(),
            preferred_username: identity.preferred_username.clone(),
        }
    }

    fn all(&self) -> Vec<Name<'_>> {
        let named = [
            (Kind::User, self.user.as_str()),
            (Kind::Email, &self.email),
            (Kind::PreferredUsername, &self.preferred_username),
        ];
        let at_provider = [(Kind::Sid, self.sid.as_deref()), (Kind::Subject, self.subject.as_deref())];
        let at = self.provider.as_deref();
        let given = at_provider.into_iter().filter_map(|(kind, text)| Some((kind, at, text?)));
        let named = named.into_iter().map(|(kind, text)| (kind, None, text));
        let all = given.chain(named).filter(|(.., text)| !text.is_empty());
        all.map(|(kind, at, text)| Name { kind, at, text }).collect()
    }
}

/// Whose names of sessions and users are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Those of the provider with this id.
    Provider(Arc<str>),
    /// The same, and whatever session does not say where it comes from is of this provider.
    First(Arc<str>),
}

impl At {
    /// What sessions of the provider may say.
    fn said(&self) -> impl Iterator<Item = Option<&str>> {
        let (id, unsaid) = match self {
            Self::Provider(id) => (id, None),
            Self::First(id) => (id, Some(None)),
        };
        unsaid.into_iter().chain([Some(&**id)])
    }
}

/// Whose sessions are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The session of this id at the provider. Those of which no such id is known end with their user's, if that is
    /// given.
    Sid { sid: String, subject: Option<String>, at: At },
    /// All of this user of the provider.
    Subject { subject: String, at: At },
    /// All of whoever is called so here: by user id, e-mail address (in any case) or preferred name.
    User(String),
}

/// A session in the store. Nothing in it opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    /// Names it for [`Ledger::end_one`].
    pub id: String,
    /// When the login happened, in seconds since the Unix epoch.
    pub since: i64,
    /// When it is over unless it is refreshed, likewise.
    pub expires: i64,
    /// The id of its provider, where it says that.
    pub provider: Option<String>,
    ticket: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sid,
    /// The user at the provider, for sessions of which no `sid` is known.
    SubjectWithoutSid,
    Subject,
    User,
    Email,
    PreferredUsername,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::SubjectWithoutSid => "sub-without-sid",
            Self::Subject => "sub",
            Self::User => "user",
            Self::Email => "email",
            Self::PreferredUsername => "name",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Name<'a> {
    kind: Kind,
    /// The provider that calls somebody so.
    at: Option<&'a str>,
    text: &'a str,
}

impl Ledger {
    /// A ledger for the sessions whose cookie has this name. `lifetime` is that of sessions, if limited.
    pub fn new(store: Arc<Store>, cookie: CookieName, lifetime: Option<Duration>, tickets: Tickets) -> Self {
        let lifetime = lifetime.unwrap_or(UNLIMITED).saturating_add(CLOCK_SKEW);
        Self { store, cookie, lifetime, tickets }
    }

    /// Whether the sessions themselves are in the store.
    pub const fn tickets(&self) -> Tickets {
        self.tickets
    }

    /// Whether a session of these names, that began at `since`, was ended by somebody else than its browser.
    pub async fn has_ended(&self, names: &Names, since: Timestamp) -> Result<bool, StoreError> {
        let mut asked = names.all();
        if let (None, Some(subject)) = (&names.sid, &names.subject) {
            asked.push(Name { kind: Kind::SubjectWithoutSid, at: names.provider.as_deref(), text: subject });
        }
        let keys: Vec<String> = asked.iter().map(|name| self.ended_key(*name)).collect();
        let found = self.store.get_many(&keys).await?;
        let covers = |(name, value): (&Name<'_>, Option<Vec<u8>>)| match value {
            None => false,
            // Such an id is used once.
            Some(_) if name.kind == Kind::Sid => true,
            // What cannot be read ends as well.
            Some(value) => read_time(&value).is_none_or(|ended| since <= ended),
        };
        Ok(asked.iter().zip(found).any(covers))
    }

    /// Ends sessions that began before `now`; those that the store listed.
    pub async fn end(&self, whom: &Whom, now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        let email;
        let names: Vec<Name<'_>> = match whom {
            Whom::Sid { sid, subject, at } => {
                let subject = subject.as_deref().map(|text| (Kind::SubjectWithoutSid, text));
                let named = [Some((Kind::Sid, sid.as_str())), subject];
                let named = named.into_iter().flatten();
                named.flat_map(|(kind, text)| at.said().map(move |at| Name { kind, at, text })).collect()
            }
            Whom::Subject { subject, at } => {
                at.said().map(|at| Name { kind: Kind::Subject, at, text: subject }).collect()
            }
            Whom::User(text) => {
                email = text.to_lowercase();
                of_user(text, &email)
            }
        };
        // First the records: what is found in the store a moment later is over already.
        for name in &names {
            let time = format!("{}.{:09}", now.seconds, now.nanos);
            self.store.set(&self.ended_key(*name), time.as_bytes(), Some(self.lifetime)).await?;
        }
        self.remove(&names, now).await
    }

    /// Ends the sessions that the store lists under this id of the provider's, and writes nothing down: for when nobody
    /// vouches for the id but that it is known.
    pub async fn end_sid(&self, sid: &str, at: &At, now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        let names: Vec<_> = at.said().map(|at| Name { kind: Kind::Sid, at, text: sid }).collect();
        self.remove(&names, now).await
    }

    async fn remove(&self, names: &[Name<'_>], now: Timestamp) -> Result<Vec<SessionKey>, StoreError> {
        let mut keys = Vec::new();
        for session in self.listed(names, now).await? {
            // Those that their browser ended stay in the list until they would have expired.
            if self.store.get(&session.ticket).await?.is_none() {
                continue;
            }
            self.store.delete(&session.ticket).await?;
            keys.push(SessionKey::of_stored(session.ticket));
        }
        Ok(keys)
    }

    /// The sessions of whoever is called so here, the latest login last. Always none where [`Tickets::Elsewhere`].
    pub async fn list(&self, user: &str, now: Timestamp) -> Result<Vec<ListedSession>, StoreError> {
        let email = user.to_lowercase();
        let mut there = Vec::new();
        for session in self.listed(&of_user(user, &email), now).await? {
            if self.store.get(&session.ticket).await?.is_some() {
                there.push(session);
            }
        }
        there.sort_by(|one, other| (one.since, &one.id).cmp(&(other.since, &other.id)));
        Ok(there)
    }

    /// Ends the one session of a user that [`list`](Self::list) calls `id`, if there is one.
    pub async fn end_one(
        &self,
        user: &str,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<SessionKey>, StoreError> {
        let listed = self.list(user, now).await?;
        let Some(session) = listed.into_iter().find(|session| session.id == id) else { return Ok(None) };
        self.store.delete(&session.ticket).await?;
        Ok(Some(SessionKey::of_stored(session.ticket)))
    }

    /// Writes down that there is such a session, as it was just kept. Where sessions are not in the store, nothing.
    pub async fn note(
        &self,
        key: &SessionKey,
        session: &Session,
        names: &Names,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (Some(ticket), Tickets::InStore) = (key.in_store(), self.tickets) else { return Ok(()) };
        let since = session.since().unwrap_or(now).seconds;
        let expires = session.created_at.unwrap_or(now).saturating_add(self.lifetime).seconds;
        let provider = session.provider.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        let member = Listed { member: format!("{since} {ticket}{provider}"), expires };
        for name in names.all() {
            self.store.list_add(&self.list_key(name), &member, now.seconds, self.lifetime).await?;
        }
        Ok(())
    }

    /// Whether this is the first time that anybody shows the id of a logout token, which may come until `until`.
    pub async fn is_first(&self, id: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        // Nobody else makes the same token, so a second taking of the lock fails.
        let Ok(token) = random::bytes::<16>() else {
            return Err(StoreError::Unavailable {
                reason: "the system has no randomness to give".to_owned(),
            });
        };
        let key = format!("{{{}.doorward}}.jti.{}", self.cookie, hash("jti", id));
        let ttl = until.since(now).max(Duration::from_secs(1));
        self.store.try_lock(&key, &hex(&token), ttl).await
    }

    async fn listed(&self, names: &[Name<'_>], now: Timestamp) -> Result<Vec<ListedSession>, StoreError> {
        let mut found: Vec<ListedSession> = Vec::new();
        if self.tickets == Tickets::Elsewhere {
            return Ok(found);
        }
        for name in names {
            for Listed { member, expires } in self.store.list(&self.list_key(*name), now.seconds).await? {
                let Some((since, rest)) = member.split_once(' ') else { continue };
                let (ticket, provider) = match rest.split_once(' ') {
                    Some((ticket, provider)) => (ticket, Some(provider.to_owned())),
                    None => (rest, None),
                };
                // Only keys of ours are ever read or removed.
                let is_ours = ticket.starts_with(self.cookie.as_str());
                if !is_ours || found.iter().any(|other| other.ticket == ticket) {
                    continue;
                }
                let since = since.parse().unwrap_or_default();
                let id = hash("ticket", ticket).chars().take(ID_CHARS).collect();
                found.push(ListedSession { id, since, expires, provider, ticket: ticket.to_owned() });
            }
        }
        Ok(found)
    }

    /// All of these share a slot of a cluster, so that they can be asked for together.
    fn ended_key(&self, name: Name<'_>) -> String {
        let kind = name.kind.word();
        format!("{{{}.doorward}}.ended.{kind}.{}", self.cookie, name.hash())
    }

    fn list_key(&self, name: Name<'_>) -> String {
        let kind = name.kind.word();
        format!("{}.doorward.list.{kind}.{}", self.cookie, name.hash())
    }
}

impl Name<'_> {
    /// The length keeps a text of one provider apart from texts of others.
    fn hash(&self) -> String {
        let kind = self.kind.word();
        match self.at {
            None => hash(kind, self.text),
            Some(at) => hash(&format!("{kind}@{}", at.len()), &format!("{at}\0{}", self.text)),
        }
    }
}

fn of_user<'a>(text: &'a str, email: &'a str) -> Vec<Name<'a>> {
    vec![
        Name { kind: Kind::User, at: None, text },
        Name { kind: Kind::Email, at: None, text: email },
        Name { kind: Kind::PreferredUsername, at: None, text },
    ]
}

fn hash(kind: &str, text: &str) -> String {
    hex(digest(&SHA256, format!("{kind}\0{text}").as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn read_time(value: &[u8]) -> Option<Timestamp> {
    let (seconds, nanos) = std::str::from_utf8(value).ok()?.split_once('.')?;
    Some(Timestamp { seconds: seconds.parse().ok()?, nanos: nanos.parse().ok()? })
}

/// Where sessions have no limit, what is known of them has this.
const UNLIMITED: Duration = Duration::from_hours(24 * 365);
const CLOCK_SKEW: Duration = Duration::from_mins(5);
const ID_CHARS: usize = 32;

#[cfg(test)]
mod tests;
