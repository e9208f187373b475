//! The endpoints below the prefix, one module each.

pub mod auth;
pub mod callback;
pub mod health;
pub mod sign_in;
pub mod sign_out;
pub mod start;
pub mod static_files;
pub mod user_info;
