//! Users: who is known here, and what of them. A user who is removed and made again has another `uid`, so that nothing
//! issued to the first is valid for the second.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest;
use base64_simd::URL_SAFE_NO_PAD;
use doorward_core::{
    SecretString, Timestamp, UserInfo,
    user_info::{AUTHENTICATED, UNAUTHENTICATED},
};
use doorward_store::{Committed, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    Accounts, NoRandomness, PasswordHash, Unavailable, UnusablePassword,
    records::{ATTEMPTS, Read, encode, key},
    token::random,
};

/// The user that the first run makes.
pub const BOOTSTRAP_USER: &str = "admin";

/// The longest name of a user, in bytes.
const LONGEST_NAME: usize = 256;

/// A user of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub name: String,
    /// Never the same for two users, also where a name is given anew. The `sub` of tokens.
    pub uid: String,
    #[serde(default)]
    pub full_name: String,
    #[serde(default)]
    pub email: String,
    #[serde(default)]
    pub email_verified: bool,
    /// Who this is elsewhere: `<provider>:<user name there>`.
    #[serde(default)]
    pub identities: Vec<String>,
    /// Groups by the provider that says so; under the empty name what the operator has set.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pub standing: Standing,
    /// Of users who sign in with a password kept here.
    #[serde(default)]
    pub password: Option<PasswordHash>,
    #[serde(default)]
    pub uid_source: UidSource,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// When something about the user changed last; seconds since the Unix epoch.
    pub updated: i64,
}

/// Whether a user may come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    #[default]
    Active,
    /// Nothing issued to the user is valid until this is over.
    Disabled,
}

/// Where the `uid` of a user comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UidSource {
    #[default]
    Random,
    /// It follows from the password, so that changing that ends everything issued before.
    Password,
}

/// A user to be made.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    pub name: String,
    pub full_name: String,
    pub email: String,
    pub groups: Vec<String>,
    pub identities: Vec<String>,
    pub password: Option<PasswordHash>,
}

/// Why a user was not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddUserError {
    #[error(
        "a user cannot be named so; leave out `:`, `/`, `%`, control and invisible characters, and at most {LONGEST_NAME} bytes"
    )]
    ReservedName,
    #[error("there is a user of this name; change or remove that one")]
    Exists,
    #[error("one of the identities belongs to another user")]
    IdentityTaken,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why a user was not changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeUserError {
    #[error("there is no user of this name")]
    NoSuchUser,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What the first run brought.
#[derive(Clone, Debug)]
pub enum Bootstrap {
    /// The user was made, or has another password now. To be shown once, if nobody gave it.
    PasswordSet(SecretString),
    /// The user was there, with this password or, where none was given, with any.
    Unchanged,
    /// There are other users and none of this name: nothing was made.
    NotFirst,
}

/// Why the first run made no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    #[error("{0}")]
    Password(#[from] UnusablePassword),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl User {
    /// Whether somebody may be named so. Names stand in paths and lists, and some belong to nobody.
    pub fn is_name(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= LONGEST_NAME
            && !matches!(name, "." | ".." | "~")
            && !name.contains([':', '/', '%'])
            && !name.chars().any(|letter| letter.is_control() || is_invisible(letter))
            && name.trim() == name
    }

    /// Groups of all providers, sorted, each once.
    pub fn all_groups(&self) -> Vec<String> {
        let all: BTreeSet<&String> = self.groups.values().flatten().collect();
        all.into_iter().filter(|group| is_group(group)).cloned().collect()
    }

    /// What upstreams and API clients are told of this user.
    pub fn user_info(&self) -> UserInfo {
        UserInfo {
            name: self.name.clone(),
            uid: self.uid.clone(),
            groups: self.all_groups(),
            extra: BTreeMap::new(),
        }
        .authenticated()
    }

    /// Sets the password. Where the `uid` follows from it, everything issued before is void.
    pub fn set_password(&mut self, password: PasswordHash) {
        if self.uid_source == UidSource::Password {
            self.uid = uid_of(&self.name, &password);
        }
        self.password = Some(password);
    }

    pub(crate) fn make(new: NewUser, now: Timestamp) -> Result<Self, NoRandomness> {
        let groups = if new.groups.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(String::new(), new.groups)])
        };
        Ok(Self {
            name: new.name,
            uid: uid(random()?),
            full_name: new.full_name,
            email: new.email,
            email_verified: false,
            identities: new.identities,
            groups,
            standing: Standing::Active,
            password: new.password,
            uid_source: UidSource::Random,
            created: now.seconds,
            updated: now.seconds,
        })
    }

    pub(crate) fn identity(&self) -> Result<Vec<u8>, Unavailable> {
        encode(&Identity { user: self.name.clone(), uid: self.uid.clone() })
    }
}

/// Characters that nobody sees, or that turn the direction of what is read: with them two names look the same.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether somebody may be in a group of this name because a provider says so.
pub(crate) fn is_group(name: &str) -> bool {
    !name.is_empty()
        && !matches!(name, AUTHENTICATED | UNAUTHENTICATED)
        && !name.starts_with("system:")
        && !name.chars().any(char::is_control)
}

/// The record of who an identity is here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) user: String,
    pub(crate) uid: String,
}

fn uid(bytes: [u8; 16]) -> String {
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

fn uid_of(name: &str, password: &PasswordHash) -> String {
    let text = format!("doorward uid\0{name}\0{}", password.as_str());
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *from;
    }
    uid(bytes)
}

impl Accounts {
    pub async fn user(&self, name: &str, now: Timestamp) -> Result<Option<User>, Unavailable> {
        Ok(self.read(&key::user(name), now).await?.map(|read| read.value))
    }

    /// All users, by name.
    pub async fn users(&self, now: Timestamp) -> Result<Vec<User>, Unavailable> {
        let found = self.records.list(key::USERS, now).await?;
        let read =
            |(_, value): (_, Vec<u8>)| serde_json::from_slice(&value).map_err(|_| Unavailable::Unreadable);
        found.into_iter().map(read).collect()
    }

    /// Makes a user, and notes who else this is.
    pub async fn add_user(&self, new: NewUser, now: Timestamp) -> Result<User, AddUserError> {
        if !User::is_name(&new.name) {
            return Err(AddUserError::ReservedName);
        }
        let user = User::make(new, now).map_err(Unavailable::from)?;
        let key = key::user(&user.name);
        let mut transaction = Transaction::new().if_absent(&key).put(&key, encode(&user)?, None);
        for identity in &user.identities {
            let key = key::identity(identity);
            transaction = transaction.if_absent(&key).put(&key, user.identity()?, None);
        }
        match self.commit(transaction, now).await? {
            Committed::Done => Ok(user),
            Committed::Conflict if self.user(&user.name, now).await?.is_some() => Err(AddUserError::Exists),
            Committed::Conflict => Err(AddUserError::IdentityTaken),
        }
    }

    /// Changes a user as `change` does. Name and identities stay; the `uid` changes only as
    /// [`User::set_password`] says. `change` may be called again if somebody else changes the user meanwhile.
    pub async fn change_user(
        &self,
        name: &str,
        mut change: impl FnMut(&mut User) + Send,
        now: Timestamp,
    ) -> Result<User, ChangeUserError> {
        let key = key::user(name);
        for _ in 0..ATTEMPTS {
            let read: Option<Read<User>> = self.read(&key, now).await?;
            let Some(Read { value: before, bytes }) = read else {
                return Err(ChangeUserError::NoSuchUser);
            };
            let mut user = before.clone();
            change(&mut user);
            user.name.clone_from(&before.name);
            user.identities.clone_from(&before.identities);
            if user == before {
                return Ok(user);
            }
            user.updated = now.seconds;
            let mut transaction = Transaction::new().if_same(&key, &bytes).put(&key, encode(&user)?, None);
            if user.uid != before.uid {
                for identity in &user.identities {
                    transaction = transaction.put(&key::identity(identity), user.identity()?, None);
                }
            }
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(user);
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// Removes a user and all their identities. Whatever was issued to the user is void with that.
    pub async fn remove_user(&self, name: &str, now: Timestamp) -> Result<(), ChangeUserError> {
        let key = key::user(name);
        for _ in 0..ATTEMPTS {
            let read: Option<Read<User>> = self.read(&key, now).await?;
            let Some(Read { value: user, bytes }) = read else {
                return Err(ChangeUserError::NoSuchUser);
            };
            let mut transaction = Transaction::new().if_same(&key, &bytes).delete(&key);
            for identity in &user.identities {
                transaction = transaction.delete(&key::identity(identity));
            }
            if self.commit(transaction, now).await? == Committed::Done {
                // All of it is void already; this only leaves nothing behind.
                let _ = self.revoke_all_of_user(&user.uid, now).await;
                let _ = self.end_sessions_of_user(&user.uid, now).await;
                return Ok(());
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// The user of the first run: made if there are no users yet, with `given` as password or one of 128 random bits.
    /// Where the user is there already, a `given` password that is not theirs becomes theirs, and whatever was issued
    /// to them before is void.
    pub async fn bootstrap(
        &self,
        given: Option<&SecretString>,
        now: Timestamp,
    ) -> Result<Bootstrap, BootstrapError> {
        let password = match given {
            Some(given) => given.clone(),
            None => random_password()?,
        };
        for _ in 0..ATTEMPTS {
            let existing = self.user(BOOTSTRAP_USER, now).await?;
            match (existing, given) {
                (Some(_), None) => return Ok(Bootstrap::Unchanged),
                (Some(user), Some(given)) => {
                    if self.verify(user.password, given.clone()).await? {
                        return Ok(Bootstrap::Unchanged);
                    }
                    let hash = self.hash(given.clone()).await?;
                    let change = |user: &mut User| {
                        user.uid_source = UidSource::Password;
                        user.set_password(hash.clone());
                    };
                    match self.change_user(BOOTSTRAP_USER, change, now).await {
                        Ok(_) => return Ok(Bootstrap::PasswordSet(password)),
                        Err(ChangeUserError::NoSuchUser) => continue,
                        Err(ChangeUserError::Unavailable(why)) => return Err(why.into()),
                    }
                }
                (None, _) => (),
            }
            if !self.users(now).await?.is_empty() {
                return Ok(Bootstrap::NotFirst);
            }
            let new = NewUser { name: BOOTSTRAP_USER.to_owned(), ..NewUser::default() };
            let mut user = User::make(new, now).map_err(Unavailable::from)?;
            user.uid_source = UidSource::Password;
            user.set_password(self.hash(password.clone()).await?);
            let key = key::user(BOOTSTRAP_USER);
            let transaction = Transaction::new().if_absent(&key).put(&key, encode(&user)?, None);
            if self.commit(transaction, now).await? == Committed::Done {
                return Ok(Bootstrap::PasswordSet(password));
            }
        }
        Err(Unavailable::Contended.into())
    }

    async fn hash(&self, password: SecretString) -> Result<PasswordHash, BootstrapError> {
        Ok(self.checks.run(move || PasswordHash::new(password.expose().as_bytes())).await??)
    }

    async fn verify(&self, hash: Option<PasswordHash>, password: SecretString) -> Result<bool, Unavailable> {
        let verify = move || hash.is_some_and(|hash| hash.verify(password.expose().as_bytes()));
        self.checks.run(verify).await
    }
}

fn random_password() -> Result<SecretString, Unavailable> {
    Ok(URL_SAFE_NO_PAD.encode_to_string(random::<16>()?).into())
}
