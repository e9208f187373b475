//! The only room that sees a whole request: from an accepted connection to the last byte of the answer.
//!
//! Read `handle.rs` first: it is the life of one request, in order.

pub mod api;
mod asker;
mod authenticate;
pub mod connection;
mod endpoints;
mod explain;
mod ext_authz;
mod form;
#[doc(hidden)]
pub mod fuzz;
pub mod gate;
pub mod gateway;
mod handle;
pub mod ingress;
pub mod inject;
mod login;
pub mod pages;
mod presence;
pub mod providers;
mod record;
pub mod redirects;
pub mod refresh;
pub mod rehearsal;
mod respond;
pub mod rounds;
pub mod routes;
mod sessions;
mod streams;
#[cfg(test)]
mod testing;
mod trouble;
pub mod tunnels;

pub use gate::Gate;
