//! Our endpoints, one module each: those below the prefix, and all those of the built-in OAuth server, which has its own
//! paths.

pub(crate) mod auth;
pub(crate) mod callback;
pub(crate) mod health;
pub(crate) mod oauth;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod start;
pub(crate) mod static_files;
pub(crate) mod user_info;
