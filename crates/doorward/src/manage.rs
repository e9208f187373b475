//! `doorward user`, `client`, `token`, `keys` and `session`: what an operator does to the records of the built-in server. The records
//! are found as the server finds them, through `--doorward-config`. Records in a file belong to one process: the
//! server has to be stopped meanwhile. Secrets that are made here are printed once, and kept nowhere in clear.

mod sessions;

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    fs,
    io::{self, Write as _},
    sync::Arc,
    time::{Duration, SystemTime},
};

use doorward_accounts::{
    AccessToken, Accounts, KeySetName, NewUser, PasswordHash, Rotation, SealKey, Standing, TokenName, User,
};
use doorward_core::{SecretString, Timestamp};
use doorward_oauth::config::ClientSecret;
use doorward_options::{Loaded, format_duration, structured::own::AuthServer};
use doorward_store::RecordsConfig;

use crate::{
    assemble::{auth_server, problems::Problems},
    files::Files,
    reload,
    run::{Failure, random_text, runtime},
};

/// The words that begin such a command.
pub(crate) const COMMANDS: [&str; 5] = ["user", "client", "token", "keys", "session"];

const USAGE: &str = "\
doorward user add NAME [--full-name=TEXT] [--email=ADDRESS] [--group=GROUP]... [--password-file=FILE]
doorward user passwd NAME [--password-file=FILE]
doorward user list | disable NAME | enable NAME | remove NAME
doorward client add ID [--redirect-uri=URI]...
doorward token list [USER]
doorward token revoke sha256~NAME | --user=USER
doorward keys rotate
Each takes --doorward-config=FILE and --config=FILE. Without a password file, a password is made and printed.";

/// A command, read.
#[derive(Debug)]
enum Command {
    AddUser(NewUser, Option<String>),
    SetPassword { name: String, file: Option<String> },
    ListUsers,
    SetStanding(String, Standing),
    RemoveUser(String),
    AddClient { id: String, redirect_uris: Vec<String> },
    ListTokens(Option<String>),
    RevokeToken(TokenName),
    RevokeUser(String),
    RotateKeys,
}

/// Runs a command; `args` begin with one of [`COMMANDS`].
pub(crate) fn run(args: &[OsString]) -> Result<(), Failure> {
    if args.first().is_some_and(|word| word == "session") {
        return sessions::run(args);
    }
    let words: Option<Vec<String>> = args.iter().map(|word| word.to_str().map(ToOwned::to_owned)).collect();
    let Words { positional, own, others } = Words::split(words.ok_or_else(usage)?, &OWN_FLAGS);
    let command = Command::read(positional, own).ok_or_else(usage)?;
    let command = match command {
        Command::AddClient { id, redirect_uris } => return add_client(&id, &redirect_uris),
        command => command,
    };
    runtime()?.block_on(async {
        let accounts = open(&others, &command).await?;
        Box::pin(command.carry_out(&accounts)).await
    })
}

fn usage() -> Failure {
    Failure::Command(format!("this is no command; write one of\n{USAGE}"))
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Command(error.to_string())
}

/// The arguments, sorted.
pub(crate) struct Words {
    pub(crate) positional: VecDeque<String>,
    own: BTreeMap<&'static str, Vec<String>>,
    /// Options of the program, which say where the records are.
    pub(crate) others: Vec<OsString>,
}

const OWN_FLAGS: [&str; 6] =
    ["--full-name", "--email", "--group", "--password-file", "--redirect-uri", "--user"];

impl Words {
    /// `own` are the flags of the command.
    pub(crate) fn split(words: Vec<String>, own: &[&'static str]) -> Self {
        let mut split = Self { positional: VecDeque::new(), own: BTreeMap::new(), others: Vec::new() };
        let mut words = words.into_iter().peekable();
        while let Some(word) = words.next() {
            if !word.starts_with("--") {
                split.positional.push_back(word);
                continue;
            }
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            let known = own.iter().copied().find(|own| *own == flag);
            // A flag of the program may stand alone.
            let value = value.or_else(|| words.next_if(|next| known.is_some() || !next.starts_with("--")));
            match (known, value) {
                (Some(own), value) => split.own.entry(own).or_default().extend(value),
                (None, Some(value)) => split.others.push(format!("{flag}={value}").into()),
                (None, None) => split.others.push(flag.into()),
            }
        }
        split
    }

    /// All values of a flag of the command.
    pub(crate) fn all(&mut self, flag: &str) -> Vec<String> {
        self.own.remove(flag).unwrap_or_default()
    }

    /// The last of them.
    pub(crate) fn last(&mut self, flag: &str) -> Option<String> {
        self.all(flag).pop()
    }
}

impl Command {
    fn read(words: VecDeque<String>, mut own: BTreeMap<&'static str, Vec<String>>) -> Option<Self> {
        let words = Vec::from(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut last = |flag: &str| own.remove(flag).and_then(|mut values| values.pop());
        let command = match words.as_slice() {
            ["user", "add", name] => {
                let (full_name, email) = (last("--full-name"), last("--email"));
                let file = last("--password-file");
                let new = NewUser {
                    name: (*name).to_owned(),
                    full_name: full_name.unwrap_or_default(),
                    email: email.unwrap_or_default(),
                    groups: own.remove("--group").unwrap_or_default(),
                    ..NewUser::default()
                };
                Self::AddUser(new, file)
            }
            ["user", "passwd", name] => {
                Self::SetPassword { name: (*name).to_owned(), file: last("--password-file") }
            }
            ["user", "list"] => Self::ListUsers,
            ["user", "disable", name] => Self::SetStanding((*name).to_owned(), Standing::Disabled),
            ["user", "enable", name] => Self::SetStanding((*name).to_owned(), Standing::Active),
            ["user", "remove", name] => Self::RemoveUser((*name).to_owned()),
            ["client", "add", id] => Self::AddClient {
                id: (*id).to_owned(),
                redirect_uris: own.remove("--redirect-uri").unwrap_or_default(),
            },
            ["token", "list"] => Self::ListTokens(None),
            ["token", "list", user] => Self::ListTokens(Some((*user).to_owned())),
            ["token", "revoke", name] => Self::RevokeToken(TokenName::parse(name)?),
            ["token", "revoke"] => Self::RevokeUser(last("--user")?),
            ["keys", "rotate"] => Self::RotateKeys,
            _ => return None,
        };
        own.is_empty().then_some(command)
    }

    /// Whether it makes sense before there are any records.
    const fn may_come_first(&self) -> bool {
        matches!(self, Self::AddUser(..))
    }

    async fn carry_out(self, accounts: &Accounts) -> Result<(), Failure> {
        let now = Timestamp::from(SystemTime::now());
        match self {
            Self::AddUser(new, file) => add_user(accounts, new, file, now).await,
            Self::SetPassword { name, file } => set_password(accounts, &name, file, now).await,
            Self::ListUsers => {
                let users = accounts.users(now).await.map_err(failed)?;
                for user in &users {
                    say(&user_line(user));
                }
                Ok(())
            }
            Self::SetStanding(name, standing) => {
                let change = |user: &mut User| user.standing = standing;
                accounts.change_user(&name, change, now).await.map(drop).map_err(failed)
            }
            Self::RemoveUser(name) => accounts.remove_user(&name, now).await.map_err(failed),
            Self::ListTokens(user) => list_tokens(accounts, user.as_deref(), now).await,
            Self::RevokeToken(name) => {
                if accounts.access_token(&name, now).await.map_err(failed)?.is_none() {
                    return Err(Failure::Command(
                        "there is no such token; see doorward token list".to_owned(),
                    ));
                }
                accounts.revoke_access(&name, now).await.map_err(failed)
            }
            Self::RevokeUser(name) => {
                let user = known(accounts, &name, now).await?;
                accounts.revoke_all_of_user(&user.uid, now).await.map_err(failed)
            }
            Self::RotateKeys => rotate_keys(accounts, now).await,
            // Needs no records.
            Self::AddClient { id, redirect_uris } => add_client(&id, &redirect_uris),
        }
    }
}

/// The keys of the server, and those of the gateway if there are any.
async fn rotate_keys(accounts: &Accounts, now: Timestamp) -> Result<(), Failure> {
    let (what, from) = match accounts.rotate_keys(KeySetName::Server, now).await.map_err(failed)? {
        Rotation::Published { signs_from } => ("New keys are published", signs_from),
        Rotation::UnderWay { signs_from } => ("New keys are published already", signs_from),
    };
    if accounts.has_keys(KeySetName::Gateway, now).await.map_err(failed)? {
        accounts.rotate_keys(KeySetName::Gateway, now).await.map_err(failed)?;
    }
    say(&format!("{what}. They sign in {}.", format_duration(whole(from.since(now)))));
    Ok(())
}

/// Opens the records that the configuration names.
async fn open(args: &[OsString], command: &Command) -> Result<Arc<Accounts>, Failure> {
    let files = Files::default();
    let configuration = match reload::read(args, &files) {
        Ok(Loaded::Configuration(configuration, _)) => configuration,
        Ok(Loaded::Help(_) | Loaded::Version) => return Err(usage()),
        Err(error) => return Err(Failure::Command(error.to_string())),
    };
    let nothing = AuthServer::default();
    let server = configuration.own.as_ref().and_then(|own| own.auth_server.as_ref()).unwrap_or(&nothing);
    let mut problems = Problems::new(&configuration.sources, &files);
    let plan = auth_server::for_commands(server, &mut problems);
    let Some((plan, rules)) = plan else { return Err(Failure::Invalid(problems.into_found())) };
    match &plan.records {
        RecordsConfig::Memory => {
            let message =
                "records in memory belong to the server that runs; name a file or Redis in authServer.store";
            return Err(Failure::Command(message.to_owned()));
        }
        RecordsConfig::Embedded { path } if !path.exists() && !command.may_come_first() => {
            let message = format!(
                "there are no records in {} yet; name the configuration of the server by --doorward-config=FILE",
                path.display()
            );
            return Err(Failure::Command(message));
        }
        RecordsConfig::Embedded { .. } | RecordsConfig::Redis { .. } => (),
    }
    match auth_server::open_records(&plan).await {
        Ok((records, seal)) => {
            let key = SealKey::new(seal.expose()).map_err(failed)?;
            Ok(Arc::new(Accounts::new(Arc::new(records), key, rules)))
        }
        Err(closed) => {
            problems.add(closed.place, closed.message, closed.mend);
            Err(Failure::Invalid(problems.into_found()))
        }
    }
}

async fn known(accounts: &Accounts, name: &str, now: Timestamp) -> Result<User, Failure> {
    let user = accounts.user(name, now).await.map_err(failed)?;
    user.ok_or_else(|| Failure::Command(format!("there is no user {name:?}; see doorward user list")))
}

async fn add_user(
    accounts: &Accounts,
    new: NewUser,
    file: Option<String>,
    now: Timestamp,
) -> Result<(), Failure> {
    let (hash, made) = password(file)?;
    let user = accounts.add_user(NewUser { password: Some(hash), ..new }, now).await.map_err(failed)?;
    if !user.email.is_empty() {
        // The operator vouches for it.
        let change = |user: &mut User| user.email_verified = true;
        accounts.change_user(&user.name, change, now).await.map_err(failed)?;
    }
    tell_password(&user.name, made);
    Ok(())
}

async fn set_password(
    accounts: &Accounts,
    name: &str,
    file: Option<String>,
    now: Timestamp,
) -> Result<(), Failure> {
    known(accounts, name, now).await?;
    let (hash, made) = password(file)?;
    let change = |user: &mut User| user.set_password(hash.clone());
    accounts.change_user(name, change, now).await.map_err(failed)?;
    tell_password(name, made);
    Ok(())
}

/// The hash of the password in `file`, or of a new one, which is returned too.
fn password(file: Option<String>) -> Result<(PasswordHash, Option<SecretString>), Failure> {
    let (password, is_made): (SecretString, _) = match file {
        Some(path) => {
            let text = fs::read_to_string(&path)
                .map_err(|error| Failure::Command(format!("the file {path:?} cannot be read: {error}")))?;
            (text.trim_end_matches(['\r', '\n']).into(), false)
        }
        None => (random_text::<16>()?.into(), true),
    };
    let hash = PasswordHash::new(password.expose().as_bytes()).map_err(failed)?;
    Ok((hash, is_made.then_some(password)))
}

fn tell_password(name: &str, made: Option<SecretString>) {
    if let Some(password) = made {
        say(&format!("user      {name}\npassword  {}\nIt is shown this once.", password.expose()));
    }
}

fn user_line(user: &User) -> String {
    let standing = match user.standing {
        Standing::Active => "active",
        Standing::Disabled => "disabled",
    };
    let from = if user.identities.is_empty() { "here".to_owned() } else { user.identities.join(",") };
    let groups = user.all_groups().join(",");
    format!("{}  {standing}  from {from}  groups {groups}  uid {}", user.name, user.uid)
}

async fn list_tokens(accounts: &Accounts, user: Option<&str>, now: Timestamp) -> Result<(), Failure> {
    let users = match user {
        Some(name) => vec![known(accounts, name, now).await?],
        None => accounts.users(now).await.map_err(failed)?,
    };
    for user in users {
        for token in accounts.tokens_of(&user.uid, now).await.map_err(failed)? {
            say(&token_line(&user.name, &token, now));
        }
    }
    Ok(())
}

fn token_line(user: &str, token: &AccessToken, now: Timestamp) -> String {
    let until = token
        .remaining(now)
        .map_or_else(|| "never".to_owned(), |left| format!("in {}", format_duration(whole(left))));
    format!("{}  {user}  client {}  scopes {}  ends {until}", token.name.as_str(), token.client, token.scopes)
}

/// A secret for a client, and what to write into doorward.yaml, which gets only its hash.
fn add_client(id: &str, redirect_uris: &[String]) -> Result<(), Failure> {
    let secret: SecretString = random_text::<32>()?.into();
    let hash = ClientSecret::of(secret.expose()).hash();
    let uris = if redirect_uris.is_empty() {
        "https://app.example.com/callback".to_owned()
    } else {
        redirect_uris.iter().map(|uri| format!("{uri:?}")).collect::<Vec<_>>().join(", ")
    };
    say(&format!(
        "# The secret of the client, shown this once: {}\n\
         authServer:\n  clients:\n    - id: {id:?}\n      secretHashes: [{hash:?}]\n      redirectURIs: [{uris}]",
        secret.expose()
    ));
    Ok(())
}

/// Without fractions of a second, which nobody asks for.
const fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}
