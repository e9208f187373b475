//! Login sessions of the server itself. The cookie holds a random value, the store its hash. Every login gets a new one,
//! so that nobody can prepare a session for somebody else. The public id (`sid`) opens nothing.

use doorward_core::{SecretString, Timestamp};
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    Accounts, LoginFacts, Subject, Unavailable, User, at,
    records::{Read, encode, key},
    seconds,
    token::{hash, random_part},
};

/// A login that begins a session.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub subject: Subject,
    /// The provider that knew the user.
    pub provider: String,
    /// How they proved who they are (RFC 8176).
    pub amr: Vec<String>,
}

/// A login session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The public id, for ID tokens.
    pub sid: String,
    pub subject: Subject,
    pub provider: String,
    pub amr: Vec<String>,
    /// When the user signed in, in seconds since the Unix epoch.
    pub auth_time: i64,
    /// When the session was last written down as used.
    seen: i64,
}

/// A session that goes on, and its user as of now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    pub session: Session,
    pub user: User,
}

impl Session {
    /// A name for people who end it, which says nothing to anybody else.
    pub fn handle(&self) -> String {
        hash(&self.sid)
    }

    /// What tokens issued in this session tell of the login.
    pub fn login_facts(&self, nonce: Option<String>) -> LoginFacts {
        LoginFacts {
            auth_time: Some(self.auth_time),
            amr: self.amr.clone(),
            session: Some(self.sid.clone()),
            nonce,
        }
    }
}

impl Accounts {
    /// Begins a session. The secret is for the cookie.
    pub async fn open_session(
        &self,
        new: NewSession,
        now: Timestamp,
    ) -> Result<(SecretString, Session), Unavailable> {
        let (raw, sid) = (random_part()?, random_part()?);
        let NewSession { subject, provider, amr } = new;
        let session = Session { sid, subject, provider, amr, auth_time: now.seconds, seen: now.seconds };
        self.commit(self.put_session(Transaction::new(), &hash(&raw), &session)?, now).await?;
        Ok((raw.into(), session))
    }

    /// The session of a cookie, if it goes on and its user may still come in. Looking counts as use.
    pub async fn session(&self, raw: &str, now: Timestamp) -> Result<Option<SignedIn>, Unavailable> {
        let hash = hash(raw);
        let read: Option<Read<Session>> = self.read(&key::session(&hash), now).await?;
        let Some(Read { value: session, bytes }) = read else { return Ok(None) };
        let Ok(Some(user)) = self.user_behind(&session.subject, now).await? else { return Ok(None) };
        let session = self.note_seen(&hash, session, &bytes, now).await;
        Ok(Some(SignedIn { session, user }))
    }

    /// Writes that a session was used, if that was not written lately. If it fails, or somebody else was faster, the
    /// session is as good, or as ended, as before.
    pub(crate) async fn note_seen(
        &self,
        hash: &str,
        session: Session,
        bytes: &[u8],
        now: Timestamp,
    ) -> Session {
        let unseen = now.seconds.saturating_sub(session.seen);
        if unseen < (seconds(self.rules.session_idle) / 10).max(1) {
            return session;
        }
        let seen = Session { seen: now.seconds, ..session };
        let transaction = Transaction::new().if_same(&key::session(hash), bytes);
        if let Ok(transaction) = self.put_session(transaction, hash, &seen) {
            let _ = self.commit(transaction, now).await;
        }
        seen
    }

    /// Ends the session of a cookie. One that is not there is no error.
    pub async fn end_session(&self, raw: &str, now: Timestamp) -> Result<(), Unavailable> {
        self.end_hashed(&hash(raw), now).await
    }

    /// Ends the session with this public id. One that is not there is no error.
    pub async fn end_session_by_sid(&self, sid: &str, now: Timestamp) -> Result<(), Unavailable> {
        let Some(hash) = self.records.get(&key::sid(sid), now).await? else { return Ok(()) };
        let hash = String::from_utf8(hash).map_err(|_| Unavailable::Unreadable)?;
        self.end_hashed(&hash, now).await
    }

    /// The sessions of a user that go on. They are not marked as used.
    pub async fn sessions_of_user(&self, uid: &str, now: Timestamp) -> Result<Vec<Session>, Unavailable> {
        let mut sessions = Vec::new();
        for (hash, _) in self.list(&key::sessions_of(uid), now).await? {
            sessions.extend(self.read::<Session>(&key::session(&hash), now).await?.map(|read| read.value));
        }
        Ok(sessions)
    }

    /// Ends all sessions of a user.
    pub async fn end_sessions_of_user(&self, uid: &str, now: Timestamp) -> Result<(), Unavailable> {
        for (hash, _) in self.list(&key::sessions_of(uid), now).await? {
            self.end_hashed(&hash, now).await?;
        }
        Ok(())
    }

    /// Whether the session of this public id goes on. It is not marked as used.
    pub async fn is_session_open(&self, sid: &str, now: Timestamp) -> Result<bool, Unavailable> {
        Ok(self.records.get(&key::sid(sid), now).await?.is_some())
    }

    /// Notes that this client is to hear of the end of a session, as long as the session can last. Fails if it is over.
    pub async fn note_client_of_session(
        &self,
        session: &Session,
        client: &str,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let sid = key::sid(&session.sid);
        let Some(hash) = self.records.get(&sid, now).await? else { return Err(Unavailable::Contended) };
        let expires = at(session.auth_time.saturating_add(seconds(self.rules.session_absolute)));
        let note = key::client_of_session(&session.sid, client);
        let note =
            Transaction::new().if_same(&sid, &hash).put(&note, client.as_bytes().to_vec(), Some(expires));
        match self.commit(note, now).await? {
            Committed::Done => Ok(()),
            Committed::Conflict => Err(Unavailable::Contended),
        }
    }

    /// The clients that are to hear of the end of the session of this public id, by their ids.
    pub async fn clients_of_session(&self, sid: &str, now: Timestamp) -> Result<Vec<String>, Unavailable> {
        let found = self.list(&key::clients_of_session(sid), now).await?.into_iter();
        let clients = found.map(|(_, client)| String::from_utf8(client));
        clients.collect::<Result<_, _>>().map_err(|_| Unavailable::Unreadable)
    }

    /// The same, and they are forgotten.
    pub async fn take_clients_of_session(
        &self,
        sid: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, Unavailable> {
        let clients = self.clients_of_session(sid, now).await?;
        let keys = clients.iter().map(|client| key::client_of_session(sid, client));
        let forget = keys.fold(Transaction::new(), |forget, key| forget.delete(&key));
        self.commit(forget, now).await?;
        Ok(clients)
    }

    async fn end_hashed(&self, hash: &str, now: Timestamp) -> Result<(), Unavailable> {
        let key = key::session(hash);
        let Some(read) = self.read::<Session>(&key, now).await? else { return Ok(()) };
        let session = read.value;
        let index = format!("{}{hash}", key::sessions_of(&session.subject.uid()));
        let transaction = Transaction::new().delete(&key).delete(&key::sid(&session.sid)).delete(&index);
        self.commit(transaction, now).await?;
        Ok(())
    }

    fn put_session(
        &self,
        transaction: Transaction,
        hash: &str,
        session: &Session,
    ) -> Result<Transaction, Unavailable> {
        let expires = Some(at(self.session_ends(session)));
        let index = format!("{}{hash}", key::sessions_of(&session.subject.uid()));
        Ok(transaction
            .put(&key::session(hash), encode(session)?, expires)
            .put(&key::sid(&session.sid), hash.into(), expires)
            .put(&index, session.sid.clone().into_bytes(), expires))
    }

    fn session_ends(&self, session: &Session) -> i64 {
        let idle = session.seen.saturating_add(seconds(self.rules.session_idle));
        idle.min(session.auth_time.saturating_add(seconds(self.rules.session_absolute)))
    }
}
