//! Secrets where others can read them, and files of passwords.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use doorward_core::SecretString;
use doorward_options::{Kind, OPTIONS, Scope, Source};

use super::{Form, Problems, Written};

pub(super) fn note(written: &Written<'_>, problems: &mut Problems<'_>) {
    let is_option = |scope: Scope| written.form == Form::Flat || scope == Scope::Core;
    let is_secret = |kind: Kind| matches!(kind, Kind::Secret | Kind::SecretList);
    for def in OPTIONS.iter().filter(|def| is_secret(def.kind) && is_option(def.scope)) {
        match problems.place_of(def.flag) {
            Source::Flag(_) => problems.warn(
                def.flag,
                "everybody who may list the processes of this machine sees the secret",
                "write it to a file that nobody else may read, or set the variable",
            ),
            Source::File { path, line, .. } if is_open(&path) && !is_reference(&path, line, problems) => {
                problems.warn(def.flag, message(&path), mend(&path));
            }
            Source::File { .. } | Source::Environment(_) | Source::Default => {}
        }
    }
    inline(written, problems);
    weak_passwords(&written.options.htpasswd_file, problems);
}

/// Secrets of the structured file.
fn inline(Written { structured, .. }: &Written<'_>, problems: &mut Problems<'_>) {
    let mut secrets: Vec<(String, &SecretString)> = Vec::new();
    for (index, provider) in structured.providers.iter().enumerate() {
        secrets.push((format!("providers[{index}].clientSecret"), &provider.client_secret));
        secrets.push((format!("providers[{index}].githubConfig.token"), &provider.github.token));
        secrets.push((format!("providers[{index}].loginGovConfig.jwtKey"), &provider.login_gov.jwt_key));
    }
    let lists = [
        ("injectRequestHeaders", &structured.inject_request_headers),
        ("injectResponseHeaders", &structured.inject_response_headers),
    ];
    for (list, headers) in lists {
        for (index, header) in headers.iter().enumerate() {
            for (place, value) in header.values.iter().enumerate() {
                let place = format!("{list}[{index}].values[{place}]");
                if let Some(source) = &value.secret_source {
                    secrets.push((format!("{place}.secretSource.value"), &source.value));
                }
                let claim = value.claim_source.as_ref();
                if let Some(source) = claim.and_then(|claim| claim.basic_auth_password.as_ref()) {
                    secrets.push((format!("{place}.claimSource.basicAuthPassword.value"), &source.value));
                }
            }
        }
    }
    for (place, secret) in secrets.into_iter().filter(|(_, secret)| !secret.expose().is_empty()) {
        let Source::File { path, .. } = problems.place_of(&place) else { continue };
        // A reference to a variable stands there in place of the secret.
        let is_there =
            is_open(&path) && problems.read_text(&path).is_ok_and(|text| text.contains(secret.expose()));
        if is_there {
            problems.warn(&place, message(&path), mend(&path));
        }
    }
}

/// Whether the line refers to a variable, as those of YAML files may.
fn is_reference(path: &Path, line: usize, problems: &Problems<'_>) -> bool {
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let text = problems.read_text(path).unwrap_or_default();
    is_yaml && text.lines().nth(line.saturating_sub(1)).is_some_and(|line| line.contains('$'))
}

fn message(path: &Path) -> String {
    format!("a secret stands here, and everybody on this machine may read {:?}", path.display().to_string())
}

fn mend(path: &Path) -> String {
    format!("name a file that holds it alone, or chmod o-rwx {}", path.display())
}

/// Whether everybody on this machine may read it.
fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

fn weak_passwords(path: &str, problems: &mut Problems<'_>) {
    if path.is_empty() {
        return;
    }
    // That it cannot be read is told elsewhere.
    let text = problems.read_text(path).unwrap_or_default();
    let is_weak = |line: &str| line.split_once(':').is_some_and(|(_, hash)| hash.starts_with("{SHA}"));
    let weak: Vec<String> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| is_weak(line.trim()))
        .map(|(number, _): (usize, _)| number.to_string())
        .collect();
    if !weak.is_empty() {
        let message = format!(
            "whoever gets {path:?} finds the passwords of these lines out quickly ({{SHA}}): {}",
            weak.join(", ")
        );
        problems.warn("htpasswd-file", message, "make them anew with htpasswd -B");
    }
}
