//! What applications get in place of a client's credential: tokens signed here, tokens exchanged elsewhere, and
//! handles in place of what an authorization server behind us hands out. Who the client is, and whether it may pass,
//! has been decided before.
//!
//! [`Credential::make`] makes it for one request. What it signs, it signs as [`Issuer`], with keys of its own.

mod claims;
mod credential;
mod exchange;
mod handles;
mod identity;
mod issuer;
mod phantom;
#[cfg(test)]
mod testing;

pub use self::{
    claims::InvalidClaims,
    credential::{Bearer, Credential, CredentialFault, Made, scrub},
    exchange::{Exchange, ExchangeConfig, ExchangeSubject},
    handles::{HandleForm, HandleRealm, Handles, HandlesConfig, InvalidField, MOST_BODY, SwapFault},
    identity::{Binding, IDENTITY_HEADERS, IdentityConfig, IdentityStyle, InvalidIdentity, SignedIdentity},
    issuer::{
        ACCESS_TYPE, Document, IDENTITY_TYPE, InvalidIssuerUrl, Issuer, IssuerConfig, MintError, PomeriumKeys,
    },
    phantom::{InvalidPhantom, Phantom, PhantomConfig},
};
