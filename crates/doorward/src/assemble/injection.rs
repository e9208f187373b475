//! Headers that tell the user to the application and to proxies in front.

use doorward_options::structured::{ClaimSource, Header, HeaderValue, Structured};
use doorward_server::inject::{ClientCopies, ClientValue, InjectedHeader, Injection, ValueSource};
use http::{HeaderName, header};

use super::{Form, problems::Problems, secret_source};

/// Headers that no configuration may set.
const FRAMING: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The headers of both directions. `client_copies` is for flat options; in the structured form each header says it.
pub(crate) fn config(
    structured: &Structured,
    form: Form,
    client_copies: ClientCopies,
    problems: &mut Problems<'_>,
) -> Injection {
    let mut request = headers(&structured.inject_request_headers, "injectRequestHeaders", form, problems);
    let mut response = headers(&structured.inject_response_headers, "injectResponseHeaders", form, problems);
    if structured.providers.len() > 1 {
        request.iter_mut().chain(&mut response).for_each(name_provider);
    }
    Injection::new(request, response, client_copies)
}

/// Where there are several providers, this claim is the id of the session's own; else one like any other.
const PROVIDER_ID: &str = "provider_id";

fn name_provider(header: &mut InjectedHeader) {
    for value in &mut header.values {
        if let ValueSource::Claim { claim, prefix } = value
            && claim == PROVIDER_ID
        {
            *value = ValueSource::Provider { prefix: std::mem::take(prefix) };
        }
    }
}

fn headers(headers: &[Header], list: &str, form: Form, problems: &mut Problems<'_>) -> Vec<InjectedHeader> {
    let mut injected: Vec<InjectedHeader> = Vec::new();
    for (index, header) in headers.iter().enumerate() {
        let place = match form {
            Form::Structured => format!("{list}[{index}]"),
            Form::Flat if list == "injectRequestHeaders" => "pass-basic-auth".to_owned(),
            Form::Flat => "set-basic-auth".to_owned(),
        };
        let Some(header) = injected_header(header, &place, form, problems) else { continue };
        if injected.iter().any(|earlier| earlier.name == header.name) {
            let mend = match form {
                Form::Structured => "put all values of a header into one entry",
                Form::Flat => "keep one of the basic-auth and the authorization-header options",
            };
            let message =
                format!("multiple headers found with name {:?}: header names must be unique", header.name);
            problems.add(&place, message, mend);
        }
        injected.push(header);
    }
    injected
}

fn injected_header(
    header: &Header,
    place: &str,
    form: Form,
    problems: &mut Problems<'_>,
) -> Option<InjectedHeader> {
    if header.name.is_empty() {
        let message = "header has empty name: names are required for all headers";
        problems.add(&format!("{place}.name"), message, "write the name of the header");
        return None;
    }
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_invalid| format!("{:?} is no header name", header.name));
    let name = problems.take(&format!("{place}.name"), name, "write letters, digits and dashes");
    if let Some(name) = name.as_ref().filter(|name| FRAMING.contains(name)) {
        let message = format!("the header {name} says where a message goes and where it ends");
        problems.add(
            &format!("{place}.name"),
            message,
            "write another header: this one is set by HTTP itself",
        );
        return None;
    }
    let mut values = Vec::new();
    for (index, value) in header.values.iter().enumerate() {
        let place = match form {
            Form::Structured => format!("{place}.values[{index}]"),
            Form::Flat => place.to_owned(),
        };
        values.extend(value_source(&header.name, value, &place, form, problems));
    }
    // In the flat form one option for all headers decides, see `ClientCopies`.
    let keeps = form == Form::Structured && header.preserve_request_value;
    let client_value = if keeps { ClientValue::Kept } else { ClientValue::Replaced };
    Some(InjectedHeader { name: name?, values, client_value })
}

fn value_source(
    header: &str,
    value: &HeaderValue,
    place: &str,
    form: Form,
    problems: &mut Problems<'_>,
) -> Option<ValueSource> {
    match (&value.secret_source, &value.claim_source) {
        (Some(secret), None) => {
            let place = format!("{place}.secretSource");
            secret_source::text(secret, &place, problems).map(ValueSource::Secret)
        }
        (None, Some(source)) => claim(header, source, place, form, problems),
        _ => {
            let message = format!(
                "invalid header {header:?}: header value has multiple entries: only one entry per value is allowed"
            );
            problems.add(place, message, "write either secretSource or claimSource");
            None
        }
    }
}

fn claim(
    header: &str,
    source: &ClaimSource,
    place: &str,
    form: Form,
    problems: &mut Problems<'_>,
) -> Option<ValueSource> {
    let ClaimSource { claim, prefix, basic_auth_password } = source;
    if claim.is_empty() {
        let message = format!("invalid header {header:?}: claim should not be empty");
        problems.add(&format!("{place}.claimSource"), message, "write the name of a claim, such as email");
        return None;
    }
    let Some(password) = basic_auth_password else {
        return Some(ValueSource::Claim { claim: claim.clone(), prefix: prefix.clone() });
    };
    let password = if form == Form::Flat && password.value.expose().is_empty() {
        problems.add(
            "set-basic-auth",
            "there is no password for the Basic header",
            "set --basic-auth-password",
        );
        return None;
    } else {
        let place = format!("{place}.claimSource.basicAuthPassword");
        secret_source::text(password, &place, problems)?
    };
    Some(ValueSource::BasicAuth { claim: claim.clone(), password })
}
