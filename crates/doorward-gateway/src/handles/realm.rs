//! From handles in requests back to what they stand for. Whatever is not known stays as it is: nobody can do anything with
//! it.

use std::sync::Arc;

use bytes::Bytes;
use doorward_accounts::Accounts;
use doorward_core::{SecretString, Timestamp};
use http::{
    HeaderMap, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE},
};
use serde_json::Value;

use super::SwapFault;

/// Nobody has a reason to send more handles at once.
const MOST_HANDLES: usize = 16;

/// Where handles mean something.
#[derive(Clone, Debug)]
pub struct HandleRealm {
    accounts: Arc<Accounts>,
    name: String,
}

/// What bodies are looked into.
enum Form {
    UrlEncoded,
    Json,
}

impl HandleRealm {
    pub const fn new(accounts: Arc<Accounts>, name: String) -> Self {
        Self { accounts, name }
    }

    pub(super) const fn accounts(&self) -> &Arc<Accounts> {
        &self.accounts
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Replaces a bearer token and cookies that are handles, before anybody judges them. Gives the originals, which must
    /// not come back in an answer.
    pub async fn swap_headers(
        &self,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<Vec<SecretString>, SwapFault> {
        let mut found = Vec::new();
        if let Some(handle) = bearer(headers)
            && let Some(original) = self.find(&handle, now).await?
            && let Some(value) = sensitive(&format!("Bearer {}", original.expose()))
        {
            headers.insert(AUTHORIZATION, value);
            found.push(original);
        }
        if headers.get_all(COOKIE).iter().any(|line| line.to_str().is_ok_and(|line| line.contains("=gw"))) {
            found.extend(self.swap_cookies(headers, now).await?);
        }
        Ok(found)
    }

    /// Whether a body of this type can bring handles. It then has to be read, up to [`super::MOST_BODY`], before
    /// [`Self::swap_body`].
    pub fn reads(&self, headers: &HeaderMap) -> bool {
        form(headers).is_some()
    }

    /// Replaces handles in a form (`refresh_token=` above all) or a JSON document. Gives the body, which is the same if
    /// there were none, and the originals.
    pub async fn swap_body(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        now: Timestamp,
    ) -> Result<(Bytes, Vec<SecretString>), SwapFault> {
        match form(headers) {
            Some(Form::UrlEncoded) => self.swap_form(body, now).await,
            Some(Form::Json) => self.swap_json(body, now).await,
            None => Ok((body, Vec::new())),
        }
    }

    async fn swap_form(&self, body: Bytes, now: Timestamp) -> Result<(Bytes, Vec<SecretString>), SwapFault> {
        let mut pairs: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
        let values = pairs.iter_mut().map(|(_, value)| value).filter(|value| Accounts::is_handle(value));
        let mut found = Vec::new();
        for value in values.take(MOST_HANDLES) {
            if let Some(original) = self.find(value, now).await? {
                value.clone_from(original.expose());
                found.push(original);
            }
        }
        if found.is_empty() {
            return Ok((body, found));
        }
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Ok((text.into(), found))
    }

    async fn swap_json(&self, body: Bytes, now: Timestamp) -> Result<(Bytes, Vec<SecretString>), SwapFault> {
        let Ok(mut document) = serde_json::from_slice::<Value>(&body) else { return Ok((body, Vec::new())) };
        let mut texts = Vec::new();
        handles_in(&mut document, &mut texts);
        let mut found = Vec::new();
        for text in texts.into_iter().take(MOST_HANDLES) {
            if let Some(original) = self.find(text, now).await? {
                text.clone_from(original.expose());
                found.push(original);
            }
        }
        let body = if found.is_empty() { body } else { document.to_string().into() };
        Ok((body, found))
    }

    async fn swap_cookies(
        &self,
        headers: &mut HeaderMap,
        now: Timestamp,
    ) -> Result<Vec<SecretString>, SwapFault> {
        let mut found = Vec::new();
        let mut lines = Vec::new();
        for line in headers.get_all(COOKIE) {
            let Ok(text) = line.to_str() else {
                lines.push(line.clone());
                continue;
            };
            let mut pairs = Vec::new();
            for pair in text.split(';').map(str::trim) {
                let original = match pair.split_once('=') {
                    Some((name, value)) if found.len() < MOST_HANDLES && Accounts::is_handle(value) => {
                        self.find(value, now).await?.map(|original| (name, original))
                    }
                    _ => None,
                };
                if let Some((name, original)) = original {
                    pairs.push(format!("{name}={}", original.expose()));
                    found.push(original);
                } else {
                    pairs.push(pair.to_owned());
                }
            }
            lines.push(sensitive(&pairs.join("; ")).unwrap_or_else(|| line.clone()));
        }
        headers.remove(COOKIE);
        for line in lines {
            headers.append(COOKIE, line);
        }
        Ok(found)
    }

    async fn find(&self, handle: &str, now: Timestamp) -> Result<Option<SecretString>, SwapFault> {
        Ok(self.accounts.behind_handle(&self.name, handle, now).await?)
    }
}

/// The handle that stands as the one bearer token, if there is one.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (line, None) = (lines.next()?, lines.next()) else { return None };
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && Accounts::is_handle(token)).then(|| token.to_owned())
}

fn form(headers: &HeaderMap) -> Option<Form> {
    let kind = super::answer::media_type(headers.get(CONTENT_TYPE)?)?;
    if kind == "application/x-www-form-urlencoded" {
        return Some(Form::UrlEncoded);
    }
    super::answer::is_json(&kind).then_some(Form::Json)
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The texts in a document that can be handles. Documents are not nested deeply: their reader sees to that.
fn handles_in<'a>(value: &'a mut Value, found: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) if Accounts::is_handle(text) => found.push(text),
        Value::Array(items) => items.iter_mut().for_each(|item| handles_in(item, found)),
        Value::Object(members) => members.values_mut().for_each(|member| handles_in(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
