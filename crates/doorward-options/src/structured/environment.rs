//! References to environment variables in the text of the structured file, comments included (reference page
//! alpha-config, "Environment substitution"). What is no reference stays: `$1` of a rewrite target, a lone `$`.

/// A text with every reference replaced.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Substituted {
    pub(crate) text: String,
    /// The lines, counted from 1, on which a variable stands that is not set, with its name.
    pub(crate) unset: Vec<(usize, String)>,
}

/// Replaces references. `$$NAME` becomes `$NAME`.
pub(crate) fn substitute(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Substituted {
    let mut result = String::with_capacity(text.len());
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(name) = after.strip_prefix('$').map(leading_name).filter(|name| !name.is_empty()) {
            result.push('$');
            result.push_str(name);
            rest = after.get(1 + name.len()..).unwrap_or_default();
            continue;
        }
        if let Some((value, length)) = reference(after, env) {
            let name = leading_name(after.strip_prefix('{').unwrap_or(after));
            let line = result.rsplit('\n').next().unwrap_or_default();
            let is_comment = line.trim_start().starts_with('#');
            if value.is_empty() && !is_comment && env(name).is_none() {
                let line = result.bytes().filter(|byte| *byte == b'\n').count() + 1;
                unset.push((line, name.to_owned()));
            }
            result.push_str(&value);
            rest = after.get(length..).unwrap_or_default();
        } else {
            result.push('$');
            rest = after;
        }
    }
    result.push_str(rest);
    Substituted { text: result, unset }
}

/// The value of the reference that `text`, what follows a `$`, begins with, and how much of the text it takes.
fn reference(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Option<(String, usize)> {
    let Some(braced) = text.strip_prefix('{') else {
        let name = leading_name(text);
        return (!name.is_empty()).then(|| (env(name).unwrap_or_default(), name.len()));
    };
    let (inside, _) = braced.split_once('}')?;
    let name = leading_name(inside);
    let operation = inside.get(name.len()..).filter(|_| !name.is_empty())?;
    let value = env(name);
    let is_empty = value.as_deref().unwrap_or_default().is_empty();
    let or = |fallback: &str, unless: bool| {
        if unless { value.clone().unwrap_or_default() } else { fallback.to_owned() }
    };
    let value = if operation.is_empty() {
        value.clone().unwrap_or_default()
    } else if let Some(fallback) = operation.strip_prefix(":-").or_else(|| operation.strip_prefix(":=")) {
        or(fallback, !is_empty)
    } else if let Some(fallback) = operation.strip_prefix(['-', '=']) {
        or(fallback, value.is_some())
    } else if let Some(alternative) = operation.strip_prefix(":+") {
        if is_empty { String::new() } else { alternative.to_owned() }
    } else {
        let alternative = operation.strip_prefix('+')?;
        if value.is_some() { alternative.to_owned() } else { String::new() }
    };
    Some((value, inside.len() + 2))
}

/// The name of a variable that `text` begins with; a digit begins none.
fn leading_name(text: &str) -> &str {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return "";
    }
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let env = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        assert_eq!(substitute(text, &env).text, expected, "{text}");
    }

    #[test]
    fn references_are_replaced() {
        check("a $SET, ${SET}b", "a value, valueb");
        check("$UNSET${UNSET}$EMPTY|", "|");
        check("${UNSET:-d} ${EMPTY:-d} ${SET:-d}", "d d value");
        check("${UNSET-d} ${EMPTY-d} ${SET-d}", "d  value");
        check("${UNSET:=d} ${EMPTY=d}", "d ");
        check("${UNSET:+a} ${EMPTY:+a} ${SET:+a}", "  a");
        check("${UNSET+a} ${EMPTY+a} ${SET+a}", " a a");
    }

    #[test]
    fn variables_that_are_not_set_are_named_with_their_line() {
        let env = |name: &str| (name == "EMPTY").then(String::new);
        let unset = substitute("a: $EMPTY\nb: ${A:-x} ${B}\n# $C\n", &env).unset;
        assert_eq!(unset, [(2, "B".to_owned())]);
    }

    #[test]
    fn what_is_no_reference_stays() {
        check("$$SET $$ $ $. a$", "$SET $$ $ $. a$");
        check("/$1/$2x/${3}/$10", "/$1/$2x/${3}/$10");
        check("${SET", "${SET");
        check("${} ${?x} ${SET?no}", "${} ${?x} ${SET?no}");
        check("ü$SETü", "üvalueü");
    }
}
