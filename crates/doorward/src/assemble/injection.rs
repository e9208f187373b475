//! Options of the identity headers, compiled in the order of the reference (alpha-config.md, "Legacy -> alpha").

use doorward_options::Options;
use doorward_server::inject::{ClientCopies, InjectedHeader, Injection, ValueSource};
use http::{HeaderName, header::AUTHORIZATION};

use super::problems::Problems;

pub(crate) fn config(options: &Options, problems: &mut Problems<'_>) -> Injection {
    let copies = if options.skip_auth_strip_headers {
        ClientCopies::Removed
    } else {
        ClientCopies::KeptUnlessReplaced
    };
    let request = request_headers(options);
    let response = response_headers(options, problems);
    unique("pass-basic-auth", &request, problems);
    unique("set-basic-auth", &response, problems);
    Injection::new(request, response, copies)
}

fn request_headers(options: &Options) -> Vec<InjectedHeader> {
    let mut headers = Vec::new();
    if options.pass_basic_auth && !options.basic_auth_password.expose().is_empty() {
        headers.push(basic(options));
    }
    if options.pass_basic_auth || options.pass_user_headers {
        headers.push(claim("x-forwarded-groups", "groups"));
        if options.prefer_email_to_user {
            headers.push(claim("x-forwarded-user", "email"));
        } else {
            headers.push(claim("x-forwarded-user", "user"));
            headers.push(claim("x-forwarded-email", "email"));
        }
        headers.push(claim("x-forwarded-preferred-username", "preferred_username"));
    }
    if options.pass_access_token {
        headers.push(claim("x-forwarded-access-token", "access_token"));
    }
    if options.pass_authorization_header {
        headers.push(bearer());
    }
    headers
}

fn response_headers(options: &Options, problems: &mut Problems<'_>) -> Vec<InjectedHeader> {
    let mut headers = Vec::new();
    if options.set_xauthrequest {
        headers.push(claim("x-auth-request-user", "user"));
        headers.push(claim("x-auth-request-email", "email"));
        headers.push(claim("x-auth-request-preferred-username", "preferred_username"));
        headers.push(claim("x-auth-request-groups", "groups"));
        if options.pass_access_token {
            headers.push(claim("x-auth-request-access-token", "access_token"));
        }
    }
    if options.set_basic_auth {
        if options.basic_auth_password.expose().is_empty() {
            problems.add(
                "set-basic-auth",
                "there is no password for the Basic header",
                "set --basic-auth-password",
            );
        }
        headers.push(basic(options));
    }
    if options.set_authorization_header {
        headers.push(bearer());
    }
    headers
}

fn claim(name: &'static str, claim: &str) -> InjectedHeader {
    let value = ValueSource::Claim { claim: claim.to_owned(), prefix: String::new() };
    InjectedHeader { name: HeaderName::from_static(name), values: vec![value] }
}

fn bearer() -> InjectedHeader {
    let value = ValueSource::Claim { claim: "id_token".to_owned(), prefix: "Bearer ".to_owned() };
    InjectedHeader { name: AUTHORIZATION, values: vec![value] }
}

fn basic(options: &Options) -> InjectedHeader {
    let claim = if options.prefer_email_to_user { "email" } else { "user" };
    let value =
        ValueSource::BasicAuth { claim: claim.to_owned(), password: options.basic_auth_password.clone() };
    InjectedHeader { name: AUTHORIZATION, values: vec![value] }
}

fn unique(option: &str, headers: &[InjectedHeader], problems: &mut Problems<'_>) {
    for (index, header) in headers.iter().enumerate() {
        if headers.iter().take(index).any(|earlier| earlier.name == header.name) {
            let message = format!("two options set the header {}", header.name);
            let mend = "keep one of the basic-auth and the authorization-header options";
            problems.add(option, message, mend);
        }
    }
}
