//! Sending a request to another path than the client's (`upstreams.md`, "Rewrite").
//!
//! The expression is matched in the decoded path, the one that rules judge. What is carried over from the request is
//! carried over as it was sent, escapes kept: an escaped slash or question mark can neither become a separator nor move
//! text from the path into the query. So the new target differs from the judged one only by what the operator wrote,
//! and a dot segment or a second slash at its beginning, which only pieces put together can make, is dealt with here.

use http::{
    Uri,
    uri::{InvalidUri, PathAndQuery},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thiserror::Error;

use doorward_core::{InvalidPattern, PathPattern};

use crate::config::Rewrite;

/// What a path cannot hold as it is, and `%`: text of a target is not encoded yet.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// What a query cannot hold as it is. Text of a target's query is encoded already, as far as it needs to be.
const QUERY: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

/// An expression and what takes the place of its matches.
#[derive(Debug)]
pub(crate) struct Rewriter {
    pattern: PathPattern,
    pieces: Box<[Piece]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Part of a path, or of a query if the query has begun, encoded.
    Text(Box<str>),
    /// What a group of the expression matched.
    Group(usize),
    /// The `?` that ends the path.
    QueryBegins,
}

/// Why a rewrite cannot be used.
#[derive(Debug, Error)]
pub enum InvalidRewrite {
    #[error(transparent)]
    Path(#[from] InvalidPattern),
    #[error(
        "its rewriteTarget names the group {0:?}, which its path does not have; write ${{1}} where letters or digits \
         follow the number of a group"
    )]
    UnknownGroup(String),
    #[error(
        "its rewriteTarget has a percent sign in the query that is not followed by two hexadecimal digits"
    )]
    QueryEscape,
}

/// Why a request was not rewritten, and therefore not forwarded.
#[derive(Debug, Error)]
pub enum RewriteError {
    #[error("it does not begin with a slash")]
    NoSlash,
    #[error("it has a dot segment")]
    DotSegment,
    #[error("{0}")]
    Target(#[from] InvalidUri),
}

impl Rewriter {
    pub(crate) fn new(path: &str, rewrite: &Rewrite) -> Result<Self, InvalidRewrite> {
        let pattern = PathPattern::parse(path)?;
        let pieces = pieces(&rewrite.target, &pattern)?.into();
        Ok(Self { pattern, pieces })
    }

    pub(crate) fn is_match(&self, decoded_path: &str) -> bool {
        self.pattern.is_match(decoded_path)
    }

    /// The target that takes the place of the client's; its host stays.
    pub(crate) fn apply(&self, target: &Uri) -> Result<Uri, RewriteError> {
        let (path, added) = self.replace_all(target.path());
        let mut text = checked(&path)?;
        let queries = [target.query(), added.as_deref().filter(|added| !added.is_empty())];
        for (index, query) in queries.into_iter().flatten().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(query);
        }
        let mut parts = target.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(text.into_bytes())?);
        // Scheme and authority are as they were, and there is a path: this cannot fail.
        Ok(Uri::from_parts(parts).unwrap_or_default())
    }

    /// Path and, if the target has one, query with all matches replaced.
    fn replace_all(&self, raw_path: &str) -> (String, Option<String>) {
        let path = DecodedPath::new(raw_path);
        let mut replaced = Replaced::default();
        let mut end = 0;
        for groups in self.pattern.captures(&path.text) {
            let Some(whole) = groups.get(0) else { continue };
            replaced.push(path.raw(end, whole.start()));
            end = whole.end();
            for piece in &self.pieces {
                match piece {
                    Piece::Text(text) => replaced.push(text),
                    Piece::QueryBegins => replaced.begin_query(),
                    Piece::Group(number) => {
                        let group = groups.get(*number);
                        replaced.push(group.map_or("", |group| path.raw(group.start(), group.end())));
                    }
                }
            }
        }
        replaced.push(path.raw(end, path.text.len()));
        (replaced.path, replaced.query)
    }
}

/// A path under construction, and its query once that has begun.
#[derive(Default)]
struct Replaced {
    path: String,
    query: Option<String>,
}

impl Replaced {
    fn push(&mut self, text: &str) {
        self.query.as_mut().unwrap_or(&mut self.path).push_str(text);
    }

    fn begin_query(&mut self) {
        match &mut self.query {
            None => self.query = Some(String::new()),
            // A later match: its question mark is text.
            Some(query) => query.push('?'),
        }
    }
}

/// A percent-decoded path of which each piece can be found in the path as it came.
struct DecodedPath<'a> {
    raw: &'a str,
    /// What is not UTF-8 is U+FFFD here, as in [`doorward_core::Target::path`].
    text: String,
    /// For each byte of the text, where in the raw path it came from, and then the end of the raw path. Empty if nothing
    /// had to be decoded.
    origins: Vec<usize>,
}

impl<'a> DecodedPath<'a> {
    fn new(raw: &'a str) -> Self {
        if !raw.contains('%') && raw.is_ascii() {
            return Self { raw, text: raw.to_owned(), origins: Vec::new() };
        }
        let (bytes, begins) = decode(raw);
        let mut text = String::with_capacity(bytes.len());
        let mut origins = Vec::with_capacity(bytes.len() + 1);
        let mut begins = begins.into_iter();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            origins.extend(begins.by_ref().take(chunk.valid().len()));
            let invalid = chunk.invalid().len();
            if let Some(begin) = begins.by_ref().take(invalid).reduce(|first, _| first) {
                text.push(char::REPLACEMENT_CHARACTER);
                origins.extend([begin; char::REPLACEMENT_CHARACTER.len_utf8()]);
            }
        }
        origins.push(raw.len());
        Self { raw, text, origins }
    }

    /// A piece of the path as it came.
    fn raw(&self, start: usize, end: usize) -> &'a str {
        let origin =
            |index| if self.origins.is_empty() { Some(index) } else { self.origins.get(index).copied() };
        let range = origin(start).zip(origin(end)).map(|(start, end)| start..end);
        range.and_then(|range| self.raw.get(range)).unwrap_or("")
    }
}

/// Undoes percent-encoding, and says for each byte where it came from.
fn decode(raw: &str) -> (Vec<u8>, Vec<usize>) {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut begins = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        begins.push(raw.len() - rest.len());
        let (byte, after) = escaped(rest).unwrap_or((*first, after));
        decoded.push(byte);
        rest = after;
    }
    (decoded, begins)
}

/// The byte of an escape at the beginning, and what follows.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, after))
}

/// The path as it may be sent. An empty one is that of the root (RFC 9110 section 4.2.3).
fn checked(path: &str) -> Result<String, RewriteError> {
    if path.is_empty() {
        return Ok(String::from("/"));
    }
    let below = path.strip_prefix('/').ok_or(RewriteError::NoSlash)?;
    if path.split('/').any(is_dot_segment) {
        return Err(RewriteError::DotSegment);
    }
    // Some programs take what follows two slashes for a host.
    Ok(format!("/{}", below.trim_start_matches('/')))
}

fn is_dot_segment(segment: &str) -> bool {
    matches!(decode(segment).0.as_slice(), b"." | b"..")
}

/// Reads a replacement as Go's `regexp.Expand` does, except that a group which is not there is a mistake.
fn pieces(target: &str, pattern: &PathPattern) -> Result<Vec<Piece>, InvalidRewrite> {
    let mut writer = PieceWriter::default();
    let mut rest = target;
    while let Some((before, after)) = rest.split_once('$') {
        writer.text(before)?;
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            writer.text("$")?;
            rest = after;
        } else if let Some((name, after)) = group_name(rest) {
            let unknown = || InvalidRewrite::UnknownGroup(name.to_owned());
            writer.piece(Piece::Group(pattern.group(name).ok_or_else(unknown)?))?;
            rest = after;
        } else {
            writer.text("$")?;
        }
    }
    writer.text(rest)?;
    writer.finish()
}

/// `name` or `{name}` at the beginning: the longest run of letters, digits and underscores.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let (name, is_braced) = text.strip_prefix('{').map_or((text, false), |name| (name, true));
    let end = name.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(name.len());
    let (name, after) = name.split_at_checked(end)?;
    let after = if is_braced { after.strip_prefix('}')? } else { after };
    (!name.is_empty()).then_some((name, after))
}

#[derive(Default)]
struct PieceWriter {
    pieces: Vec<Piece>,
    /// Text that is not a piece yet.
    text: String,
    in_query: bool,
}

impl PieceWriter {
    fn text(&mut self, text: &str) -> Result<(), InvalidRewrite> {
        match text.split_once('?') {
            Some((path, query)) if !self.in_query => {
                self.text.push_str(path);
                self.piece(Piece::QueryBegins)?;
                self.in_query = true;
                self.text.push_str(query);
            }
            _ => self.text.push_str(text),
        }
        Ok(())
    }

    fn piece(&mut self, piece: Piece) -> Result<(), InvalidRewrite> {
        self.flush()?;
        self.pieces.push(piece);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), InvalidRewrite> {
        let text = std::mem::take(&mut self.text);
        if text.is_empty() {
            return Ok(());
        }
        if self.in_query && !has_whole_escapes(&text) {
            return Err(InvalidRewrite::QueryEscape);
        }
        let encoded = utf8_percent_encode(&text, if self.in_query { QUERY } else { PATH });
        self.pieces.push(Piece::Text(encoded.to_string().into()));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Piece>, InvalidRewrite> {
        self.flush()?;
        Ok(self.pieces)
    }
}

fn has_whole_escapes(text: &str) -> bool {
    let mut escapes = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    escapes
        .all(|after| matches!(after, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewriter(path: &str, target: &str) -> Result<Rewriter, InvalidRewrite> {
        Rewriter::new(path, &Rewrite { target: target.into() })
    }

    #[track_caller]
    fn check((path, target): (&str, &str), request: &str, expected: &str) {
        let rewritten = rewriter(path, target).unwrap().apply(&request.parse().unwrap()).unwrap();
        assert_eq!(rewritten.to_string(), expected, "{path} -> {target} on {request}");
    }

    #[test]
    fn groups_take_the_places_that_the_target_gives_them() {
        let api = ("^/api/(.*)$", "/$1");
        check(api, "/api/v1/users?a=b", "/v1/users?a=b");
        check(api, "/api/", "/");
        check(("^/api(.*)$", "$1"), "/api", "/");
        check(("^/api(.*)$", "$1"), "http://host.test/api?x", "http://host.test/?x");
        check(("^/([^/]+)/([^/]+)", "/$2/${1}x$$1$"), "/a/b/c", "/b/ax$1$/c");
        check(("^/(?P<year>[0-9]+)/", "/archive/$year-${year}/"), "/2024/x", "/archive/2024-2024/x");
        check(("/old/(x)?", "/new/$1"), "/a/old/b/old/x", "/a/new/b/new/x");
        check(("^/$", "/a b/\u{fc}%20#[x]"), "/", "/a%20b/%C3%BC%2520%23%5Bx%5D");
        check(("b", "$0$0"), "/abc", "/abbc");
        check(("^/x|$", "/${0}y"), "/z", "/z/y");
        check(("^/a", "/${x-$"), "/a", "/$%7Bx-$");
    }

    #[test]
    fn the_documentation_tells_the_truth() {
        let page = include_str!("../../../docs/upstreams.md");
        let (_, table) = page.split_once("<!-- table: rewrite -->\n").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let mut count = 0;
        for row in rows {
            let cells: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
            let [path, target, request, expected] = cells[..] else { panic!("{row}") };
            check((path, target), request, expected);
            count += 1;
        }
        assert_eq!(count, 4);
    }

    #[test]
    fn the_query_of_the_target_is_appended_to_that_of_the_request() {
        let old = ("^/old/(.*)$", "/new?page=$1");
        check(old, "/old/thing", "/new?page=thing");
        check(old, "/old/thing?z=1&a=%2F", "/new?z=1&a=%2F&page=thing");
        check(("^/old/", "/new?a=%20&b=c d#?x"), "/old/", "/new?a=%20&b=c%20d%23?x");
        check(("^/old", "/new?"), "/old?q", "/new?q");
        check(("^/old", "/new?"), "/old", "/new");
        check(("^/old", "?x=1"), "/old", "/?x=1");
        check(("/x", "/y?z"), "/x/x", "/y?z/y?z");
        check(("^/(.*)/(.*)$", "/$1?$2"), "/search/a=b&c=d", "/search?a=b&c=d");
    }

    #[test]
    fn what_the_client_escaped_stays_escaped() {
        let api = ("^/api/(.*)$", "/$1");
        check(api, "/api/group%2Fproject", "/group%2Fproject");
        check(api, "/api/a%20b%25/%C3%BC/%e4%41", "/a%20b%25/%C3%BC/%e4%41");
        check(api, "/api/%2F%2Fevil.test/x", "/%2F%2Fevil.test/x");
        check(api, "/api/..%2Fx", "/..%2Fx");
        check(api, "/api/%252e%252e/x", "/%252e%252e/x");
        // Otherwise the suffix that the operator demands would end up in a query.
        check(("^/files/(.*)[.]txt$", "/$1.txt"), "/files/secret.db%3F.txt", "/secret.db%3F.txt");
        check(("^/user/(.*)$", "/profile?id=$1"), "/user/1%26role=admin", "/profile?id=1%26role=admin");
        // The expression sees the decoded path.
        check(("^/a b/(\u{fc})(.)", "/$2$1"), "/%61%20b/%C3%BC%ff/x", "/%ff%C3%BC/x");
        check(("^/x/(\u{fffd})", "/$1"), "/x/%e2%82/y", "/%e2%82/y");
    }

    #[test]
    fn several_slashes_at_the_beginning_are_one() {
        check(("^/a(.*)$", "/$1"), "/a/evil.test/..x", "/evil.test/..x");
        check(("^/a(.*)$", "//$1"), "/a/b//c", "/b//c");
    }

    #[test]
    fn what_must_not_be_sent_is_an_error() {
        for (path, target, request, expected) in [
            ("^/u-(.*)$", "/$1", "/u-..", "it has a dot segment"),
            ("^/u-(.*)$", "/$1", "/u-../x", "it has a dot segment"),
            ("^/u-(.*)$", "/.$1", "/u-%2e/x", "it has a dot segment"),
            ("^/u-(.*)$", "/$1", "/u-%2e%2E/etc", "it has a dot segment"),
            ("^/u-(.*)$", "/x/$1", "/u-.", "it has a dot segment"),
            ("^/api/(.*)$", "$1", "/api/x", "it does not begin with a slash"),
            ("^/api/(.*)$", "http://$1", "/api/x", "it does not begin with a slash"),
        ] {
            let rewriter = rewriter(path, target).unwrap();
            let error = rewriter.apply(&request.parse().unwrap()).unwrap_err();
            assert_eq!(error.to_string(), expected, "{path} -> {target} on {request}");
        }
        let much = format!("/{}", "x".repeat(40_000));
        let error = rewriter("^(.*)$", "$1$1").unwrap().apply(&much.parse().unwrap()).unwrap_err();
        assert!(matches!(error, RewriteError::Target(_)), "{error}");
    }

    #[test]
    fn a_rewrite_with_a_mistake_is_refused() {
        for (path, target, part) in [
            ("^/(open", "/", "error compiling regex /^/(open/"),
            ("^/(a)", "/$2", "the group \"2\""),
            ("^/(a)", "/$1x", "the group \"1x\""),
            ("^/(a)", "/$01", "the group \"01\""),
            ("^/(a)", "/${name}", "the group \"name\""),
            ("^/(a)", "/x?y=%2", "percent sign"),
            ("^/(a)", "/x?y=%2$1", "percent sign"),
        ] {
            let error = rewriter(path, target).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
