//! Path templates: `/orders`, `/orders/{id}`, `/static/`, `/files/{rest...}`. They are compared with decoded paths, segment
//! by segment and with case.

use std::{fmt, str::FromStr};

use doorward_core::PathParameters;

/// The paths of a route.
///
/// - `/orders` is that path alone, and `/orders/{$}` the one with a slash at its end.
/// - `/orders/{id}` has any one segment in that place, which is not empty.
/// - `/static/` is `/static` and everything below it; so is `/static/**`, and `/static/{rest...}` with a name for what is
///   below. `/` is every path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
    end: End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(String),
    Parameter(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Here,
    /// Whatever follows, with its name if it has one.
    Anywhere(Option<String>),
}

impl PathTemplate {
    /// Every path.
    pub fn everything() -> Self {
        Self { text: "/".to_owned(), segments: Vec::new(), end: End::Anywhere(None) }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) const fn end(&self) -> &End {
        &self.end
    }

    /// Whether it is the template of a decoded path.
    pub(super) fn holds(&self, path: &str) -> bool {
        self.follow(path, |_, _| ())
    }

    /// The parameters of a decoded path that it holds for.
    pub(super) fn parameters(&self, path: &str) -> PathParameters {
        let mut found = PathParameters::new();
        self.follow(path, |name, value| {
            found.insert(name.to_owned(), value.to_owned());
        });
        found
    }

    fn follow(&self, path: &str, mut note: impl FnMut(&str, &str)) -> bool {
        let mut rest = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(text) = rest else { return false };
            let (own, after) = match text.split_once('/') {
                Some((own, after)) => (own, Some(after)),
                None => (text, None),
            };
            match segment {
                Segment::Literal(literal) if literal == own => (),
                Segment::Parameter(name) if !own.is_empty() => note(name, own),
                Segment::Literal(_) | Segment::Parameter(_) => return false,
            }
            rest = after;
        }
        match &self.end {
            End::Here => rest.is_none(),
            End::Anywhere(None) => path.starts_with('/'),
            End::Anywhere(Some(name)) => {
                note(name, rest.unwrap_or_default());
                path.starts_with('/')
            }
        }
    }

    /// Whether it holds for every path that `other` holds for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let is_long_enough = match (&self.end, &other.end) {
            (End::Here, End::Here) => self.segments.len() == other.segments.len(),
            (End::Here, End::Anywhere(_)) => false,
            (End::Anywhere(_), _) => self.segments.len() <= other.segments.len(),
        };
        is_long_enough
            && self.segments.iter().zip(&other.segments).all(|(own, its)| match (own, its) {
                (Segment::Literal(own), Segment::Literal(its)) => own == its,
                (Segment::Literal(_), Segment::Parameter(_)) => false,
                (Segment::Parameter(_), Segment::Literal(its)) => !its.is_empty(),
                (Segment::Parameter(_), Segment::Parameter(_)) => true,
            })
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for PathTemplate {
    type Err = InvalidTemplate;

    fn from_str(text: &str) -> Result<Self, InvalidTemplate> {
        let refuse = |reason| InvalidTemplate { text: text.to_owned(), reason };
        let Some(rest) = text.strip_prefix('/') else {
            return Err(refuse("it has to begin with a slash"));
        };
        let mut pieces: Vec<&str> = rest.split('/').collect();
        let last = pieces.pop().unwrap_or_default();
        let mut segments = Vec::with_capacity(pieces.len() + 1);
        for piece in pieces {
            segments.push(Segment::parse(piece).map_err(refuse)?);
        }
        let end = match last {
            "" | "**" => End::Anywhere(None),
            "{$}" => {
                segments.push(Segment::Literal(String::new()));
                End::Here
            }
            _ => match last.strip_prefix('{').and_then(|name| name.strip_suffix("...}")) {
                Some(name) if is_name(name) => End::Anywhere(Some(name.to_owned())),
                _ => {
                    segments.push(Segment::parse(last).map_err(refuse)?);
                    End::Here
                }
            },
        };
        let template = Self { text: text.to_owned(), segments, end };
        if template.names_twice() { Err(refuse("a parameter is named twice")) } else { Ok(template) }
    }
}

impl PathTemplate {
    fn names_twice(&self) -> bool {
        let mut names: Vec<&str> = Vec::new();
        names.extend(self.segments.iter().filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        }));
        if let End::Anywhere(Some(name)) = &self.end {
            names.push(name);
        }
        names.sort_unstable();
        names.windows(2).any(|pair| matches!(pair, [one, other] if one == other))
    }
}

impl Segment {
    fn parse(piece: &str) -> Result<Self, &'static str> {
        if let Some(name) = piece.strip_prefix('{').and_then(|name| name.strip_suffix('}'))
            && is_name(name)
        {
            return Ok(Self::Parameter(name.to_owned()));
        }
        if piece.contains(['{', '}', '*']) {
            return Err(
                "write {name} for one whole segment, and {name...} or ** at the end for all that follows",
            );
        }
        if piece.is_empty() {
            return Err("it has an empty segment");
        }
        if matches!(piece, "." | "..") {
            return Err("it has a dot segment, which no request can have");
        }
        if piece.contains('%') {
            return Err("write it decoded; requests are compared after decoding");
        }
        if piece.contains(['?', '#', '\\', ';']) || piece.contains(char::is_control) {
            return Err(
                "a path cannot hold ? # \\ ; or control characters; the query has a condition of its own",
            );
        }
        Ok(Self::Literal(piece.to_owned()))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
}

/// A text that is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path {text:?} cannot be used: {reason}")]
pub struct InvalidTemplate {
    pub text: String,
    pub reason: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_holds_for_its_paths_only() {
        for (template, path, expected) in [
            ("/", "/", Some("")),
            ("/", "/a/b/", Some("")),
            ("/{$}", "/", Some("")),
            ("/{$}", "/a", None),
            ("/orders", "/orders", Some("")),
            ("/orders", "/orders/", None),
            ("/orders", "/orders/7", None),
            ("/orders", "/Orders", None),
            ("/orders", "/", None),
            ("/orders", "", None),
            ("/orders/{$}", "/orders/", Some("")),
            ("/orders/{$}", "/orders", None),
            ("/orders/{id}", "/orders/7", Some("id=7")),
            ("/orders/{id}", "/orders/a b", Some("id=a b")),
            ("/orders/{id}", "/orders/", None),
            ("/orders/{id}", "/orders", None),
            ("/orders/{id}", "/orders/7/", None),
            ("/orders/{id}", "/orders/7/lines", None),
            ("/{a}/x/{b}", "/1/x/2", Some("a=1 b=2")),
            ("/{a}/x/{b}", "//x/2", None),
            ("/static/", "/static", Some("")),
            ("/static/", "/static/", Some("")),
            ("/static/", "/static/a/b", Some("")),
            ("/static/", "/staticx", None),
            ("/static/**", "/static/a", Some("")),
            ("/files/{rest...}", "/files/a/b", Some("rest=a/b")),
            ("/files/{rest...}", "/files/", Some("rest=")),
            ("/files/{rest...}", "/files", Some("rest=")),
            ("/t/{tenant}/", "/t/x/y/z", Some("tenant=x")),
            ("/t/{tenant}/", "/t/", None),
            ("/ü/{x}", "/ü/ä", Some("x=ä")),
            ("/.well-known/x", "/.well-known/x", Some("")),
        ] {
            let parsed: PathTemplate = template.parse().unwrap();
            assert_eq!(parsed.holds(path), expected.is_some(), "{path} in {template}");
            if let Some(expected) = expected {
                let found = parsed.parameters(path);
                let found: Vec<String> =
                    found.iter().map(|(name, value)| format!("{name}={value}")).collect();
                assert_eq!(found.join(" "), expected, "{path} in {template}");
            }
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "orders",
            "//",
            "/a//b",
            "/a/*",
            "/a*",
            "/**/a",
            "/{rest...}/a",
            "/{$}/a",
            "/v{n}",
            "/{id}.json",
            "/{}",
            "/{1}",
            "/{a}/{a}",
            "/{a}/{a...}",
            "/a%20b",
            "/a?b",
            "/a#b",
            "/a;b",
            "/a\\b",
            "/../a",
            "/./a",
            "/a\n",
        ] {
            assert!(text.parse::<PathTemplate>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_template_covers_what_holds_for_fewer_paths() {
        for (wide, narrow, expected) in [
            ("/", "/a", true),
            ("/", "/{rest...}", true),
            ("/a", "/", false),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a/", "/a", true),
            ("/a/", "/a/b/{c}", true),
            ("/a/", "/a/{rest...}", true),
            ("/a/", "/ab", false),
            ("/{x}", "/a", true),
            ("/{x}", "/{y}", true),
            ("/{x}", "/{$}", false),
            ("/a", "/{x}", false),
            ("/{x}/", "/a/b", true),
            ("/{x}/b", "/a/{y}", false),
            ("/a/b/", "/a/", false),
        ] {
            let (wide_template, narrow_template): (PathTemplate, PathTemplate) =
                (wide.parse().unwrap(), narrow.parse().unwrap());
            assert_eq!(wide_template.covers(&narrow_template), expected, "{wide} over {narrow}");
        }
    }
}
