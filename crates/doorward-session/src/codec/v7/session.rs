//! A session as `MessagePack` map (wire-formats, section 3); one that names its provider as a pair of name and map.

use std::collections::BTreeMap;

use doorward_core::{Identity, SecretString, Timestamp, Tokens};

use super::msgpack::{Reader, Writer};
use crate::codec::{MAX_SESSION_BYTES, Unencodable, Unsealable};
use crate::cookie::config::StoredTokens;
use crate::session::Session;

/// Keys of our own, which the reference passes over.
const LOGGED_IN_AT: &str = "dli";
const SEEN_AT: &str = "dls";

/// The map of `session`, created at `created_at`.
pub(crate) fn encode(
    session: &Session,
    created_at: Timestamp,
    keep: StoredTokens,
) -> Result<Vec<u8>, Unencodable> {
    let Session { created_at: _, expires_on, tokens, nonce, identity, logged_in_at, seen_at, provider } =
        session;
    let Identity { user, email, groups, preferred_username, additional } = identity;
    let Tokens { access, id, refresh } = tokens;
    let tokens =
        [("at", access), ("it", id), ("rt", refresh)].map(|(name, token)| (name, kept(token.as_ref(), keep)));
    let nonce = nonce.as_ref().filter(|nonce| !nonce.is_empty());
    let texts = [("e", email), ("u", user)];
    let own_times = [(LOGGED_IN_AT, logged_in_at), (SEEN_AT, seen_at)];
    let entries = 1
        + usize::from(expires_on.is_some())
        + tokens.iter().filter(|(_, token)| token.is_some()).count()
        + usize::from(nonce.is_some())
        + texts.iter().filter(|(_, text)| !text.is_empty()).count()
        + usize::from(!groups.is_empty())
        + usize::from(!preferred_username.is_empty())
        + usize::from(!additional.is_empty())
        + own_times.iter().filter(|(_, time)| time.is_some()).count();
    let mut writer = Writer::with_capacity(session.weight());
    writer.owner(provider.as_deref())?;
    writer.map(entries)?;
    writer.text("ca")?;
    writer.time(created_at)?;
    if let Some(expires_on) = expires_on {
        writer.text("eo")?;
        writer.time(*expires_on)?;
    }
    for (name, token) in tokens {
        let Some(token) = token else { continue };
        writer.text(name)?;
        writer.text(token)?;
    }
    if let Some(nonce) = nonce {
        writer.text("n")?;
        writer.bytes(nonce)?;
    }
    for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        writer.text(name)?;
        writer.text(text)?;
    }
    encode_rest(&mut writer, identity)?;
    for (name, time) in own_times {
        let Some(time) = time else { continue };
        writer.text(name)?;
        writer.time(*time)?;
    }
    let bytes = writer.into_bytes();
    if bytes.len() > MAX_SESSION_BYTES { Err(Unencodable) } else { Ok(bytes) }
}

fn kept(token: Option<&SecretString>, keep: StoredTokens) -> Option<&str> {
    match keep {
        StoredTokens::All => token.map(|token| token.expose().as_str()).filter(|text| !text.is_empty()),
        StoredTokens::None => None,
    }
}

fn encode_rest(writer: &mut Writer, identity: &Identity) -> Result<(), Unencodable> {
    let Identity { user: _, email: _, groups, preferred_username, additional } = identity;
    if !groups.is_empty() {
        writer.text("g")?;
        writer.texts(groups)?;
    }
    if !preferred_username.is_empty() {
        writer.text("pu")?;
        writer.text(preferred_username)?;
    }
    if !additional.is_empty() {
        writer.text("ac")?;
        writer.map(additional.len())?;
        for (name, value) in additional {
            writer.text(name)?;
            writer.value(value)?;
        }
    }
    Ok(())
}

/// The session in a map, or in a pair with one. Keys that are not ours are passed over.
pub(crate) fn decode(bytes: &[u8]) -> Result<Session, Unsealable> {
    if bytes.len() > MAX_SESSION_BYTES {
        return Err(Unsealable);
    }
    let mut reader = Reader::new(bytes);
    let mut session = Session { provider: reader.owner()?.map(Into::into), ..Session::default() };
    for _ in 0..reader.map()? {
        match reader.bytes()? {
            b"ca" => session.created_at = reader.time()?,
            b"eo" => session.expires_on = reader.time()?,
            b"at" => session.tokens.access = token(&mut reader)?,
            b"it" => session.tokens.id = token(&mut reader)?,
            b"rt" => session.tokens.refresh = token(&mut reader)?,
            b"n" => session.nonce = Some(reader.bytes()?).filter(|nonce| !nonce.is_empty()).map(Vec::from),
            b"e" => session.identity.email = reader.text()?.into(),
            b"u" => session.identity.user = reader.text()?.into(),
            b"g" => session.identity.groups = reader.texts()?,
            b"pu" => session.identity.preferred_username = reader.text()?.into(),
            b"ac" => session.identity.additional = claims(&mut reader)?,
            name if name == LOGGED_IN_AT.as_bytes() => session.logged_in_at = reader.time()?,
            name if name == SEEN_AT.as_bytes() => session.seen_at = reader.time()?,
            _ => reader.skip()?,
        }
    }
    reader.finish()?;
    Ok(session)
}

fn token(reader: &mut Reader<'_>) -> Result<Option<SecretString>, Unsealable> {
    let text = reader.text()?;
    Ok(if text.is_empty() { None } else { Some(text.into()) })
}

fn claims(reader: &mut Reader<'_>) -> Result<BTreeMap<String, serde_json::Value>, Unsealable> {
    match reader.value()? {
        serde_json::Value::Null => Ok(BTreeMap::new()),
        serde_json::Value::Object(map) => Ok(map.into_iter().collect()),
        _ => Err(Unsealable),
    }
}

#[cfg(test)]
mod tests;
