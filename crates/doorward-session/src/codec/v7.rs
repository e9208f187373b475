//! The formats of oauth2-proxy v7 (wire-formats, sections 2 to 4).

pub(crate) mod cipher;
pub(crate) mod envelope;
pub(crate) mod frame;
pub(crate) mod msgpack;
pub(crate) mod session;
