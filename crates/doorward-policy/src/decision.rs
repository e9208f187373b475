//! What a policy answered: the decision document (norm B5.3), read strictly. Whatever it does not clearly say is no
//! decision at all. Its fields are those of the Envoy plugin of Open Policy Agent, with `allow`, `context` besides.

use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value};

use crate::PolicyFault;

/// Whether the request may go on, and what is to happen besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Of an allowed request: for the application, in place of what the client sent under these names. Of a denied one:
    /// for the answer. A name may stand here several times.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the answer, also where it comes from the application.
    pub response_headers_to_add: Vec<(HeaderName, HeaderValue)>,
    /// The application does not get these.
    pub request_headers_to_remove: Vec<HeaderName>,
    /// For the application, in place of all parameters of these names. A name may stand here several times.
    pub query_parameters_to_set: Vec<(String, String)>,
    pub query_parameters_to_remove: Vec<String>,
    /// Of a denied request alone: 400 to 599.
    pub http_status: Option<StatusCode>,
    /// The answer to a denied request. Empty bodies are none.
    pub body: Option<String>,
    /// For the claim `authz` of the credential that the application gets.
    pub context: Option<Value>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    Deny,
}

/// Headers that say how a message is sent or where it goes. No policy decides about that.
const UNTOUCHABLE: [HeaderName; 10] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
/// More are a mistake. Counted over all lists of a decision.
const MOST_ITEMS: usize = 256;

impl Decision {
    /// The verdict and nothing besides.
    pub const fn plain(verdict: Verdict) -> Self {
        Self {
            verdict,
            headers: Vec::new(),
            response_headers_to_add: Vec::new(),
            request_headers_to_remove: Vec::new(),
            query_parameters_to_set: Vec::new(),
            query_parameters_to_remove: Vec::new(),
            http_status: None,
            body: None,
            context: None,
        }
    }

    /// Reads a result: `true`, `false`, or an object with `allowed` (or `allow`).
    pub fn read(result: Value) -> Result<Self, PolicyFault> {
        match result {
            Value::Bool(true) => Ok(Self::plain(Verdict::Allow)),
            Value::Bool(false) => Ok(Self::plain(Verdict::Deny)),
            Value::Object(fields) => Self::read_object(fields).map_err(PolicyFault::WrongType),
            Value::Null => Err(wrong("it is null")),
            Value::Number(_) => Err(wrong("it is a number")),
            Value::String(_) => Err(wrong("it is text")),
            Value::Array(_) => Err(wrong("it is a list or set")),
        }
    }

    fn read_object(fields: Map<String, Value>) -> Result<Self, String> {
        let mut decision = Self::plain(verdict(&fields)?);
        for (name, value) in fields {
            match name.as_str() {
                // The Envoy plugin passes `dynamic_metadata` to Envoy, and ours has no such receiver.
                "allowed" | "allow" | "dynamic_metadata" => {}
                "headers" => decision.headers = header_list(&name, value)?,
                "response_headers_to_add" => decision.response_headers_to_add = header_list(&name, value)?,
                "request_headers_to_remove" => {
                    let names = texts(&name, value)?;
                    decision.request_headers_to_remove =
                        names.iter().map(|text| header_name(&name, text)).collect::<Result<_, _>>()?;
                }
                "query_parameters_to_set" => decision.query_parameters_to_set = pairs(&name, value)?,
                "query_parameters_to_remove" => decision.query_parameters_to_remove = texts(&name, value)?,
                "http_status" => decision.http_status = status(decision.verdict, &value)?,
                "body" => {
                    let Value::String(body) = value else { return Err("\"body\" is no text".to_owned()) };
                    decision.body = Some(body).filter(|body| !body.is_empty());
                }
                "context" => decision.context = Some(value),
                _ => return Err(format!("it has a field {name:?}, which means nothing here")),
            }
        }
        if decision.items() > MOST_ITEMS {
            return Err(format!("it changes more than {MOST_ITEMS} headers and parameters"));
        }
        Ok(decision)
    }

    const fn items(&self) -> usize {
        self.headers.len()
            + self.response_headers_to_add.len()
            + self.request_headers_to_remove.len()
            + self.query_parameters_to_set.len()
            + self.query_parameters_to_remove.len()
    }
}

fn wrong(what: &str) -> PolicyFault {
    PolicyFault::WrongType(what.to_owned())
}

fn verdict(fields: &Map<String, Value>) -> Result<Verdict, String> {
    let said = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Verdict::Allow)),
        Some(Value::Bool(false)) => Ok(Some(Verdict::Deny)),
        Some(_) => Err(format!("{name:?} is neither true nor false")),
    };
    match (said("allowed")?, said("allow")?) {
        (Some(one), Some(other)) if one != other => {
            Err("\"allowed\" and \"allow\" contradict each other".to_owned())
        }
        (Some(verdict), _) | (None, Some(verdict)) => Ok(verdict),
        (None, None) => Err("it is an object without \"allowed\"".to_owned()),
    }
}

/// The Envoy plugin's policies often give a status with a yes, which means nothing.
fn status(verdict: Verdict, value: &Value) -> Result<Option<StatusCode>, String> {
    let number = value.as_u64().or_else(|| whole(value.as_f64()?));
    let code = number.and_then(|number| u16::try_from(number).ok());
    match (verdict, code) {
        (_, None) => Err("\"http_status\" is no status".to_owned()),
        (Verdict::Allow, Some(_)) => Ok(None),
        (Verdict::Deny, Some(code @ 400..=599)) => Ok(StatusCode::from_u16(code).ok()),
        (Verdict::Deny, Some(code)) => {
            Err(format!("\"http_status\" is {code}: a denied request gets 400 to 599"))
        }
    }
}

/// Rego has one kind of numbers, so that 403 may be written as 403.0.
fn whole(number: f64) -> Option<u64> {
    (400_u16..=599).find(|code| f64::from(*code).total_cmp(&number).is_eq()).map(u64::from)
}

fn header_list(field: &str, value: Value) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let typed = |(name, value): (String, String)| {
        let name = header_name(field, &name)?;
        let value = HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("{field:?} has a value for {name} that no header can have"))?;
        Ok((name, value))
    };
    pairs(field, value)?.into_iter().map(typed).collect()
}

fn header_name(field: &str, name: &str) -> Result<HeaderName, String> {
    let name =
        HeaderName::try_from(name).map_err(|_| format!("{field:?} names something that is no header"))?;
    if UNTOUCHABLE.contains(&name) {
        return Err(format!("{field:?} names {name}, which is not for policies to change"));
    }
    Ok(name)
}

/// An object, or a list of objects; their values are texts or lists of texts.
fn pairs(field: &str, value: Value) -> Result<Vec<(String, String)>, String> {
    let objects = match value {
        Value::Object(object) => vec![object],
        Value::Array(items) => {
            let object = |item| match item {
                Value::Object(object) => Ok(object),
                _ => Err(format!("{field:?} lists something that is no object")),
            };
            items.into_iter().map(object).collect::<Result<_, _>>()?
        }
        _ => return Err(format!("{field:?} is neither an object nor a list of objects")),
    };
    let mut pairs = Vec::new();
    for (name, value) in objects.into_iter().flatten() {
        match value {
            Value::String(text) => pairs.push((name, text)),
            value => pairs.extend(texts(field, value)?.into_iter().map(|text| (name.clone(), text))),
        }
    }
    Ok(pairs)
}

fn texts(field: &str, value: Value) -> Result<Vec<String>, String> {
    let Value::Array(items) = value else { return Err(format!("{field:?} is no list of texts")) };
    let text = |item| match item {
        Value::String(text) => Ok(text),
        _ => Err(format!("{field:?} lists something that is no text")),
    };
    items.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests;
