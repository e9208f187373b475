//! What our pages say, in the reader's language. A sentence is a [`Message`] of the catalogue, which holds every language
//! or does not compile; [`Words`] are a message with the names that stand in it, or text that is not ours; an [`OwnPage`]
//! is a template of ours that asks for messages by name. Templates of operators never see any of this.
//!
//! Whatever comes from outside is escaped here and isolated (`<bdi>`), so that a name written from right to left, or one
//! that tries to look like another, does not reorder the sentence around it (Unicode Standard Annex #9).

mod catalogue;
mod language;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap};

pub use self::{
    catalogue::Message,
    language::{Language, PageLanguage, UnknownLanguage},
};
use crate::{RenderError, Template, TemplateError, Value, escape_html};

/// Something to say to people, not yet in any language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// Nothing.
    #[default]
    None,
    /// A sentence of the catalogue, and what stands at its placeholders.
    Ours(Message, Vec<Filling>),
    /// For whoever runs the site, who knows logs and options: English everywhere.
    English(Cow<'static, str>),
    /// Text of somebody else, in whatever language.
    Foreign(String),
}

/// What stands at a placeholder. It may be anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filling {
    name: &'static str,
    text: String,
    tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tone {
    Plain,
    Strong,
}

impl From<Message> for Words {
    fn from(message: Message) -> Self {
        Self::Ours(message, Vec::new())
    }
}

impl Words {
    /// Technical words, which are not translated.
    pub fn english(text: impl Into<Cow<'static, str>>) -> Self {
        Self::English(text.into())
    }

    /// Puts `text`, which may be anything, at the placeholder `name` of a message.
    #[must_use]
    pub fn with(self, name: &'static str, text: impl Into<String>) -> Self {
        self.filled(Filling { name, text: text.into(), tone: Tone::Plain })
    }

    /// As [`Self::with`], for what the sentence is about.
    #[must_use]
    pub fn with_strong(self, name: &'static str, text: impl Into<String>) -> Self {
        self.filled(Filling { name, text: text.into(), tone: Tone::Strong })
    }

    fn filled(mut self, filling: Filling) -> Self {
        if let Self::Ours(_, fillings) = &mut self {
            fillings.push(filling);
        }
        self
    }

    /// Whether nothing would be shown.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::Ours(..) => false,
            Self::English(text) => text.is_empty(),
            Self::Foreign(text) => text.is_empty(),
        }
    }

    /// For places where markup cannot stand: a title, a log, a template of the operator.
    pub fn in_text(&self, language: Language) -> String {
        match self {
            Self::None => String::new(),
            Self::Ours(message, values) => filled(message.text(language), values, |piece| match piece {
                Piece::Ours(text) => Cow::Borrowed(text),
                Piece::Theirs(filling) => Cow::Borrowed(filling.text.as_str()),
            }),
            Self::English(text) => text.as_ref().to_owned(),
            Self::Foreign(text) => text.clone(),
        }
    }

    /// Markup for a page: escaped, and everything that is not ours isolated.
    pub fn in_html(&self, language: Language) -> Value {
        Value::Html(match self {
            Self::None => String::new(),
            Self::Ours(message, values) => filled(message.text(language), values, |piece| match piece {
                Piece::Ours(text) => escape_html(text),
                Piece::Theirs(filling) => filling.in_html(language),
            }),
            Self::English(text) if text.is_empty() || language == Language::English => {
                escape_html(text).into_owned()
            }
            Self::English(text) => format!("<span lang=\"en\" dir=\"ltr\">{}</span>", escape_html(text)),
            Self::Foreign(text) if text.is_empty() => String::new(),
            Self::Foreign(text) => format!("<span dir=\"auto\">{}</span>", escape_html(text)),
        })
    }
}

impl Filling {
    fn in_html(&self, language: Language) -> Cow<'_, str> {
        let escaped = escape_html(&self.text);
        // Letters that run as all the others do need no fence, and sentences stay as oauth2-proxy writes them.
        let is_fenced = !self.text.is_ascii() || language.direction() != "ltr";
        match self.tone {
            Tone::Strong if is_fenced => format!("<strong dir=\"auto\">{escaped}</strong>").into(),
            Tone::Strong => format!("<strong>{escaped}</strong>").into(),
            Tone::Plain if is_fenced => format!("<bdi>{escaped}</bdi>").into(),
            Tone::Plain => escaped,
        }
    }
}

/// A part of a sentence.
enum Piece<'a> {
    Ours(&'a str),
    Theirs(&'a Filling),
}

/// `text` with what stands at its placeholders `{name}`. What has no value is empty; a value is never looked at for
/// placeholders.
fn filled<'a>(text: &'a str, fillings: &'a [Filling], show: impl Fn(Piece<'a>) -> Cow<'a, str>) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else { break };
        whole.push_str(&show(Piece::Ours(before)));
        if let Some(filling) = fillings.iter().find(|filling| filling.name == name) {
            whole.push_str(&show(Piece::Theirs(filling)));
        }
        rest = after;
    }
    whole.push_str(&show(Piece::Ours(rest)));
    whole
}

/// A page of ours. Its template finds the messages that it names as `.Words.Name`, the language as `.Lang`, and
/// its direction as `.Dir`.
#[derive(Debug)]
pub struct OwnPage {
    template: Template,
    words: Vec<Message>,
}

impl OwnPage {
    /// Reads a template. A name that is no message, or one with placeholders, is a mistake.
    pub fn new(name: &str, source: &str) -> Result<Self, TemplateError> {
        let mut words = Vec::new();
        for after in source.split(".Words.").skip(1) {
            let wanted = after.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or("");
            let found = Message::ALL.iter().find(|message| message.name() == wanted);
            let plain = found.filter(|message| !message.text(Language::English).contains('{'));
            let Some(message) = plain else {
                let message = format!("there is no plain message {wanted}");
                return Err(TemplateError { name: name.to_owned(), line: 1, message });
            };
            if !words.contains(message) {
                words.push(*message);
            }
        }
        Ok(Self { template: Template::html(name, source)?, words })
    }

    /// The page in `language`.
    pub fn render(
        &self,
        language: Language,
        mut vars: BTreeMap<String, Value>,
    ) -> Result<String, RenderError> {
        let words = self.words.iter();
        let words = words.map(|message| (message.name().to_owned(), Value::from(message.text(language))));
        vars.insert("Words".to_owned(), words.collect());
        vars.insert("Lang".to_owned(), Value::from(language.tag()));
        vars.insert("Dir".to_owned(), Value::from(language.direction()));
        self.template.render(&Value::Map(vars))
    }
}
