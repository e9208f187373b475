//! Where finished lines go: one line, one write. A line that cannot be written is lost; no request fails for it.

use std::{
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

use doorward_core::Timestamp;

use crate::file::RotatingFile;

/// The destination of ordinary, auth and request lines.
#[derive(Debug)]
pub(crate) enum Output {
    Stdout,
    File(Mutex<RotatingFile>),
    #[cfg(test)]
    Memory(Mutex<Vec<u8>>),
}

impl Output {
    /// Writes one complete line, newline included. `now` is for the file's rotation.
    pub(crate) fn write(&self, line: &[u8], now: Timestamp) {
        match self {
            // A buffer that is empty before and ends in a newline goes out in one system call.
            Self::Stdout => drop(io::stdout().lock().write_all(line)),
            Self::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).write_line(line, now),
            #[cfg(test)]
            Self::Memory(text) => text.lock().unwrap().extend_from_slice(line),
        }
    }
}

pub(crate) fn write_stderr(line: &[u8]) {
    drop(io::stderr().lock().write_all(line));
}
