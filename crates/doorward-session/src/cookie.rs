//! Cookies: what comes with a request, and the text of what goes back.

pub(crate) mod config;
pub(crate) mod csrf;
pub(crate) mod jar;
pub(crate) mod obstacle;
pub(crate) mod own;
pub(crate) mod request;
pub(crate) mod set_cookie;
pub(crate) mod split;
pub(crate) mod state;
