//! LZ4 frames around a session (wire-formats, section 4).

use std::borrow::Cow;
use std::io::{Read as _, Write as _};

use lz4_flex::block::{DecompressError, decompress_into};
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use crate::codec::{MAX_SESSION_BYTES, Unencodable, Unsealable};

/// A frame as the reference writes it: independent blocks of 64 KiB, a checksum of the content.
pub(crate) fn compress(plain: &[u8]) -> Result<Vec<u8>, Unencodable> {
    let info = FrameInfo::new()
        .block_mode(BlockMode::Independent)
        .block_size(BlockSize::Max64KB)
        .content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(plain.len() / 2 + 64));
    encoder.write_all(plain).map_err(|_| Unencodable)?;
    encoder.finish().map_err(|_| Unencodable)
}

/// Reads any valid frame of at most [`MAX_SESSION_BYTES`] of content.
pub(crate) fn decompress(frame: &[u8]) -> Result<Cow<'_, [u8]>, Unsealable> {
    if let Some(plain) = decompress_usual(frame) {
        return Ok(plain);
    }
    let limit = MAX_SESSION_BYTES as u64;
    let mut plain = Vec::new();
    FrameDecoder::new(frame).take(limit + 1).read_to_end(&mut plain).map_err(|_| Unsealable)?;
    if plain.len() > MAX_SESSION_BYTES { Err(Unsealable) } else { Ok(plain.into()) }
}

/// The frame practically every session has, without the general decoder's buffers: the usual header, one block,
/// the end mark. The content checksum is not looked at, for a signature over all of it has been verified.
/// Nothing means: not such a frame, ask the general decoder.
fn decompress_usual(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let rest = frame.strip_prefix(&USUAL_HEADER)?;
    let (size, rest) = rest.split_first_chunk()?;
    let size = u32::from_le_bytes(*size);
    let (block, tail) = rest.split_at_checked(usize::try_from(size & !STORED).ok()?)?;
    let ([0, 0, 0, 0], [_, _, _, _]) = tail.split_first_chunk()? else { return None };
    if block.is_empty() || block.len() > BLOCK_BYTES {
        return None;
    }
    if size & STORED != 0 {
        return Some(block.into());
    }
    // Sessions rarely shrink to less than a quarter.
    for room in [(block.len() * 4).min(BLOCK_BYTES), BLOCK_BYTES] {
        let mut plain = vec![0; room];
        match decompress_into(block, &mut plain) {
            Ok(length) => {
                plain.truncate(length);
                return Some(plain.into());
            }
            Err(DecompressError::OutputTooSmall { .. }) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Magic number, version 1 with independent blocks and content checksum, blocks of at most 64 KiB, check byte.
const USUAL_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7];
const STORED: u32 = 1 << 31;
const BLOCK_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests;
