//! What the client of a connection showed, with whom an authority last found in it: signatures are checked once in a
//! while, and not at each request.
//!
//! A subject is kept only as long as the same authority would find the same again: other files make another authority,
//! and whatever ends a certificate or a list of revoked ones ends what is kept. Refusals are not kept.

use std::{
    ptr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use doorward_core::Timestamp;
use rustls::server::danger::ClientCertVerifier;

use super::{BadCertificate, ClientCa, Subject, end};

/// A subject is kept no longer than this, so that little depends on how dates are read here.
const KEPT: Duration = Duration::from_mins(1);

/// Certificates that a client showed: DER, its own first.
#[derive(Debug)]
pub struct Shown {
    certificates: Arc<[Vec<u8>]>,
    found: Mutex<Option<Found>>,
}

#[derive(Debug)]
struct Found {
    /// Its place in memory is kept, so that no later authority can be taken for it, but not its lists.
    authority: Weak<dyn ClientCertVerifier>,
    subject: Subject,
    from: Timestamp,
    until: Timestamp,
}

impl Shown {
    /// `None` if these are no certificates at all.
    pub fn new(certificates: Arc<[Vec<u8>]>) -> Option<Arc<Self>> {
        (!certificates.is_empty()).then(|| Arc::new(Self { certificates, found: Mutex::default() }))
    }

    pub const fn certificates(&self) -> &Arc<[Vec<u8>]> {
        &self.certificates
    }

    /// The client's own certificate.
    pub(crate) fn leaf(&self) -> &[u8] {
        self.certificates.first().map_or(&[], Vec::as_slice)
    }

    /// As [`ClientCa::verify`], which is asked only if nothing is kept.
    pub fn subject(&self, authority: &ClientCa, now: Timestamp) -> Result<Subject, BadCertificate> {
        if let Some(found) = self.found().as_ref().filter(|found| found.holds(authority, now)) {
            return Ok(found.subject.clone());
        }
        let subject = authority.verify(&self.certificates, now)?;
        *self.found() = Some(Found {
            authority: Arc::downgrade(&authority.verifier),
            subject: subject.clone(),
            from: now,
            until: now.saturating_add(KEPT).min(authority.lists_until).min(self.end()),
        });
        Ok(subject)
    }

    /// When the first of all certificates ends, whether it was needed or not; long ago if one cannot be read.
    fn end(&self) -> Timestamp {
        self.certificates.iter().map(|certificate| end(certificate)).min().unwrap_or_default()
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn holds(&self, authority: &ClientCa, now: Timestamp) -> bool {
        ptr::addr_eq(self.authority.as_ptr(), Arc::as_ptr(&authority.verifier))
            && (self.from..self.until).contains(&now)
    }
}

#[cfg(test)]
mod tests;
