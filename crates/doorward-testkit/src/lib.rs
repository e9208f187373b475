//! For tests only: the world around doorward, scripted. An identity provider that can misbehave in every way we
//! could think of, an application that tells what reached it, a browser that sends exactly what it is told, and the
//! program itself as a child process; and Redis, the real one, in every form. Everything is blocking and speaks HTTP/1.1 by its own few lines of code, so
//! that tests see the bytes on the wire and not what a library made of them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "whatever goes wrong in here has to fail the test that caused it"
)]
#![expect(
    clippy::return_self_not_must_use,
    clippy::needless_pass_by_value,
    reason = "tests build requests and launches in one expression"
)]

mod browser;
pub mod certificates;
mod cookie;
pub mod corpus;
mod doorward;
mod echo;
mod http1;
mod keys;
pub mod page;
pub mod person;
mod provider;
mod redis;
mod server;
mod token;
mod wait;

pub use browser::{Answer, Browser, Connection, Request};
pub use cookie::{SetCookie, resigned, signed_at};
pub use doorward::{Doorward, Exit, Launch, free_address};
pub use echo::{Echo, Seen};
pub use http1::Headers;
pub use keys::KeyName;
pub use provider::{Call, ClientProof, Endpoint, Fault, Knobs, Provider, Refresh};
pub use redis::{Cluster, Redis, Security, Watched};
pub use token::{Signature, Token};
pub use wait::{eventually, until};
