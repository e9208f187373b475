//! What policies want done with a request that they allow (norm B5.3): other parameters in the query, other headers.

use std::borrow::Cow;

use doorward_authz::gateway::Effects;
use doorward_core::Target;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

use crate::inject::{normalised, remove_if};

/// Say where a message goes and where it ends, which is for nobody to change but those who carry it.
const OF_THE_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The target without the parameters of these names, byte for byte otherwise; `None` if it has none of them.
pub(crate) fn without_parameters(target: &Target, is_unwanted: impl Fn(&str) -> bool) -> Option<Target> {
    let query = target.query()?;
    if !query.split('&').any(|pair| is_unwanted(&name_of(pair))) {
        return None;
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_unwanted(&name_of(pair))).collect();
    with_query(target, &kept.join("&"))
}

/// The target as policies want it; `None` if they have no wishes.
pub(crate) fn rewritten(target: &Target, effects: &Effects) -> Option<Target> {
    let Effects { query_parameters_to_set: set, query_parameters_to_remove: remove, .. } = effects;
    if set.is_empty() && remove.is_empty() {
        return None;
    }
    let is_unwanted =
        |name: &str| remove.iter().any(|one| one == name) || set.iter().any(|(one, _)| one == name);
    let query = target.query().unwrap_or_default();
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !is_unwanted(&name_of(pair)));
    let added = set.iter().map(|(name, value)| {
        form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish()
    });
    let pieces: Vec<String> = kept.map(ToOwned::to_owned).chain(added).collect();
    with_query(target, &pieces.join("&"))
}

/// The name of a pair as applications read it.
fn name_of(pair: &str) -> Cow<'_, str> {
    let name = pair.split('=').next().unwrap_or_default();
    if name.contains('+') {
        let spaced = name.replace('+', " ");
        return percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into();
    }
    percent_decode_str(name).decode_utf8_lossy()
}

fn with_query(target: &Target, query: &str) -> Option<Target> {
    let path = target.raw_path();
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    PathAndQuery::try_from(text).ok().map(|text| Target::new(Uri::from(text)))
}

/// Removes what policies do not want the application to get, and the client's copies of what they set, in every spelling
/// that an application might fold together.
pub(crate) fn clear(headers: &mut HeaderMap, effects: &Effects) {
    let set = effects.headers.iter().map(|(name, _)| name);
    let names: Vec<Cow<'_, str>> = effects
        .request_headers_to_remove
        .iter()
        .chain(set)
        .filter(|name| may_be_changed(name))
        .map(|name| normalised(name.as_str()))
        .collect();
    if !names.is_empty() {
        remove_if(headers, |name| names.contains(&normalised(name)));
    }
}

/// The headers for the application.
pub(crate) fn headers(effects: &Effects) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
    effects.headers.iter().filter(|(name, _)| may_be_changed(name)).cloned()
}

/// Adds to an answer what policies want there: in place of what the application says under the same name, but cookies,
/// which stand beside each other.
pub(crate) fn mark_answer<'a>(
    headers: &mut HeaderMap,
    added: impl Iterator<Item = &'a (HeaderName, HeaderValue)> + Clone,
) {
    let added = added.filter(|(name, _)| may_be_changed(name));
    for (name, _) in added.clone().filter(|(name, _)| name != header::SET_COOKIE) {
        headers.remove(name);
    }
    for (name, value) in added {
        headers.append(name.clone(), value.clone());
    }
}

fn may_be_changed(name: &HeaderName) -> bool {
    !OF_THE_CONNECTION.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::new(text.parse().unwrap())
    }

    #[test]
    fn a_parameter_that_held_a_token_goes_and_nothing_else_changes() {
        for (text, expected) in [
            ("/a", None),
            ("/a?b=1", None),
            ("/a?token=x", Some("/a")),
            ("/a?b=%20+&tok%65n=x&&c", Some("/a?b=%20+&&c")),
            ("/a%2Fb?token&tokens=1", Some("/a%2Fb?tokens=1")),
        ] {
            let found = without_parameters(&target(text), |name| name == "token");
            assert_eq!(found.as_ref().map(Target::path_and_query), expected, "{text}");
        }
    }

    #[test]
    fn b32_policies_set_and_remove_parameters() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        for (text, set, remove, expected) in [
            ("/a?x=1", &[][..], &[][..], None),
            ("/a?x=1", &[("tenant", "a b&c")], &[], Some("/a?x=1&tenant=a+b%26c")),
            ("/a?tenant=evil&x=1&t%65nant=evil2", &[("tenant", "t1")], &[], Some("/a?x=1&tenant=t1")),
            ("/a?debug=1&x=%31", &[], &["debug"], Some("/a?x=%31")),
            ("/a?debug", &[], &["debug"], Some("/a")),
            ("/a", &[("x", "1"), ("y", "2")], &[], Some("/a?x=1&y=2")),
            ("/a?a+b=1", &[], &["a b"], Some("/a")),
        ] {
            let effects = Effects {
                query_parameters_to_set: pairs(set),
                query_parameters_to_remove: remove.iter().map(ToString::to_string).collect(),
                ..Effects::default()
            };
            let found = rewritten(&target(text), &effects);
            assert_eq!(found.as_ref().map(Target::path_and_query), expected, "{text}");
        }
    }

    #[test]
    fn b32_copies_of_the_client_go_in_every_spelling_and_framing_stays() {
        let name = HeaderName::from_static;
        let value = HeaderValue::from_static;
        let effects = Effects {
            headers: vec![(name("x-tier"), value("gold")), (name("host"), value("evil"))],
            request_headers_to_remove: vec![name("x-debug"), name("content-length")],
            ..Effects::default()
        };
        let mut headers = HeaderMap::new();
        for line in ["x-tier", "x_tier", "x.tier", "x-debug", "x_debug", "x-tiers", "host", "content-length"]
        {
            headers.append(name(line), value("client"));
        }
        clear(&mut headers, &effects);
        let mut kept: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["content-length", "host", "x-tiers"]);
        assert_eq!(super::headers(&effects).collect::<Vec<_>>(), [(name("x-tier"), value("gold"))]);
    }

    #[test]
    fn an_answer_gets_what_policies_add() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-a", "app"), ("set-cookie", "app=1"), ("content-length", "3")] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let added = [("x-a", "1"), ("x-a", "2"), ("set-cookie", "p=1"), ("content-length", "9")]
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        mark_answer(&mut headers, added.iter());
        let all = |name: &str| {
            headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(all("x-a"), ["1", "2"]);
        assert_eq!(all("set-cookie"), ["app=1", "p=1"]);
        assert_eq!(all("content-length"), ["3"]);
    }
}
