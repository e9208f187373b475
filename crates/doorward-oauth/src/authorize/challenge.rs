//! How a program is told that its user has to sign in (norm A3.3). Only a program that sends `X-CSRF-Token` is offered a
//! password prompt: no page can make a browser send it, so no page can make a browser show the prompt.

use http::{
    HeaderName, StatusCode,
    header::{LINK, WARNING, WWW_AUTHENTICATE},
};
use percent_encoding::utf8_percent_encode;

use super::Request;
use crate::{
    OAuthServer, answer,
    call::{Answer, Call},
    config::{IdentityProvider, ProviderKind},
    idp::Reason,
};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const NO_CSRF: &str = "Send a non-empty X-CSRF-Token header to be offered a Basic challenge";

impl OAuthServer {
    /// The challenge for a program. `refused` is what became of the credentials that it sent, if it sent any.
    pub(super) fn challenge(&self, request: &Request<'_>, refused: Option<Reason>, call: &Call) -> Answer {
        if let Some(reason @ (Reason::MappingClaim | Reason::MappingLookup)) = refused {
            // Another password would not help.
            return self.warned(&format!("{}: {}", reason.word(), reason.sentence()));
        }
        if let Some(address) = self.challenge_address(&request.query) {
            return answer::redirect(&address);
        }
        if !self.config.providers.iter().any(IdentityProvider::challenges_with_basic) {
            let page = self.config.issuer.at("/oauth/token/request");
            let mut answer =
                self.warned(&format!("There is no way to sign in with a program; get a token at {page}"));
            answer::set(&mut answer, LINK, &format!("<{page}>; rel=\"related\""));
            return answer;
        }
        if call.headers.get(CSRF).is_none_or(|value| value.as_bytes().trim_ascii().is_empty()) {
            return self.warned(NO_CSRF);
        }
        let mut answer = answer::text(StatusCode::UNAUTHORIZED, "");
        answer::set(&mut answer, WWW_AUTHENTICATE, "Basic realm=\"openshift\"");
        answer
    }

    /// 401 with a text, which programs print.
    fn warned(&self, text: &str) -> Answer {
        let mut answer = answer::text(StatusCode::UNAUTHORIZED, text);
        answer::set(&mut answer, WARNING, &format!("199 {} \"{text}\"", self.config.agent));
        answer
    }

    fn challenge_address(&self, query: &str) -> Option<String> {
        let provider = self.config.providers.iter().find(|provider| provider.challenges_with_redirect())?;
        match &provider.kind {
            ProviderKind::RequestHeader(front) => {
                let here = self.config.issuer.at("/oauth/authorize");
                front
                    .challenge_url
                    .as_deref()
                    .map(|template| filled(template, &format!("{here}?{query}"), query))
            }
            _ => None,
        }
    }
}

/// A configured address with `${url}` replaced by `url`, escaped, and `${query}` by `query`, which is so already.
pub(crate) fn filled(template: &str, url: &str, query: &str) -> String {
    let url = utf8_percent_encode(url, percent_encoding::NON_ALPHANUMERIC).to_string();
    // In one pass: what was put in is not looked at again.
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix("url}") {
            out.push_str(&url);
            after
        } else if let Some(after) = after.strip_prefix("query}") {
            out.push_str(query);
            after
        } else {
            out.push_str("${");
            after
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a33_url_is_escaped_and_query_is_put_in_as_it_is() {
        for (template, expected) in [
            ("https://edge/ch?${query}", "https://edge/ch?a=%24%7Burl%7D&b=c"),
            (
                "https://edge/ch?then=${url}",
                "https://edge/ch?then=https%3A%2F%2Fi%2Fo%3Fa%3D%2524%257Burl%257D%26b%3Dc",
            ),
            ("https://edge/${other}/x$", "https://edge/${other}/x$"),
        ] {
            let query = "a=%24%7Burl%7D&b=c";
            assert_eq!(filled(template, &format!("https://i/o?{query}"), query), expected);
        }
        assert_eq!(filled("${query}|${url}", "u", "${url}"), "${url}|u");
    }
}
