//! What kind of value an attribute takes, by its name (HTML standard, index of attributes).
//! Unknown names that look like a URL or an event handler are treated as one.

use super::context::{Element, Script, State, Style};

/// The kinds of attributes whose values need more than HTML escaping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Attribute {
    #[default]
    Ordinary,
    Handler,
    /// The `type` of a `<script>`: it decides whether the content is a script.
    ScriptType,
    Style,
    Url,
    SourceSet,
    MetaContent,
}

impl Attribute {
    /// The state at the start of its value.
    pub(crate) fn value_state(self) -> State {
        match self {
            Self::Ordinary | Self::ScriptType => State::Value,
            Self::Handler => State::Script(Script::Code),
            Self::Style => State::Style(Style::Code),
            Self::Url => State::Url,
            Self::SourceSet => State::SourceSet,
            Self::MetaContent => State::MetaContent,
        }
    }
}

/// The kind of an attribute of an element.
pub(crate) fn classify(element: Element, name: &str) -> Attribute {
    let name = name.to_ascii_lowercase();
    match (element, name.as_str()) {
        (Element::Script, "type") => Attribute::ScriptType,
        (Element::Meta, "content") => Attribute::MetaContent,
        _ => match kind(&name) {
            Kind::Url => Attribute::Url,
            Kind::Style => Attribute::Style,
            Kind::Handler => Attribute::Handler,
            Kind::SourceSet => Attribute::SourceSet,
            Kind::Plain | Kind::Dangerous => Attribute::Ordinary,
        },
    }
}

/// Whether a name may come from a value: lower-case letters and digits, and nothing a browser would act upon.
pub(crate) fn is_harmless_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && kind(name) == Kind::Plain
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Url,
    Style,
    Handler,
    SourceSet,
    /// Changes how content is read or sent: never from a value.
    Dangerous,
}

fn kind(name: &str) -> Kind {
    let short = match (name.strip_prefix("data-"), name.split_once(':')) {
        (Some(custom), _) => custom,
        (None, Some(("xmlns", _))) => return Kind::Url,
        (None, Some((_, short))) => short,
        (None, None) => name,
    };
    match short {
        "action" | "archive" | "background" | "cite" | "classid" | "codebase" | "data" | "formaction"
        | "href" | "icon" | "longdesc" | "manifest" | "poster" | "profile" | "src" | "usemap" | "xmlns" => {
            Kind::Url
        }
        "style" => Kind::Style,
        "srcset" => Kind::SourceSet,
        "srclang" => Kind::Plain,
        "accept-charset" | "async" | "challenge" | "charset" | "content" | "crossorigin" | "defer"
        | "enctype" | "form" | "formenctype" | "formmethod" | "formnovalidate" | "http-equiv" | "keytype"
        | "language" | "method" | "novalidate" | "pattern" | "rel" | "sandbox" | "srcdoc" | "type"
        | "value" => Kind::Dangerous,
        _ if short.starts_with("on") => Kind::Handler,
        _ if ["src", "uri", "url"].iter().any(|hint| short.contains(hint)) => Kind::Url,
        _ => Kind::Plain,
    }
}
