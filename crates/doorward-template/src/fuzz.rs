//! Bodies for fuzzing: each takes any bytes, must not panic, and checks what has to hold of an answer.

use std::collections::BTreeMap;

use crate::{Template, Value};

/// What somebody might be called who wants to take over a page.
const HOSTILE: &str = "<zq9 onload=\"'`*/--></style></script>";

/// A page and a log format. No value opens a tag in a page that its template does not hold.
pub fn template(bytes: &[u8]) {
    let Ok(source) = str::from_utf8(bytes) else { return };
    if let Ok(page) = Template::html("page", source)
        && let Ok(html) = page.render(&hostile(&page))
    {
        assert!(source.contains("<zq9") || !html.contains("<zq9"), "{html}");
    }
    if let Ok(format) = Template::text("line", source) {
        let _ = format.render(&hostile(&format));
        let _ = format.segments();
    }
}

/// A value for every field that the template looks at.
fn hostile(template: &Template) -> Value {
    let text = || Value::Text(HOSTILE.to_owned());
    let values = template.fields().into_iter().map(|name| {
        let value = if name.ends_with('s') { Value::List(vec![text(), text(), Value::Nil]) } else { text() };
        (name, value)
    });
    Value::Map(values.collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use doorward_testkit::corpus;

    #[test]
    fn no_value_escapes_from_its_place() {
        corpus::run("template", super::template);
    }
}
