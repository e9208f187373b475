//! Independent software judges the built-in OAuth server and the authentication of API requests: kubectl, the
//! authenticators and the token review client of the Kubernetes API server, Ansible's `openshift_auth`, fabric8's
//! client, and relying parties on openid-client, Authlib and go-oidc. Applications on jose, go-oidc, `HAProxy` and
//! Apache judge what the gateway gives them. Tests named `a…` and a number hold the law of that number in docs/judges.md.
//! A judge that is missing fails the run and names `scripts/parts install`.
//!
//! `DOORWARD_BIN` names another binary to try than the one just built.

#[cfg(test)]
mod chain;
#[cfg(test)]
mod client;
#[cfg(test)]
mod envoy;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod identity_provider;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod kubectl;
#[cfg(test)]
mod openshift;
#[cfg(test)]
mod party;
#[cfg(test)]
mod passwords;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod person;
#[cfg(test)]
mod place;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod relying;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod tool;
