//! The program from outside, without real parts: a scripted provider, an echo application, a raw browser.
//! Tests named `a…`, `b…` or `c…` and a number guard against a known mistake of oauth2-proxy; those in [`published`]
//! and [`published_elsewhere`] against published flaws of this kind of software. docs/security-tests.md lists them
//! all; `cargo xtask named-tests` compares.
//!
//! `DOORWARD_BIN` names another binary to try than the one just built.

#[cfg(test)]
mod access;
#[cfg(test)]
mod alpha;
#[cfg(test)]
mod api;
#[cfg(test)]
mod bearer;
#[cfg(test)]
mod built_in;
#[cfg(test)]
mod check;
#[cfg(test)]
mod config;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod forwarded;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod greedy;
#[cfg(test)]
mod grpc;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod hostile_provider;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logging;
#[cfg(test)]
mod login;
#[cfg(test)]
mod logouts;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod native;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod patterns;
#[cfg(test)]
mod policy_attacks;
#[cfg(test)]
mod programs;
#[cfg(test)]
mod provider_pages;
#[cfg(test)]
mod published;
#[cfg(test)]
mod published_elsewhere;
#[cfg(test)]
mod races;
#[cfg(test)]
mod redirects;
mod redis;
#[cfg(test)]
mod refresh;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod several_providers;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod troubles;
#[cfg(test)]
mod tunnels;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod vendors;
#[cfg(test)]
mod vendors_with_tokens;
