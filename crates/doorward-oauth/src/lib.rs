//! The built-in OAuth 2.0 and `OpenID Connect` server, in the shape of OpenShift's.
//!
//! [`call`] says how a request comes in and an answer goes out: the whole request has been read, and who sends it is known
//! as far as the connection tells. Who the user is, this room finds out itself.

pub mod call;

pub use call::{Answer, Call};
