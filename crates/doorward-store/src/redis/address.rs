//! From the configured URL to a client that knows where and as whom to connect. No IO.

use std::borrow::Cow;

use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, RedisConnectionInfo, TlsCertificates,
};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use super::{RedisConfig, TlsVerification};
use crate::StoreError;

/// A client for the configured server; nothing is connected yet.
///
/// # Errors
/// `Misconfigured` names the option; it never repeats the URL, which may hold a password.
pub(super) fn client(config: &RedisConfig) -> Result<Client, StoreError> {
    let RedisConfig { url, username, password, idle_timeout: _, tls } = config;
    let mut info = connection_info(url.expose())?;
    let mut login = info.redis_settings().clone().set_skip_set_lib_name();
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose());
    }
    info = info.set_redis_settings(login);
    let ConnectionAddr::TcpTls { host, port, insecure, .. } = info.addr() else {
        return Client::open(info).map_err(|_| bad_url());
    };
    let insecure = *insecure || tls.verification == TlsVerification::Skip;
    let addr = ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure, tls_params: None };
    let info = info.set_addr(addr);
    // The client asks for the process-wide provider; if somebody has set one already, that is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match &tls.ca_pem {
        None => Client::open(info).map_err(|_| bad_url()),
        Some(pem) => {
            let bad_pem = || StoreError::Misconfigured {
                option: "redis_ca_path",
                reason: "holds no certificate that can be read".to_owned(),
            };
            if !matches!(CertificateDer::pem_slice_iter(pem).next(), Some(Ok(_))) {
                return Err(bad_pem());
            }
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(pem.clone()) };
            Client::build_with_tls(info, certificates).map_err(|_| bad_pem())
        }
    }
}

fn connection_info(text: &str) -> Result<ConnectionInfo, StoreError> {
    if let Some(rest) = text.strip_prefix("unix://") {
        return unix_connection_info(rest);
    }
    let url = Url::parse(text).map_err(|_| bad_url())?;
    if !matches!(url.scheme(), "redis" | "rediss") {
        return Err(bad_url());
    }
    let database = url.query_pairs().find(|(name, _)| name == "db").map(|(_, number)| number.into_owned());
    let info = url.into_connection_info().map_err(|_| bad_url())?;
    let Some(database) = database else { return Ok(info) };
    let database: u32 = database.parse().map_err(|_| bad_url())?;
    let login = info.redis_settings().clone().set_db(i64::from(database));
    Ok(info.set_redis_settings(login))
}

/// `unix://[user:password@]/path[?db=number]`: a user before an empty host is more than a URL parser accepts.
fn unix_connection_info(rest: &str) -> Result<ConnectionInfo, StoreError> {
    let slash = rest.find('/').ok_or_else(bad_url)?;
    let (authority, path) = rest.split_at_checked(slash).ok_or_else(bad_url)?;
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut login = RedisConnectionInfo::default();
    if let Some(credentials) = authority.strip_suffix('@') {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        if !user.is_empty() {
            login = login.set_username(decoded(user)?);
        }
        if !password.is_empty() {
            login = login.set_password(decoded(password)?);
        }
    } else if !authority.is_empty() {
        return Err(bad_url());
    }
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "db" => login = login.set_db(i64::from(value.parse::<u32>().map_err(|_| bad_url())?)),
            "user" => login = login.set_username(value),
            "pass" => login = login.set_password(value),
            _ => {}
        }
    }
    let addr = ConnectionAddr::Unix(decoded(path)?.into_owned().into());
    let info = addr.into_connection_info().map_err(|_| bad_url())?;
    Ok(info.set_redis_settings(login))
}

fn decoded(text: &str) -> Result<Cow<'_, str>, StoreError> {
    percent_decode_str(text).decode_utf8().map_err(|_| bad_url())
}

fn bad_url() -> StoreError {
    StoreError::Misconfigured {
        option: "redis_connection_url",
        reason:
            "cannot be read; a Redis URL is redis://[user:password@]host[:port][/database], the same with \
                 rediss:// for TLS, or unix:///path[?db=number]"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> Option<String> {
        let info = client(&RedisConfig::new(url.into())).ok()?.get_connection_info().clone();
        let login = info.redis_settings();
        Some(format!("{} {:?} {:?} {}", info.addr(), login.username(), login.password(), login.db()))
    }

    #[test]
    fn every_form_of_url_is_understood() {
        let table = [
            ("redis://h", "h:6379 None None 0"),
            ("redis://h:7/3", "h:7 None None 3"),
            ("redis://h?db=4", "h:6379 None None 4"),
            ("redis://:p%40w@h", "h:6379 None Some(\"p@w\") 0"),
            ("redis://u:p@h:7/", "h:7 Some(\"u\") Some(\"p\") 0"),
            ("redis://[::1]:7", "::1:7 None None 0"),
            ("rediss://u:p@h/2", "h:6379 Some(\"u\") Some(\"p\") 2"),
            ("unix:///run/r.sock", "/run/r.sock None None 0"),
            ("unix:///run/r.sock?db=5", "/run/r.sock None None 5"),
            ("unix://u:p@/run/r.sock?db=5", "/run/r.sock Some(\"u\") Some(\"p\") 5"),
            ("unix://:p%2F@/run/r.sock", "/run/r.sock None Some(\"p/\") 0"),
        ];
        for (url, expected) in table {
            assert_eq!(shown(url).as_deref(), Some(expected), "{url}");
        }
    }

    #[test]
    fn what_is_no_redis_url_is_refused_without_being_repeated() {
        for url in [
            "",
            "h:6379",
            "http://secret",
            "redis://",
            "redis://h/secret",
            "unix://secret",
            "unix://secret/x",
        ] {
            let error = client(&RedisConfig::new(url.into())).unwrap_err();
            assert!(
                matches!(error, StoreError::Misconfigured { option: "redis_connection_url", .. }),
                "{url}"
            );
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_read_are_refused() {
        let mut config = RedisConfig::new("rediss://h".into());
        for pem in ["", "x", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            config.tls.ca_pem = Some(pem.into());
            let error = client(&config).unwrap_err();
            assert!(matches!(error, StoreError::Misconfigured { option: "redis_ca_path", .. }), "{error}");
        }
    }

    #[test]
    fn user_and_password_options_override_the_url() {
        let mut config = RedisConfig::new("redis://u:p@h".into());
        config.username = Some("other".to_owned());
        config.password = Some("word".into());
        let client = client(&config).unwrap();
        let login = client.get_connection_info().redis_settings();
        assert_eq!((login.username(), login.password()), (Some("other"), Some("word")));
    }
}
