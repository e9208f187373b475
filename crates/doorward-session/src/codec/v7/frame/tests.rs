use super::*;

fn texts() -> Vec<Vec<u8>> {
    let long = (0..9000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let both = b"group-name-".iter().copied().cycle().take(5000).chain(0..=255).collect();
    vec![vec![], b"x".to_vec(), b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_vec(), long, both, vec![7; 200_000]]
}

fn framed(plain: &[u8], info: FrameInfo) -> Vec<u8> {
    let mut encoder = FrameEncoder::with_frame_info(info, vec![]);
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_was_compressed_comes_back() {
    for plain in texts() {
        let frame = compress(&plain).unwrap();
        assert!(frame.starts_with(&USUAL_HEADER));
        assert_eq!(decompress(&frame).unwrap(), plain);
        let mut general = vec![];
        FrameDecoder::new(&frame[..]).read_to_end(&mut general).unwrap();
        assert_eq!(general, plain);
    }
}

#[test]
fn any_valid_frame_is_read() {
    for plain in texts() {
        for mode in [BlockMode::Independent, BlockMode::Linked] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                for checksums in [false, true] {
                    let info = FrameInfo::new()
                        .block_mode(mode)
                        .block_size(size)
                        .block_checksums(checksums)
                        .content_checksum(!checksums)
                        .content_size(checksums.then_some(plain.len() as u64));
                    assert_eq!(decompress(&framed(&plain, info)).unwrap(), plain);
                }
            }
        }
    }
}

#[test]
fn content_beyond_the_limit_is_refused() {
    let most = vec![0; MAX_SESSION_BYTES];
    assert_eq!(decompress(&compress(&most).unwrap()).unwrap().len(), MAX_SESSION_BYTES);
    let bomb = compress(&vec![0; MAX_SESSION_BYTES + 1]).unwrap();
    assert!(bomb.len() < 10_000);
    assert_eq!(decompress(&bomb), Err(Unsealable));
    let bomb = framed(&vec![0; 64 * MAX_SESSION_BYTES], FrameInfo::new().block_size(BlockSize::Max4MB));
    assert_eq!(decompress(&bomb), Err(Unsealable));
}

#[test]
fn what_is_no_frame_is_refused_or_yields_nothing_like_a_session() {
    for bytes in [&b"x"[..], b"\x82\xa2ca", b"\x04\x22\x4d\x18", b"\x04\x22\x4d\x18\x64\x40\xa8\0\0\0\0"] {
        assert!(decompress(bytes).map_or(true, |plain| plain.is_empty()), "{bytes:?}");
    }
}
