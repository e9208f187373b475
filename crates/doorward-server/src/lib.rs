//! The only room that sees a whole request: from an accepted connection to the last byte of the answer.
//!
//! Read [`handle`] first: it is the life of one request, in order.

pub mod authenticate;
pub mod connection;
pub mod endpoints;
pub mod explain;
pub mod form;
#[doc(hidden)]
pub mod fuzz;
pub mod gate;
pub mod handle;
pub mod ingress;
pub mod inject;
pub mod login;
pub mod pages;
mod presence;
pub mod record;
pub mod redirects;
pub mod refresh;
pub mod respond;
pub mod routes;
mod streams;

pub use gate::Gate;
