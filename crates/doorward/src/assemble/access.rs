//! Options that say who may come in: they compile into the one policy model.

use doorward_authn::htpasswd::{Config as HtpasswdConfig, EmailSource, Entries, Htpasswd};
use doorward_authz::{ApiRoutes, EmailFile, Policy, Preflight, Semicolons, WithoutAddress};
use doorward_options::{Options, structured::Provider};
use doorward_server::gate::{Access, JsonErrors, LoginsFor};

use super::{
    auth_server::SignInAt,
    differences::{Compat, LOGIN_FOR_ANY_REQUEST},
    problems::Problems,
    provider::vendor::allowed_groups,
};

/// What is known of who may come in apart from the options.
pub(crate) struct Admission<'a> {
    /// The providers that log people in; the groups and roles of each restrict its own people.
    pub(crate) providers: &'a [Provider],
    pub(crate) at: SignInAt,
    /// Where API requests need no credential.
    pub(crate) anonymous_paths: Vec<String>,
}

pub(crate) fn config(
    options: &Options,
    admission: Admission<'_>,
    problems: &mut Problems<'_>,
) -> Option<Access> {
    // Routes say for themselves who may.
    if admission.at != SignInAt::Nowhere
        && options.email_domains.is_empty()
        && options.authenticated_emails_file.is_empty()
        && options.htpasswd_file.is_empty()
    {
        let message =
            "missing setting for email validation: email-domain or authenticated-emails-file required";
        problems.add("email-domain", message, "write --email-domain=* to admit every authenticated address");
    }
    let emails = emails(&options.authenticated_emails_file, problems);
    let api_routes = ApiRoutes::parse(&options.api_routes).map_err(|error| format!("bad regex: {error}"));
    let api_routes = problems.take("api-route", api_routes, "write a regular expression of RE2 syntax");
    let policy = emails.and_then(|emails| policy(options, admission, emails, problems));
    Some(Access {
        policy: policy?,
        api_routes: api_routes?,
        json_errors: if options.force_json_errors { JsonErrors::Always } else { JsonErrors::ForApiClients },
        semicolons: if options.allow_query_semicolons { Semicolons::Separators } else { Semicolons::Literal },
        logins_for: if options.brings_back(LOGIN_FOR_ANY_REQUEST) {
            LoginsFor::AnyRequest
        } else {
            LoginsFor::Pages
        },
    })
}

fn policy(
    options: &Options,
    Admission { providers, at, anonymous_paths }: Admission<'_>,
    emails: Option<EmailFile>,
    problems: &mut Problems<'_>,
) -> Option<Policy> {
    let by_provider = providers.iter().map(|provider| (provider.id.clone(), allowed_groups(provider)));
    let compiled = Policy::compile(doorward_authz::Config {
        preflight: if options.skip_auth_preflight { Preflight::Open } else { Preflight::NeedsLogin },
        skip_auth_regex: options.skip_auth_regex.clone(),
        skip_auth_routes: options.skip_auth_routes.clone(),
        trusted_ips: options.trusted_ips.clone(),
        email_domains: options.email_domains.clone(),
        authenticated_emails: emails,
        without_address: match at {
            SignInAt::BuiltIn => WithoutAddress::Admitted,
            SignInAt::Elsewhere | SignInAt::Nowhere => WithoutAddress::Refused,
        },
        anonymous_paths,
        // Who comes by a password or another credential is judged by the first, as where it is the only one.
        allowed_groups: providers.first().map(allowed_groups).unwrap_or_default(),
        groups_by_provider: by_provider.collect(),
    });
    match compiled {
        Ok(policy) => {
            note_blind_rules(options, &policy, problems);
            Some(policy)
        }
        Err(faults) => {
            for fault in faults {
                let mend =
                    "write a regular expression of RE2 syntax, or for trusted-ip an address or network";
                problems.add(
                    fault.option,
                    format!("bad regex or network in entry {}: {}", fault.index, fault.fault),
                    mend,
                );
            }
            None
        }
    }
}

/// Rules that open everything but some paths open nothing for a forward-auth proxy that does not say which path it asks
/// about.
fn note_blind_rules(options: &Options, policy: &Policy, problems: &mut Problems<'_>) {
    if options.reverse_proxy {
        return;
    }
    for rule in policy.rules_that_need_the_original() {
        problems.notice(format!(
            "{rule} opens all paths but some. Questions at {}/auth are about a path that only X-Forwarded-Uri names, \
             which is believed with --reverse-proxy alone: without it the rule opens nothing there.",
            options.proxy_prefix
        ));
    }
}

/// `Some(None)` if no file is configured.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a list")]
fn emails(path: &str, problems: &mut Problems<'_>) -> Option<Option<EmailFile>> {
    if path.is_empty() {
        return Some(None);
    }
    let read = problems.read_text(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    let text = problems.take("authenticated-emails-file", read, "name a file with one address per line")?;
    Some(Some(EmailFile::parse(&text)))
}

/// `Some(None)` if no file is configured.
#[expect(clippy::option_option, reason = "outer: did it work; inner: is there a file")]
pub(crate) fn htpasswd(options: &Options, problems: &mut Problems<'_>) -> Option<Option<Htpasswd>> {
    let path = &options.htpasswd_file;
    if path.is_empty() {
        return Some(None);
    }
    let read = problems.read_text(path).map_err(|error| format!("the file {path:?} cannot be read: {error}"));
    let text = problems.take("htpasswd-file", read, "name an htpasswd file with bcrypt entries")?;
    parse_htpasswd(options, &text, problems).map(Some)
}

/// Users and their passwords, from the text of a file.
pub(crate) fn parse_htpasswd(options: &Options, text: &str, problems: &mut Problems<'_>) -> Option<Htpasswd> {
    let mend = "correct the line; htpasswd -B makes entries that work";
    let entries = problems.take("htpasswd-file", Entries::parse(text), mend)?;
    let email = if options.prefer_email_to_user { EmailSource::UserName } else { EmailSource::Nothing };
    let config = HtpasswdConfig { groups: options.htpasswd_user_groups.clone(), email };
    Some(Htpasswd::new(entries, config))
}
