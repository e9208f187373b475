//! Paths with variables as Go's mux writes them: `/users/{id}/`, `/v{major:[0-9]+}`. A variable matches one segment, or
//! what its own expression says.

use doorward_core::{InvalidPattern, PathPattern};
use thiserror::Error;

/// A path with variables.
#[derive(Debug)]
pub(crate) struct Template(PathPattern);

/// Why a path with braces cannot be used.
#[derive(Debug, Error)]
pub enum InvalidTemplate {
    #[error("its path has a brace without its counterpart")]
    Braces,
    #[error("its path has a variable without name or expression; write {{name}} or {{name:expression}}")]
    Variable,
    #[error("its path has a variable that cannot be used: {0}")]
    Pattern(#[from] InvalidPattern),
}

impl Template {
    /// Whether a path has variables at all.
    pub(crate) fn is_one(path: &str) -> bool {
        path.contains(['{', '}'])
    }

    /// With a slash at its end the path stands for everything below it.
    pub(crate) fn parse(path: &str) -> Result<Self, InvalidTemplate> {
        let mut expression = String::from("^");
        let mut rest = path;
        while let Some((literal, after)) = rest.split_once('{') {
            push_literal(&mut expression, literal)?;
            let (variable, after) = closed(after).ok_or(InvalidTemplate::Braces)?;
            let (name, pattern) = variable.split_once(':').unwrap_or((variable, "[^/]+"));
            if name.is_empty() || pattern.is_empty() {
                return Err(InvalidTemplate::Variable);
            }
            // On its own first, so that no stray bracket can reach beyond the variable.
            PathPattern::parse(pattern)?;
            expression.push_str("(?:");
            expression.push_str(pattern);
            expression.push(')');
            rest = after;
        }
        push_literal(&mut expression, rest)?;
        if !path.ends_with('/') {
            expression.push('$');
        }
        Ok(Self(PathPattern::parse(&expression)?))
    }

    pub(crate) fn is_match(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// What stands before the brace that closes an open one, and what stands after it. Braces inside come in pairs.
fn closed(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_usize;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((text.get(..index)?, text.get(index + 1..)?));
        }
    }
    None
}

/// Appends text that matches itself only.
fn push_literal(expression: &mut String, literal: &str) -> Result<(), InvalidTemplate> {
    if literal.contains('}') {
        return Err(InvalidTemplate::Braces);
    }
    for next in literal.chars() {
        if next.is_ascii_punctuation() {
            expression.push('\\');
        }
        expression.push(next);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_one_segment_unless_it_says_otherwise() {
        for (template, path, expected) in [
            ("/users/{id}", "/users/7", true),
            ("/users/{id}", "/users/", false),
            ("/users/{id}", "/users/7/", false),
            ("/users/{id}", "/x/users/7", false),
            ("/users/{id}/", "/users/7/", true),
            ("/users/{id}/", "/users/7/x/y", true),
            ("/users/{id}/", "/users/7", false),
            ("/v{major:[0-9]+}.{minor:[0-9]{1,2}}/", "/v1.22/x", true),
            ("/v{major:[0-9]+}.{minor:[0-9]{1,2}}/", "/v1x22/x", false),
            ("/v{major:[0-9]+}.{minor:[0-9]{1,2}}/", "/v1.222/x", false),
            ("/{all:.*}/end", "/a/b/end", true),
            ("/{which:a|b}/", "/b/", true),
            ("/{which:a|b}/", "/c/b/", false),
            ("/<{x}>/", "/<1>/", true),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.is_match(path), expected, "{template:?} on {path}");
        }
    }

    #[test]
    fn a_path_with_a_mistake_is_refused() {
        for (template, part) in [
            ("/{a", "brace"),
            ("/a}", "brace"),
            ("/{a}}", "brace"),
            ("/{}", "{name}"),
            ("/{:x}", "{name}"),
            ("/{x:}", "{name}"),
            ("/{x:(}", "regex"),
            ("/{x:a)|(b}", "regex"),
        ] {
            let error = Template::parse(template).unwrap_err().to_string();
            assert!(error.contains(part), "{template}: {error}");
        }
    }
}
