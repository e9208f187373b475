//! HTTP/2 by hand (RFC 9113): frames exactly as a test wants them, good or bad.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting of the window that each stream begins with (section 6.5.2).
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The client's end of a connection without TLS, with prior knowledge.
#[derive(Debug)]
pub(crate) struct Frames {
    socket: TcpStream,
}

impl Frames {
    pub(crate) fn open(server: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpStream::connect(server).unwrap();
        // So that a server which has stopped reading or answering does not hold up a test.
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut frames = Self { socket };
        let settings: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        frames.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        frames.send(SETTINGS, 0, 0, &settings).unwrap();
        frames
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    pub(crate) fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.raw(&frame(kind, flags, stream, payload))
    }

    /// The next frame; an error at the end of the connection.
    pub(crate) fn receive(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.socket.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Ok(Frame { kind: head[3], stream, payload })
    }

    /// The connection is ended from the other side.
    #[track_caller]
    pub(crate) fn assert_ended(&mut self, why: &str) {
        loop {
            match self.receive() {
                Ok(frame) if frame.kind == GOAWAY => return,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("{why}: still open"),
                Err(_) => return,
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a request (RFC 7541), nothing of it in the dynamic table.
pub(crate) fn request(method: &str, path: &str, host: &str) -> Vec<u8> {
    // Names by their numbers in the static table: :method, :scheme http, :path, :authority.
    let mut block = vec![2];
    block.extend(text(method));
    block.push(0x86);
    for (name, value) in [(4, path), (1, host)] {
        block.push(name);
        block.extend(text(value));
    }
    block
}

/// A literal of fewer than 127 bytes.
pub(crate) fn text(value: &str) -> Vec<u8> {
    assert!(value.len() < 127);
    [&[u8::try_from(value.len()).unwrap()], value.as_bytes()].concat()
}
