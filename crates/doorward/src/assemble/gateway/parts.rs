//! What authenticators, policies and credentials have in common: addresses, files, secrets, words and names.

use std::{fs, os::unix::fs::MetadataExt as _, sync::Arc};

use doorward_core::SecretString;
use doorward_oidc::{CaFile, ClientIdentity, HttpConfig, Trust, is_safe};
use doorward_options::{Options, structured::own::Own};
use url::Url;

use crate::assemble::problems::Problems;

/// An address that something secret is sent to, or believed from: over TLS, or within this machine.
pub(super) fn address(place: &str, text: &str, example: &str, problems: &mut Problems<'_>) -> Option<Url> {
    let mend = format!("write an address such as {example}");
    if text.is_empty() {
        problems.add(place, "missing setting: the address", mend);
        return None;
    }
    let url = problems.take(place, Url::parse(text).map_err(|error| format!("{text:?}: {error}")), &mend)?;
    if !is_safe(&url) {
        let message = "what goes there could be read and changed on the way";
        problems.add(place, message, "write an https address; http is for this machine only");
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() {
        problems.add(place, "the address holds a user name or password", "take it out");
        return None;
    }
    Some(url)
}

/// Whom to believe at the other end.
pub(super) fn http(place: &str, ca_file: &str, problems: &mut Problems<'_>) -> Option<HttpConfig> {
    if ca_file.is_empty() {
        return Some(HttpConfig::default());
    }
    let pem = pem(place, ca_file, problems)?;
    Some(HttpConfig {
        trust: Trust::Files(vec![CaFile { path: ca_file.into(), pem }]),
        ..HttpConfig::default()
    })
}

/// The same, showing a certificate of our own where one is written: place, certificate and key.
pub(super) fn http_as(
    place: &str,
    (url, ca_file): (&str, &str),
    (cert_file, key_file): (&str, &str),
    problems: &mut Problems<'_>,
) -> Option<HttpConfig> {
    let http = http(&format!("{place}.caFile"), ca_file, problems);
    let (cert_place, key_place) = (format!("{place}.certFile"), format!("{place}.keyFile"));
    let client_identity = match (cert_file.is_empty(), key_file.is_empty()) {
        (true, true) => None,
        (false, false) => {
            let certificates = pem(&cert_place, cert_file, problems);
            let mend = "name a PEM file that the program may read";
            let key = problems.read_secret(&key_place, key_file, mend);
            if url.starts_with("http:") {
                let message = "without TLS no certificate is shown";
                problems.add(&cert_place, message, "write an https address, or take the certificate away");
                return None;
            }
            let path = cert_file.into();
            Some(ClientIdentity { path, certificates: certificates?, key: key? })
        }
        (true, false) => {
            problems.add(&key_place, "a key without its certificate", "write certFile, too");
            return None;
        }
        (false, true) => {
            problems.add(&cert_place, "a certificate without its key", "write keyFile, too");
            return None;
        }
    };
    Some(HttpConfig { client_identity, ..http? })
}

/// The content of a file of certificates.
pub(super) fn pem(place: &str, path: &str, problems: &mut Problems<'_>) -> Option<Vec<u8>> {
    let read = problems.read(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    problems.take(place, read, "name a PEM file that the program may read")
}

/// A secret that is written, or stands in a file. `Some(None)` if there is neither.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
pub(super) fn secret(
    (place, inline_key, file_key): (&str, &str, &str),
    (inline, file): (&SecretString, &str),
    problems: &mut Problems<'_>,
) -> Option<Option<SecretString>> {
    let mend = "name a file with the secret";
    match (inline.expose().is_empty(), file.is_empty()) {
        (true, true) => Some(None),
        (false, true) => Some(Some(inline.clone())),
        (true, false) => {
            let secret = problems.read_secret_text(&format!("{place}.{file_key}"), file, mend)?;
            if secret.expose().is_empty() {
                problems.add(&format!("{place}.{file_key}"), "the file is empty", mend);
                return None;
            }
            Some(Some(secret))
        }
        (false, false) => {
            let message = format!("{file_key} names another secret");
            problems.add(&format!("{place}.{inline_key}"), message, "write one of the two");
            None
        }
    }
}

/// One of some words; nothing written is the first of them.
pub(super) fn word<T: Copy>(
    place: &str,
    written: &str,
    words: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> Option<T> {
    let known = words.iter().find(|(word, _)| *word == written);
    if let Some((_, value)) = known.or_else(|| words.first().filter(|_| written.is_empty())) {
        return Some(*value);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    problems.add(place, format!("there is no {written:?} here"), mend_of(written, &names));
    None
}

/// `write a, b or c`, or only the one that was probably meant.
pub(super) fn mend_of(written: &str, known: &[&str]) -> String {
    if let Some(meant) = meant(written, known) {
        return format!("did you mean {meant}?");
    }
    match known {
        [] => "there is none yet; define it first".to_owned(),
        [only] => format!("write {only}"),
        [first @ .., last] => format!("write {} or {last}", first.join(", ")),
    }
}

/// The name that differs least, if it does so by little.
fn meant<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let distances =
        known.iter().map(|name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), *name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    let longest_typo = (name.chars().count() / 3).clamp(1, 3);
    (distance <= longest_typo).then_some(name)
}

/// Keys that only some types heed: the key, these types, and whether it is written.
pub(super) type Setting = (&'static str, &'static [&'static str], bool);

/// A key that the type does not heed is a mistake: what it was to bring about does not happen.
pub(super) fn refuse_foreign((place, kind): (&str, &str), settings: &[Setting], problems: &mut Problems<'_>) {
    for (key, owners, is_set) in settings {
        if *is_set && !owners.contains(&kind) {
            let message = format!("only the type {} heeds this", owners.join(" or "));
            problems.add(&format!("{place}.{key}"), message, "take it away, or correct the type");
        }
    }
}

/// Names that somebody chose: not empty, and without what would be confused in logs.
pub(super) fn name(place: &str, written: &str, problems: &mut Problems<'_>) -> Option<Arc<str>> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if written.is_empty() || !written.chars().all(is_fine) {
        let message = format!("{written:?} is no name");
        problems.add(place, message, "use letters, digits, dashes, dots and underscores");
        return None;
    }
    Some(written.into())
}

/// Secrets that stand in doorward.yaml itself while everybody on the machine may read it. Those of the gateway are
/// refused. For the others, which were taken before, there is a notice.
pub(crate) fn inline_secrets(own: Option<&Own>, options: &Options, problems: &mut Problems<'_>) {
    let Some(own) = own else { return };
    let path = options.doorward_config.as_str();
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
    if path.is_empty() || mode & 0o004 == 0 {
        return;
    }
    let text = problems.read_text(path).unwrap_or_default();
    // A reference to a variable stands there in place of the secret.
    let is_there = |secret: &SecretString| !secret.expose().is_empty() && text.contains(secret.expose());
    let gateway = own.gateway.as_ref();
    let authenticators = gateway.into_iter().flat_map(|gateway| gateway.authenticators.iter());
    let authenticators = authenticators.map(|(name, written)| {
        (format!("gateway.authenticators.{name}.clientSecret"), &written.client_secret)
    });
    let credentials = gateway.into_iter().flat_map(|gateway| gateway.credentials.iter());
    let credentials = credentials
        .map(|(name, written)| (format!("gateway.credentials.{name}.clientSecret"), &written.client_secret));
    for (place, _) in authenticators.chain(credentials).filter(|(_, secret)| is_there(secret)) {
        let message = format!("a secret stands here, and everybody on this machine may read {path:?}");
        problems.add(&place, message, format!("use clientSecretFile, or chmod o-rwx {path}"));
    }
    let server = own.auth_server.as_ref();
    let clients = server.into_iter().flat_map(|server| &server.clients).map(|client| &client.secret);
    let providers = server.into_iter().flat_map(|server| &server.identity_providers);
    let mut others = clients.chain(providers.map(|provider| &provider.client_secret));
    if others.any(is_there) {
        problems.notice(format!(
            "Secrets below authServer stand in {path:?}, which everybody on this machine may read. Use secretFile and \
             clientSecretFile, or chmod o-rwx {path}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_named_where_it_is_close() {
        for (written, expected) in [
            ("cognitto", "did you mean cognito?"),
            ("Opaque", "did you mean opaque?"),
            ("wbe", "did you mean web?"),
            ("partner", "write opaque, cognito or web"),
            ("", "write opaque, cognito or web"),
        ] {
            assert_eq!(mend_of(written, &["opaque", "cognito", "web"]), expected, "{written}");
        }
        assert_eq!(mend_of("a", &[]), "there is none yet; define it first");
    }
}
