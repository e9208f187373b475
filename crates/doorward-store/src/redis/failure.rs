//! Sorts the client's errors. The server's own text is left out: it may repeat the arguments of a command.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// Whose credentials were presented.
#[derive(Clone, Copy, Debug)]
pub(super) enum Login {
    Server,
    Sentinel,
}

pub(super) fn classify(error: &RedisError, login: Login) -> StoreError {
    if is_demoted(error) {
        return unavailable("the server is no master any more");
    }
    match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => unavailable(&error.to_string()),
        ErrorKind::Server(
            kind @ (ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown),
        ) => unavailable(&format!("the server says {kind:?}")),
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => {
            unavailable("the server points to another one of its cluster (redis_use_cluster)")
        }
        ErrorKind::AuthenticationFailed => credentials_refused(login, "authentication failed"),
        ErrorKind::InvalidClientConfig => StoreError::Misconfigured {
            option: "redis_connection_url",
            reason: "the client cannot use this configuration".to_owned(),
        },
        _ => match error.code() {
            Some(code @ ("NOAUTH" | "WRONGPASS" | "NOPERM")) => credentials_refused(login, code),
            // What a server says that is full, or was told to refuse writes without its replicas.
            Some(code @ ("OOM" | "MISCONF" | "NOREPLICAS")) => {
                unavailable(&format!("the server says {code}"))
            }
            Some(code) => StoreError::Refused { reason: code.to_owned() },
            None => StoreError::Refused { reason: error.category().to_owned() },
        },
    }
}

/// Whether the server takes no writes because another one is the master now. Nothing was done.
pub(super) fn is_demoted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        // Before Redis 7 a script said so in its own words.
        || error.detail().is_some_and(|text| text.contains("-READONLY"))
}

pub(super) fn unavailable(reason: &str) -> StoreError {
    StoreError::Unavailable { reason: reason.to_owned() }
}

fn credentials_refused(login: Login, code: &str) -> StoreError {
    let options = match login {
        Login::Server => "redis_username, redis_password",
        Login::Sentinel => "redis_sentinel_password",
    };
    StoreError::CredentialsRefused { options, code: code.to_owned() }
}
