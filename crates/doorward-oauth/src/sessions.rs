//! The session of a browser at this server: opened at a login, always under a new id, so that nobody can prepare one for
//! somebody else (norm A3.8).

use doorward_accounts::{NewSession, Session, Subject, Unavailable, User};
use doorward_core::{SecretString, Timestamp};
use http::header::SET_COOKIE;

use crate::{
    OAuthServer, answer,
    audit::{Line, Outcome},
    call::{Answer, Call},
    idp::Vouched,
    then::Then,
};

/// A login session of a user, for whoever administers them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Names it for [`OAuthServer::end_session_of`], and opens nothing.
    pub id: String,
    /// When the user signed in, in seconds since the Unix epoch.
    pub auth_time: i64,
    /// The identity provider that knew the user.
    pub provider: String,
}

impl OAuthServer {
    /// The login sessions of the user of this name; none of one that is not there.
    pub async fn sessions_of(&self, user: &str, now: Timestamp) -> Result<Vec<Login>, Unavailable> {
        let Some(user) = self.accounts.user(user, now).await? else { return Ok(Vec::new()) };
        let sessions = self.accounts.sessions_of_user(&user.uid, now).await?.into_iter().map(|session| {
            Login { id: session.handle(), auth_time: session.auth_time, provider: session.provider }
        });
        Ok(sessions.collect())
    }

    /// Ends all login sessions of the user of this name, as a logout would; how many there were.
    pub async fn end_sessions_of(&self, user: &str, now: Timestamp) -> Result<usize, Unavailable> {
        let Some(user) = self.accounts.user(user, now).await? else { return Ok(0) };
        let sessions = self.accounts.sessions_of_user(&user.uid, now).await?;
        for session in &sessions {
            self.end(&user, session, now).await?;
        }
        Ok(sessions.len())
    }

    /// Ends the one that [`sessions_of`](Self::sessions_of) calls `id`. Whether there was one.
    pub async fn end_session_of(&self, user: &str, id: &str, now: Timestamp) -> Result<bool, Unavailable> {
        let Some(user) = self.accounts.user(user, now).await? else { return Ok(false) };
        let sessions = self.accounts.sessions_of_user(&user.uid, now).await?;
        let Some(session) = sessions.iter().find(|session| session.handle() == id) else { return Ok(false) };
        self.end(&user, session, now).await?;
        Ok(true)
    }

    /// The session of the request and its user, if it goes on.
    pub(crate) async fn session(&self, call: &Call) -> Result<Option<(User, Session)>, Unavailable> {
        let Some(raw) = self.cookies.session(&call.headers) else { return Ok(None) };
        let found = self.accounts.session(raw.expose(), call.now).await?;
        Ok(found.map(|signed_in| (signed_in.user, signed_in.session)))
    }

    /// Opens a session for somebody who has just proved who they are. The one of the request, if there is any, ends.
    pub(crate) async fn open_session(
        &self,
        vouched: &Vouched,
        call: &Call,
    ) -> Result<(SecretString, Session), Unavailable> {
        if let Some(former) = self.cookies.session(&call.headers) {
            self.accounts.end_session(former.expose(), call.now).await?;
        }
        let new = NewSession {
            subject: Subject::of_user(&vouched.user),
            provider: vouched.provider.clone(),
            amr: vouched.amr.clone(),
        };
        self.accounts.open_session(new, call.now).await
    }

    /// The end of a login in a browser: a new session, and on to where it was to lead.
    pub(crate) async fn signed_in(&self, vouched: Vouched, then: &Then, call: &Call) -> Answer {
        match self.open_session(&vouched, call).await {
            Ok((raw, _)) => {
                Line::new("login", Outcome::Permit)
                    .user(&vouched.user.name)
                    .authenticator(&vouched.provider)
                    .write(call);
                let mut answer = answer::redirect(then.as_str());
                answer.headers_mut().append(SET_COOKIE, self.cookies.set_session(&raw));
                answer
            }
            Err(why) => self.no_store("login", call, &why.to_string()),
        }
    }
}
