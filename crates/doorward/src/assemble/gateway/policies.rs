//! `gateway.policies`: every file is read and every policy compiled here, so that a broken one is found before anything
//! changes.

use std::path::Path;

use doorward_oidc::HttpConfig;
use doorward_options::structured::{Named, own::gateway::Policy};
use doorward_policy::{EngineConfig, Policies, PolicyConfig, access_review, opa, rego};

use super::parts::{self, Setting};
use crate::{assemble::problems::Problems, files::Below};

const KINDS: &[(&str, Kind)] =
    &[("rego", Kind::Rego), ("opa", Kind::Opa), ("subjectAccessReview", Kind::AccessReview)];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Rego,
    Opa,
    AccessReview,
}

/// All of them; `None` if one is wrong.
pub(super) fn policies(written: &Named<Policy>, problems: &mut Problems<'_>) -> Option<Policies> {
    let before = problems.count();
    let mut configs = Vec::new();
    for (name, policy) in written.iter() {
        let place = format!("gateway.policies.{name}");
        let named = parts::name(&place, name, problems);
        let engine = engine(&place, policy, problems);
        configs.extend(named.zip(engine).map(|(name, engine)| PolicyConfig { name, engine }));
    }
    // What is sound is loaded also beside what is not, so that everything is told together.
    let loaded = Policies::new(configs).map_err(|invalid| {
        for mistake in invalid {
            let place = format!("gateway.policies.{}", mistake.policy);
            problems.add(&place, mistake.reason, "correct the policy");
        }
    });
    loaded.ok().filter(|_| problems.count() == before)
}

fn engine(place: &str, written: &Policy, problems: &mut Problems<'_>) -> Option<EngineConfig> {
    let kind = if written.kind.is_empty() {
        problems.add(&format!("{place}.type"), "missing setting: the type", parts::mend_of("", &names()));
        None
    } else {
        parts::word(&format!("{place}.type"), &written.kind, KINDS, problems)
    };
    let kind = kind?;
    parts::refuse_foreign((place, &written.kind), &settings(written), problems);
    match kind {
        Kind::Rego => rego(place, written, problems).map(EngineConfig::Rego),
        Kind::Opa => opa(place, written, problems).map(EngineConfig::Opa),
        Kind::AccessReview => access_review(place, written, problems).map(EngineConfig::AccessReview),
    }
}

fn names() -> Vec<&'static str> {
    KINDS.iter().map(|(name, _)| *name).collect()
}

/// A key that nobody thinks of here does not compile.
fn settings(written: &Policy) -> [Setting; 11] {
    const REMOTE: &[&str] = &["opa", "subjectAccessReview"];
    let Policy {
        kind: _,
        files,
        data,
        query,
        timeout,
        url,
        token_file,
        ca_file,
        cert_file,
        key_file,
        cache_ttl,
        resource_attributes,
    } = written;
    [
        ("files", &["rego"], !files.is_empty()),
        ("data", &["rego"], !data.is_empty()),
        ("query", &["rego"], !query.is_empty()),
        ("timeout", &["rego", "opa", "subjectAccessReview"], timeout.is_some()),
        ("url", REMOTE, !url.is_empty()),
        ("tokenFile", REMOTE, !token_file.is_empty()),
        ("caFile", REMOTE, !ca_file.is_empty()),
        ("certFile", REMOTE, !cert_file.is_empty()),
        ("keyFile", REMOTE, !key_file.is_empty()),
        ("cacheTtl", &["subjectAccessReview"], cache_ttl.is_some()),
        ("resourceAttributes", &["subjectAccessReview"], resource_attributes.is_some()),
    ]
}

fn rego(place: &str, written: &Policy, problems: &mut Problems<'_>) -> Option<rego::Config> {
    let before = problems.count();
    if written.files.is_empty() {
        let mend = "name files of Rego, or folders of them";
        problems.add(&format!("{place}.files"), "missing setting: the policy itself", mend);
    }
    if written.query.is_empty() {
        let mend = "write the rule that decides, such as data.http.authz.decision";
        problems.add(&format!("{place}.query"), "missing setting: what to ask", mend);
    }
    let modules = sources((place, "files"), &written.files, &["rego"], problems);
    let data = sources((place, "data"), &written.data, &["json", "yaml", "yml"], problems);
    let timeout = written.timeout.unwrap_or(rego::TIMEOUT);
    is_sound_timeout(place, written, problems);
    (problems.count() == before).then(|| rego::Config {
        modules,
        data,
        query: written.query.clone(),
        timeout,
    })
}

/// The files that are named, and those of the folders that are named.
fn sources(
    (place, key): (&str, &str),
    paths: &[String],
    endings: &[&str],
    problems: &mut Problems<'_>,
) -> Vec<rego::Source> {
    let mut sources = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let place = format!("{place}.{key}[{index}]");
        let found = problems.files_below(Path::new(path), endings);
        let found = found.map_err(|error| format!("{path:?} cannot be read: {error}"));
        let Some(found) = problems.take(&place, found, "name files or folders that the program may read")
        else {
            continue;
        };
        if found.is_empty() {
            let message =
                format!("the folder {path:?} holds no file that ends with .{}", endings.join(" or ."));
            problems.add(&place, message, "name another, or put the files there");
        }
        for Below { path, under } in found {
            let content = problems.read_text(&path);
            let content = content.map_err(|error| format!("{} cannot be read: {error}", path.display()));
            let content = content.and_then(|text| match path.extension().and_then(std::ffi::OsStr::to_str) {
                Some("yaml" | "yml") => match doorward_options::yaml_to_json(&text) {
                    Ok(value) => Ok(value.to_string()),
                    Err(wrong) => Err(format!("{}: {wrong}", path.display())),
                },
                _ => Ok(text),
            });
            let mend = "name files of text that the program may read";
            if let Some(content) = problems.take(&place, content, mend) {
                sources.push(rego::Source { path, under, content });
            }
        }
    }
    sources
}

fn opa(place: &str, written: &Policy, problems: &mut Problems<'_>) -> Option<opa::Config> {
    let url = &written.url;
    let url =
        parts::address(&format!("{place}.url"), url, "https://opa.internal/v1/data/http/authz", problems);
    let http = http(place, written, problems);
    let token = token(place, written, problems);
    is_sound_timeout(place, written, problems);
    Some(opa::Config {
        url: url?,
        token: token?,
        http: http?,
        timeout: written.timeout.unwrap_or(opa::TIMEOUT),
    })
}

fn access_review(
    place: &str,
    written: &Policy,
    problems: &mut Problems<'_>,
) -> Option<access_review::Config> {
    let example = "https://kubernetes.default.svc/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let url = parts::address(&format!("{place}.url"), &written.url, example, problems);
    let http = http(place, written, problems);
    let token = token(place, written, problems);
    is_sound_timeout(place, written, problems);
    let cache = written.cache_ttl.unwrap_or(access_review::LONGEST_CACHE);
    if cache > access_review::LONGEST_CACHE {
        let message = "what is no longer allowed would be allowed for longer than 10s";
        problems.add(&format!("{place}.cacheTtl"), message, "write 10s or less");
    }
    let asks = match &written.resource_attributes {
        None => access_review::Asks::Path,
        Some(own) => access_review::Asks::Resource(access_review::ResourceAttributes {
            namespace: own.namespace.clone(),
            verb: own.verb.clone(),
            group: own.group.clone(),
            version: own.version.clone(),
            resource: own.resource.clone(),
            subresource: own.subresource.clone(),
            name: own.name.clone(),
        }),
    };
    Some(access_review::Config {
        url: url?,
        token: token?,
        http: http?,
        timeout: written.timeout.unwrap_or(access_review::TIMEOUT),
        asks,
        cache_allowed: cache,
        cache_denied: cache,
    })
}

#[expect(clippy::option_option, reason = "outer: did it work; inner: is there one")]
fn token(
    place: &str,
    written: &Policy,
    problems: &mut Problems<'_>,
) -> Option<Option<doorward_core::SecretString>> {
    let nothing = doorward_core::SecretString::default();
    parts::secret((place, "token", "tokenFile"), (&nothing, &written.token_file), problems)
}

fn is_sound_timeout(place: &str, written: &Policy, problems: &mut Problems<'_>) {
    if written.timeout.is_some_and(|timeout| timeout.is_zero()) {
        let message = "without any time there is no answer, and without an answer nobody comes in";
        problems.add(&format!("{place}.timeout"), message, "write a time such as 100ms");
    }
}

/// Whom to believe at the server that is asked, and what it is shown.
fn http(place: &str, written: &Policy, problems: &mut Problems<'_>) -> Option<HttpConfig> {
    let Policy { url, ca_file, cert_file, key_file, .. } = written;
    parts::http_as(place, (url, ca_file), (cert_file, key_file), problems)
}
