//! Lists that come in pages. A list is whole or an error: who is in too few groups is kept out, and who is in too few
//! that are forbidden would be let in.

use http::{HeaderMap, header};
use serde_json::Value;
use url::Url;

use super::{Api, ApiFault, VendorError, document};
use crate::http::Answer;

/// How a page names the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// A page is a list; `Link` names the next one (RFC 8288), or the whole length is told (`X-Total-Count`, Gitea).
    Header,
    /// A page is an object with `values`, and `next` if there are more.
    Member,
}

const MOST_PAGES: usize = 100;
const MOST_ITEMS: usize = 10_000;

impl Api<'_> {
    /// What `read` makes of every item of the list that begins at `first`; `what` names it in errors.
    pub(super) async fn list<T: Send>(
        &self,
        what: &'static str,
        first: &Url,
        paging: Paging,
        read: impl Fn(&Value) -> Result<T, &'static str> + Send + Sync,
    ) -> Result<Vec<T>, VendorError> {
        let fail = |fault| VendorError::Api { what, fault };
        let mut all = Vec::new();
        let mut url = first.clone();
        for number in 1..=MOST_PAGES {
            let page = self.ask(&url).await.and_then(|answer| page(&answer, paging)).map_err(fail)?;
            if all.len() + page.items.len() > MOST_ITEMS {
                return Err(fail(ApiFault::TooLong));
            }
            for item in &page.items {
                all.push(read(item).map_err(|why| VendorError::malformed(what, why))?);
            }
            url = match page.next {
                Next::None => return Ok(all),
                Next::Total(total) if page.items.is_empty() || total <= all.len() => return Ok(all),
                Next::Total(_) => numbered(first, number + 1),
                Next::Url(written) => first
                    .join(&written)
                    .map_err(|_| VendorError::malformed(what, "the next page has no address"))?,
            };
            if url.origin() != first.origin() {
                return Err(fail(ApiFault::ForeignPage));
            }
        }
        Err(fail(ApiFault::TooLong))
    }
}

struct Page {
    items: Vec<Value>,
    next: Next,
}

enum Next {
    None,
    Url(String),
    /// So many items there are in all.
    Total(usize),
}

fn page(answer: &Answer, paging: Paging) -> Result<Page, ApiFault> {
    let no_list = || ApiFault::Malformed("it is not a list".to_owned());
    match (paging, document(answer)?) {
        (Paging::Header, Value::Array(items)) => Ok(Page { items, next: next_of_headers(&answer.headers) }),
        (Paging::Member, Value::Object(mut page)) => {
            let Some(Value::Array(items)) = page.remove("values") else { return Err(no_list()) };
            let next = match page.remove("next") {
                None | Some(Value::Null) => Next::None,
                Some(Value::String(url)) => Next::Url(url),
                Some(_) => return Err(ApiFault::Malformed("the next page has no address".to_owned())),
            };
            Ok(Page { items, next })
        }
        _ => Err(no_list()),
    }
}

fn next_of_headers(headers: &HeaderMap) -> Next {
    let mut lines = headers.get_all(header::LINK).iter().filter_map(|line| line.to_str().ok());
    if let Some(url) = lines.find_map(next_of_link) {
        return Next::Url(url.to_owned());
    }
    let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.trim().parse().ok());
    total.map_or(Next::None, Next::Total)
}

/// The target with the relation `next` in a `Link` line (RFC 8288 section 3).
fn next_of_link(line: &str) -> Option<&str> {
    let mut rest = line;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let parameters = end_of_link(after);
        if is_next(parameters) {
            return Some(target);
        }
        rest = after.strip_prefix(parameters).unwrap_or_default();
    }
    None
}

/// The parameters of a link: up to the comma that begins another one, which is none within quotes.
fn end_of_link(text: &str) -> &str {
    let mut is_quoted = false;
    let end = text.find(|letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    });
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|word| word.eq_ignore_ascii_case("next"))
    })
}

/// The page with this number, counted from 1.
fn numbered(first: &Url, number: usize) -> Url {
    let others: Vec<(String, String)> =
        first.query_pairs().filter(|(name, _)| name != "page").map(|(n, v)| (n.into(), v.into())).collect();
    let mut url = first.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("page", &number.to_string());
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_other_links() {
        for (line, next) in [
            (
                r#"<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last""#,
                Some("https://a/?page=2"),
            ),
            (r#"<https://a/?q=1,2>; rel="prev", </x?q=3,4>; rel=next"#, Some("/x?q=3,4")),
            (r#"<https://a/1>; title="b, <https://evil/>; rel=next"; rel="last next""#, Some("https://a/1")),
            (r#"<https://a/1>; title="rel=next, <https://evil/>"; rel=last"#, None),
            ("<https://a/1>; REL=Next", Some("https://a/1")),
            (r#"<https://a/1>; nextrel="next""#, None),
            ("<https://a/1", None),
            ("", None),
        ] {
            assert_eq!(next_of_link(line), next, "{line}");
        }
    }

    #[test]
    fn a_numbered_page_keeps_the_other_parameters() {
        let first = Url::parse("https://a/user/teams?per_page=100&page=1").unwrap();
        assert_eq!(numbered(&first, 2).as_str(), "https://a/user/teams?per_page=100&page=2");
    }
}
