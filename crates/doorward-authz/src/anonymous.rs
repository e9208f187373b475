//! Where requests may be anonymous (`apiAuth.anonymous`).

use crate::{
    legacy::RuleFault,
    policy::{Access, ClientMatch, MethodMatch, PathMatch, RouteMatch},
};

/// Reads one of `apiAuth.anonymous.paths`: a path as `/healthz`, or `/public/*` for all below one. Paths are compared decoded.
pub fn parse_anonymous_path(entry: &str) -> Result<(RouteMatch, Access), RuleFault> {
    let path = match entry.strip_suffix('*') {
        Some(start) if start.ends_with('/') => PathMatch::Below(start.to_owned()),
        Some(_) => return Err(RuleFault::Path),
        None => PathMatch::Exactly(entry.to_owned()),
    };
    let own = entry.strip_suffix('*').unwrap_or(entry);
    if !own.starts_with('/') || own.contains(['*', '?', '#', '\\']) {
        return Err(RuleFault::Path);
    }
    Ok((RouteMatch { methods: MethodMatch::Any, path, client: ClientMatch::Any }, Access::Anonymous))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_exact_or_ends_in_a_star() {
        for (path, good) in [
            ("/healthz", true),
            ("/", true),
            ("/public/*", true),
            ("/*", true),
            ("healthz", false),
            ("", false),
            ("*", false),
            ("/pub*", false),
            ("/a*/b", false),
            ("/a/*/*", false),
            ("/a?b", false),
        ] {
            assert_eq!(parse_anonymous_path(path).is_ok(), good, "{path}");
        }
    }
}
