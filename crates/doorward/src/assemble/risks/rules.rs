//! Rules that open paths without a login.

use doorward_options::Options;

use super::Problems;

pub(super) fn note(options: &Options, problems: &mut Problems<'_>) {
    for entry in &options.skip_auth_routes {
        let (opened, expression) = match entry.split_once('=') {
            // A regular expression may hold such a sign too; the method before it has letters only.
            Some((method, expression)) if method.trim_end_matches('!').chars().all(char::is_alphabetic) => {
                let opened = if method.ends_with('!') { Opened::AllBut } else { Opened::What };
                (opened, expression)
            }
            _ => (Opened::What, entry.as_str()),
        };
        warn("skip-auth-route", entry, (opened, expression), problems);
    }
    for entry in &options.skip_auth_regex {
        warn("skip-auth-regex", entry, (Opened::What, entry), problems);
    }
}

/// What of all paths a rule opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opened {
    What,
    AllBut,
}

fn warn(option: &str, entry: &str, (opened, expression): (Opened, &str), problems: &mut Problems<'_>) {
    let fault = match opened {
        Opened::AllBut => Some((
            "everybody may see every path but these without a login, also those that are yet to come",
            "write which paths are open instead",
        )),
        Opened::What => branches(expression).into_iter().find_map(fault),
    };
    if let Some((message, mend)) = fault {
        problems.warn(option, format!("{entry:?}: {message}"), mend);
    }
}

/// What is risky about an expression that opens paths, and how to mend it.
fn fault(expression: &str) -> Option<(&'static str, &'static str)> {
    const EVERYTHING: [&str; 8] = ["", "/", ".*", ".+", "/.*", "/.+", "(.*)", "/(.*)"];
    let anchored = expression.strip_prefix('^').or_else(|| expression.strip_prefix("\\A"));
    let body = anchored.unwrap_or(expression);
    if EVERYTHING.contains(&body.trim_end_matches('$')) && body != "/$" && body != "$" {
        return Some((
            "everybody may see every path without a login",
            "write which paths are open, such as ^/public/",
        ));
    }
    if anchored.is_none() {
        return Some((
            "everybody may see every path that has this anywhere within it without a login",
            "begin it with ^",
        ));
    }
    let ends = body.chars().last().is_some_and(|last| !last.is_alphanumeric());
    (!ends).then_some((
        "everybody may see every path that begins so without a login, also where the name goes on",
        "end it with $ for this path alone, or with / for what is below it",
    ))
}

/// The parts between bars that stand outside parentheses and brackets: each is an expression of its own.
fn branches(expression: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut rest, mut depth, mut is_escaped) = (expression, 0_usize, false);
    for (place, letter) in expression.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => {
                let start = expression.len() - rest.len();
                if let Some((branch, after)) = rest.split_at_checked(place - start) {
                    found.push(branch);
                    rest = after.strip_prefix('|').unwrap_or(after);
                }
            }
            _ => {}
        }
    }
    found.push(rest);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_open_more_than_they_seem_to_are_known() {
        for (expression, part) in [
            ("^/health$", None),
            ("^/public/", None),
            ("^/$", None),
            ("^/(a|b)/", None),
            ("^/a$|^/b/", None),
            ("^/a\\|b$", None),
            ("^/", Some("every path without")),
            (".*", Some("every path without")),
            ("^/.*$", Some("every path without")),
            ("", Some("every path without")),
            ("/health$", Some("anywhere")),
            ("^/a$|/b$", Some("anywhere")),
            ("^/health", Some("goes on")),
            ("^/a|^/b/", Some("goes on")),
        ] {
            let found = branches(expression).into_iter().find_map(fault);
            match (found, part) {
                (None, None) => {}
                (Some((message, _)), Some(part)) => {
                    assert!(message.contains(part), "{expression}: {message}");
                }
                (found, _) => panic!("{expression}: {found:?}"),
            }
        }
    }
}
