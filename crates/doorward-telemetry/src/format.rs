//! A stream's line layout, compiled once at start-up from the operator's Go template.
//! Templates made of text and fields only, such as the defaults, become a list of segments; others are evaluated by
//! the template room. A field that does not exist is found here, not when the first line is written.

use doorward_template::{self as template, Template, TemplateError, Value};

use crate::{
    json::{self, JsonLine},
    logs::TimeZone,
};

pub const DEFAULT_STANDARD_FORMAT: &str = "[{{.Timestamp}}] [{{.File}}] {{.Message}}";
pub const DEFAULT_AUTH_FORMAT: &str =
    "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] [{{.Status}}] {{.Message}}";
pub const DEFAULT_REQUEST_FORMAT: &str = "{{.Client}} - {{.RequestID}} - {{.Username}} [{{.Timestamp}}] {{.Host}} \
     {{.RequestMethod}} {{.Upstream}} {{.RequestURI}} {{.Protocol}} {{.UserAgent}} {{.StatusCode}} \
     {{.ResponseSize}} {{.RequestDuration}}";

/// Everything that any stream's line may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Client,
    File,
    Host,
    Message,
    Outcome,
    Protocol,
    Reason,
    RequestDuration,
    RequestId,
    RequestMethod,
    RequestUri,
    ResponseSize,
    Rule,
    Status,
    StatusCode,
    Timestamp,
    Upstream,
    UserAgent,
    Username,
}

pub(crate) const STANDARD_FIELDS: &[Field] = &[Field::Timestamp, Field::File, Field::Message];
pub(crate) const AUTH_FIELDS: &[Field] = &[
    Field::Client,
    Field::Host,
    Field::Protocol,
    Field::RequestId,
    Field::RequestMethod,
    Field::Timestamp,
    Field::UserAgent,
    Field::Username,
    Field::Status,
    Field::Message,
];
/// Those of the reference, and the decision: how the request was decided, why, and by which rule.
pub(crate) const REQUEST_FIELDS: &[Field] = &[
    Field::Client,
    Field::Host,
    Field::Protocol,
    Field::RequestId,
    Field::RequestDuration,
    Field::RequestMethod,
    Field::RequestUri,
    Field::ResponseSize,
    Field::StatusCode,
    Field::Timestamp,
    Field::Upstream,
    Field::UserAgent,
    Field::Username,
    Field::Outcome,
    Field::Reason,
    Field::Rule,
];

impl Field {
    const fn name(self) -> &'static str {
        match self {
            Self::Client => "Client",
            Self::File => "File",
            Self::Host => "Host",
            Self::Message => "Message",
            Self::Outcome => "Outcome",
            Self::Protocol => "Protocol",
            Self::Reason => "Reason",
            Self::RequestDuration => "RequestDuration",
            Self::RequestId => "RequestID",
            Self::RequestMethod => "RequestMethod",
            Self::RequestUri => "RequestURI",
            Self::ResponseSize => "ResponseSize",
            Self::Rule => "Rule",
            Self::Status => "Status",
            Self::StatusCode => "StatusCode",
            Self::Timestamp => "Timestamp",
            Self::Upstream => "Upstream",
            Self::UserAgent => "UserAgent",
            Self::Username => "Username",
        }
    }
}

/// Why a template cannot be a line layout. The text is for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidFormat {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("no field is named {name}; there are {known}")]
    UnknownField { name: String, known: String },
}

/// What a stream's lines tell.
pub(crate) trait Line: JsonLine {
    /// Appends the value of one field, escaped for a line of text.
    fn push(&self, field: Field, zone: TimeZone, out: &mut Vec<u8>);
}

#[derive(Debug)]
pub(crate) enum Format {
    /// One JSON object.
    Json,
    /// Text and plain fields.
    Segments(Vec<Segment>),
    /// Everything else that the template language can say, with the fields it looks at.
    Template(Box<Template>, Vec<Field>),
}

#[derive(Debug)]
pub(crate) enum Segment {
    Literal(Box<[u8]>),
    Field(Field),
}

impl Format {
    /// Compiles a template whose fields must be among `known`.
    pub(crate) fn compile(source: &str, known: &[Field]) -> Result<Self, InvalidFormat> {
        let template = Template::text("log", source)?;
        let fields = template.fields().iter().map(|name| find(name, known)).collect::<Result<_, _>>()?;
        let Some(segments) = template.segments() else {
            return Ok(Self::Template(Box::new(template), fields));
        };
        let segments = segments.iter().map(|segment| match segment {
            template::Segment::Literal(text) => Ok(Segment::Literal(text.as_bytes().into())),
            template::Segment::Field(name) => find(name, known).map(Segment::Field),
        });
        Ok(Self::Segments(segments.collect::<Result<_, _>>()?))
    }

    /// Appends one line, without its newline.
    pub(crate) fn push_line(&self, out: &mut Vec<u8>, line: &impl Line, zone: TimeZone) {
        match self {
            Self::Json => json::push(out, line),
            Self::Segments(segments) => {
                for segment in segments {
                    match segment {
                        Segment::Literal(text) => out.extend_from_slice(text),
                        Segment::Field(field) => line.push(*field, zone, out),
                    }
                }
            }
            Self::Template(template, fields) => {
                let text = |field: Field| {
                    let mut value = Vec::new();
                    line.push(field, zone, &mut value);
                    String::from_utf8_lossy(&value).into_owned()
                };
                let values =
                    fields.iter().map(|field| (field.name().to_owned(), Value::Text(text(*field)))).collect();
                match template.render(&values) {
                    Ok(line) => out.extend_from_slice(line.as_bytes()),
                    // The line is there all the same, so that nobody takes its absence for a quiet server.
                    Err(error) => {
                        out.extend_from_slice(format!("this line's format failed: {error}").as_bytes());
                    }
                }
            }
        }
    }
}

fn find(name: &str, known: &[Field]) -> Result<Field, InvalidFormat> {
    known.iter().copied().find(|field| field.name() == name).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|field| field.name()).collect();
        InvalidFormat::UnknownField { name: name.to_owned(), known: names.join(", ") }
    })
}
