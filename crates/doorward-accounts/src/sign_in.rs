//! Who a foreign identity is here. An identity that is known leads to its user and to nobody else; what becomes of one
//! that is not, the provider's mapping method says. Whatever a provider asserts that no provider may assert is dropped.

use doorward_core::Timestamp;
use doorward_store::{Committed, Transaction};

use crate::{
    Accounts, NewUser, Standing, Unavailable, User,
    records::{ATTEMPTS, Read, encode, key},
    users::{Identity, is_group},
};

/// Names that [`MappingMethod::Generate`] tries.
const MOST_NAMES: usize = 100;
/// The longest name of a user at a provider, in bytes.
const LONGEST_FOREIGN_NAME: usize = 1024;

/// What a provider says of somebody who signed in there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderLogin {
    /// The configured name of the provider; without a colon.
    pub provider: String,
    /// What the provider knows the user by, for ever.
    pub user_name: String,
    /// How the user would like to be named here; empty: as at the provider.
    pub preferred_username: String,
    pub full_name: String,
    pub email: String,
    pub email_verified: bool,
    /// `None`: the provider manages no groups, and those the user has stay as they are.
    pub groups: Option<Vec<String>>,
}

/// What becomes of an identity that is not known yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MappingMethod {
    /// A user is made; one that has no identity is taken; one that has is a mistake.
    #[default]
    Claim,
    /// Nothing is made: the operator has to.
    Lookup,
    /// A user is made; one that exists gets this identity as well. Only for providers whose names mean the same people.
    Add,
    /// A user is made, by the first name that is free.
    Generate,
}

/// Why somebody who proved who they are is nobody here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("the name belongs to a user with another identity, and the mapping method is claim")]
    Claim,
    #[error("the identity leads to no user")]
    Lookup,
    #[error(
        "nobody may be named so: empty, too long, or with one of `:`, `/`, `%`, control or invisible characters"
    )]
    ReservedName,
    #[error("the user is disabled")]
    Disabled,
    #[error("no name is left for the user: {MOST_NAMES} were tried")]
    Exhausted,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Who somebody is.
enum Found {
    User(Box<Read<User>>),
    /// Somebody else was faster: look again.
    Again,
}

impl Accounts {
    /// The user that a foreign identity is, made or changed as `method` says, with name, address and groups as the
    /// provider tells them now.
    pub async fn sign_in(
        &self,
        login: &ProviderLogin,
        method: MappingMethod,
        now: Timestamp,
    ) -> Result<User, MappingError> {
        let identity = login.identity()?;
        for _ in 0..ATTEMPTS {
            let known: Option<Read<Identity>> = self.read(&key::identity(&identity), now).await?;
            let found = match known {
                Some(known) => Found::User(Box::new(self.user_of(&known.value, &identity, now).await?)),
                None => self.map(login, &identity, method, now).await?,
            };
            let Found::User(read) = found else { continue };
            if read.value.standing == Standing::Disabled {
                return Err(MappingError::Disabled);
            }
            if let Some(user) = self.bring_up_to_date(*read, login, now).await? {
                return Ok(user);
            }
        }
        Err(Unavailable::Contended.into())
    }

    async fn user_of(
        &self,
        known: &Identity,
        identity: &str,
        now: Timestamp,
    ) -> Result<Read<User>, MappingError> {
        let user: Option<Read<User>> = self.read(&key::user(&known.user), now).await?;
        user.filter(|read| {
            read.value.uid == known.uid && read.value.identities.iter().any(|own| own == identity)
        })
        .ok_or(MappingError::Lookup)
    }

    /// The user of an identity that is not known yet.
    async fn map(
        &self,
        login: &ProviderLogin,
        identity: &str,
        method: MappingMethod,
        now: Timestamp,
    ) -> Result<Found, MappingError> {
        if method == MappingMethod::Lookup {
            return Err(MappingError::Lookup);
        }
        let preferred = login.preferred_name()?;
        for number in 1..=MOST_NAMES {
            let name = if number == 1 { preferred.to_owned() } else { format!("{preferred}{number}") };
            if !User::is_name(&name) {
                return Err(MappingError::ReservedName);
            }
            let existing: Option<Read<User>> = self.read(&key::user(&name), now).await?;
            let Some(existing) = existing else {
                return self.create(name, identity, now).await;
            };
            if existing.value.identities.iter().any(|own| own == identity) {
                return Ok(Found::Again);
            }
            match method {
                MappingMethod::Generate => (),
                MappingMethod::Add => return self.append(existing, identity, now).await,
                // Somebody with a password kept here is somebody already.
                MappingMethod::Claim
                    if existing.value.identities.is_empty() && existing.value.password.is_none() =>
                {
                    return self.append(existing, identity, now).await;
                }
                MappingMethod::Claim | MappingMethod::Lookup => return Err(MappingError::Claim),
            }
        }
        Err(MappingError::Exhausted)
    }

    async fn create(&self, name: String, identity: &str, now: Timestamp) -> Result<Found, MappingError> {
        let new = NewUser { name, identities: vec![identity.to_owned()], ..NewUser::default() };
        let user = User::make(new, now).map_err(Unavailable::from)?;
        let (user_key, identity_key, bytes) =
            (key::user(&user.name), key::identity(identity), encode(&user)?);
        let transaction = Transaction::new()
            .if_absent(&user_key)
            .if_absent(&identity_key)
            .put(&user_key, bytes.clone(), None)
            .put(&identity_key, user.identity()?, None);
        match self.commit(transaction, now).await? {
            Committed::Done => Ok(Found::User(Box::new(Read { value: user, bytes }))),
            Committed::Conflict => Ok(Found::Again),
        }
    }

    async fn append(
        &self,
        Read { value: mut user, bytes }: Read<User>,
        identity: &str,
        now: Timestamp,
    ) -> Result<Found, MappingError> {
        if user.standing == Standing::Disabled {
            return Err(MappingError::Disabled);
        }
        user.identities.push(identity.to_owned());
        user.updated = now.seconds;
        let (user_key, identity_key, changed) =
            (key::user(&user.name), key::identity(identity), encode(&user)?);
        let transaction = Transaction::new()
            .if_same(&user_key, &bytes)
            .if_absent(&identity_key)
            .put(&user_key, changed.clone(), None)
            .put(&identity_key, user.identity()?, None);
        match self.commit(transaction, now).await? {
            Committed::Done => Ok(Found::User(Box::new(Read { value: user, bytes: changed }))),
            Committed::Conflict => Ok(Found::Again),
        }
    }

    /// Writes what the provider says now, if it is not what was known. `None` if somebody else was faster.
    pub(crate) async fn bring_up_to_date(
        &self,
        Read { value: mut user, bytes }: Read<User>,
        login: &ProviderLogin,
        now: Timestamp,
    ) -> Result<Option<User>, Unavailable> {
        let before = user.clone();
        login.tell(&mut user);
        if user == before {
            return Ok(Some(user));
        }
        user.updated = now.seconds;
        let key = key::user(&user.name);
        let transaction = Transaction::new().if_same(&key, &bytes).put(&key, encode(&user)?, None);
        Ok((self.commit(transaction, now).await? == Committed::Done).then_some(user))
    }
}

impl ProviderLogin {
    fn identity(&self) -> Result<String, MappingError> {
        let is_usable = !self.provider.is_empty()
            && !self.provider.contains(':')
            && !self.user_name.is_empty()
            && self.user_name.len() <= LONGEST_FOREIGN_NAME
            && !self.user_name.chars().any(char::is_control);
        if is_usable {
            Ok(format!("{}:{}", self.provider, self.user_name))
        } else {
            Err(MappingError::ReservedName)
        }
    }

    fn preferred_name(&self) -> Result<&str, MappingError> {
        let name =
            if self.preferred_username.is_empty() { &self.user_name } else { &self.preferred_username };
        if User::is_name(name) { Ok(name) } else { Err(MappingError::ReservedName) }
    }

    fn tell(&self, user: &mut User) {
        if !self.full_name.is_empty() {
            user.full_name.clone_from(&self.full_name);
        }
        if !self.email.is_empty() {
            user.email.clone_from(&self.email);
            user.email_verified = self.email_verified;
        }
        if let Some(groups) = &self.groups {
            let mut groups: Vec<String> = groups.iter().filter(|group| is_group(group)).cloned().collect();
            groups.sort();
            groups.dedup();
            if groups.is_empty() {
                user.groups.remove(&self.provider);
            } else {
                user.groups.insert(self.provider.clone(), groups);
            }
        }
    }
}
