//! Static files. Only regular files below the root are served: a path with `..`, a backslash or a NUL is not looked
//! up at all, and a symbolic link that leaves the root counts as missing. Folders are never listed.

use std::{
    ffi::OsStr,
    fs,
    io::{self, ErrorKind, Seek, SeekFrom},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Bytes, BytesMut};
use doorward_net::{Body, BodyError};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header, request::Parts};
use http_body::{Frame, SizeHint};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, ReadBuf};

use crate::{config::PathForm, simple};

const INDEX: &str = "index.html";
const BYTES: HeaderValue = HeaderValue::from_static("bytes");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

/// How much of a file is in memory at once.
const CHUNK: usize = 64 * 1024;

/// The first second that an HTTP date cannot express.
const YEAR_10000: Duration = Duration::from_hours(70_389_528);

/// A folder that is served.
#[derive(Debug)]
pub(crate) struct Files {
    /// The routed path, which the names of files do not have.
    route: Box<str>,
    form: PathForm,
    root: PathBuf,
}

/// What a request names: a path below the root that cannot leave it by itself.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    path: PathBuf,
    form: Form,
}

/// Whether the name ends with a slash, or is the root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    File,
    Folder,
}

/// What is there.
enum Found {
    File(OpenFile),
    /// A folder, asked for without a slash.
    Folder,
    Nothing,
}

struct OpenFile {
    file: fs::File,
    length: u64,
    modified: Option<SystemTime>,
    content_type: HeaderValue,
}

/// Which part of a file is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    Whole,
    /// From the first byte to before the second, never empty.
    Part(u64, u64),
    NotModified,
    PreconditionFailed,
    Unsatisfiable,
}

impl Files {
    pub(crate) fn new(route: &str, form: PathForm, root: PathBuf) -> Self {
        Self { route: route.into(), form, root }
    }

    /// Answers with the file that a raw path names: mostly the path of the request.
    pub(crate) async fn answer(&self, request: &Parts, raw_path: &str) -> Response<Body> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let mut response = simple::refusal(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
            response.headers_mut().insert(header::ALLOW, ALLOWED_METHODS);
            return response;
        }
        let Some(wanted) = self.wanted(raw_path) else { return simple::not_found() };
        let root = self.root.clone();
        let found = match tokio::task::spawn_blocking(move || look_up(&root, &wanted)).await {
            Ok(found) => found,
            Err(stopped) => Err(io::Error::other(stopped)),
        };
        let opened = found.and_then(|found| match found {
            Found::File(open) => send(open, &request.method, &request.headers),
            Found::Folder => Ok(add_slash(&request.uri)),
            Found::Nothing => Ok(simple::not_found()),
        });
        opened.unwrap_or_else(|error| refuse(&error))
    }

    /// Reads a raw path. `None` for every path that no file has, in particular for those that try to leave the root.
    fn wanted(&self, raw_path: &str) -> Option<Wanted> {
        let compared = match self.form {
            PathForm::Decoded => raw_path,
            PathForm::Raw => raw_path.strip_prefix(&*self.route)?,
        };
        let decoded: Vec<u8> = percent_decode_str(compared).collect();
        let below = match self.form {
            PathForm::Decoded => decoded.strip_prefix(self.route.as_bytes())?,
            PathForm::Raw => decoded.as_slice(),
        };
        let (names, form) = match below.strip_suffix(b"/") {
            Some(names) => (names, Form::Folder),
            None if below.is_empty() => (below, Form::Folder),
            None => (below, Form::File),
        };
        let mut path = PathBuf::new();
        if below.is_empty() {
            return Some(Wanted { path, form });
        }
        for name in names.split(|byte| *byte == b'/') {
            if matches!(name, b"" | b"." | b"..") || name.contains(&b'\\') || name.contains(&0) {
                return None;
            }
            path.push(OsStr::from_bytes(name));
        }
        Some(Wanted { path, form })
    }
}

/// Opens what is wanted. Blocking.
fn look_up(root: &Path, wanted: &Wanted) -> io::Result<Found> {
    // The root is resolved each time: it may be a link that is switched to a new version.
    let Some(root) = real(root)? else { return Ok(Found::Nothing) };
    let is_root = wanted.path.as_os_str().is_empty();
    // Joining nothing would add a slash, which a file cannot have.
    let path = if is_root { Some(root.clone()) } else { below(&root, &root.join(&wanted.path))? };
    let Some(path) = path else { return Ok(Found::Nothing) };
    let there = fs::metadata(&path)?;
    if there.is_dir() {
        if wanted.form == Form::File {
            return Ok(Found::Folder);
        }
        return match below(&root, &path.join(INDEX))? {
            Some(index) => open(&index, Path::new(INDEX)),
            None => Ok(Found::Nothing),
        };
    }
    // A file has no slash at its end; the root itself may be a file.
    if wanted.form == Form::Folder && !is_root {
        return Ok(Found::Nothing);
    }
    open(&path, if is_root { &path } else { &wanted.path })
}

/// The real path, if it exists and lies below the real root.
fn below(root: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    Ok(real(path)?.filter(|real| real.starts_with(root)))
}

/// The path without symbolic links; `None` if there is nothing, or only links in a circle, or a name too long.
fn real(path: &Path) -> io::Result<Option<PathBuf>> {
    match fs::canonicalize(path) {
        Ok(real) => Ok(Some(real)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(error),
        Err(_nothing) => Ok(None),
    }
}

/// Opens a real path, if it is a regular file: a device or a pipe could block for ever.
fn open(path: &Path, named: &Path) -> io::Result<Found> {
    if !fs::metadata(path)?.is_file() {
        return Ok(Found::Nothing);
    }
    let file = fs::File::open(path)?;
    let opened = file.metadata()?;
    let modified = opened.modified().ok().and_then(whole_seconds);
    Ok(Found::File(OpenFile { file, length: opened.len(), modified, content_type: content_type(named) }))
}

/// The time as an HTTP date can express it; none for times outside its range and for the epoch, which stands for
/// "unknown" in archives and images.
fn whole_seconds(time: SystemTime) -> Option<SystemTime> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    let seconds = Duration::from_secs(since.as_secs());
    (Duration::ZERO < seconds && seconds < YEAR_10000).then(|| UNIX_EPOCH + seconds)
}

fn content_type(path: &Path) -> HeaderValue {
    let guessed = mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream");
    match guessed {
        "text/html" => HeaderValue::from_static("text/html; charset=utf-8"),
        "text/plain" => simple::PLAIN_TEXT,
        text if text.starts_with("text/") => HeaderValue::from_str(&format!("{text}; charset=utf-8"))
            .unwrap_or(HeaderValue::from_static("application/octet-stream")),
        other => HeaderValue::from_static(other),
    }
}

fn send(open: OpenFile, method: &Method, asked: &HeaderMap) -> io::Result<Response<Body>> {
    let OpenFile { mut file, length, modified, content_type } = open;
    let date = modified.map(httpdate::fmt_http_date).and_then(|date| HeaderValue::try_from(date).ok());
    let mut answer = HeaderMap::with_capacity(5);
    answer.insert(header::ACCEPT_RANGES, BYTES);
    if let Some(date) = date {
        answer.insert(header::LAST_MODIFIED, date);
    }
    let (status, start, end) = match select(method, asked, length, modified) {
        Selection::Whole => (StatusCode::OK, 0, length),
        Selection::Part(start, end) => {
            answer.insert(header::CONTENT_RANGE, text(format!("bytes {start}-{}/{length}", end - 1))?);
            (StatusCode::PARTIAL_CONTENT, start, end)
        }
        Selection::NotModified => return Ok(bare(StatusCode::NOT_MODIFIED, answer)),
        Selection::PreconditionFailed => return Ok(bare(StatusCode::PRECONDITION_FAILED, answer)),
        Selection::Unsatisfiable => {
            answer.insert(header::CONTENT_RANGE, text(format!("bytes */{length}"))?);
            return Ok(bare(StatusCode::RANGE_NOT_SATISFIABLE, answer));
        }
    };
    answer.insert(header::CONTENT_TYPE, content_type);
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(end - start));
    let mut response = bare(status, answer);
    if *method == Method::GET && start < end {
        if start > 0 {
            file.seek(SeekFrom::Start(start))?;
        }
        let mut file = tokio::fs::File::from_std(file);
        file.set_max_buf_size(CHUNK);
        *response.body_mut() =
            Body::boxed(FileBody { file, remaining: end - start, buffer: BytesMut::new() });
    }
    Ok(response)
}

fn text(value: String) -> io::Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(io::Error::other)
}

fn bare(status: StatusCode, headers: HeaderMap) -> Response<Body> {
    let mut response = simple::empty(status);
    *response.headers_mut() = headers;
    response
}

/// Weighs preconditions and range, in the order of RFC 9110 section 13.2.2. There are no entity tags here, so a
/// request that names one has never seen this file from us.
fn select(method: &Method, asked: &HeaderMap, length: u64, modified: Option<SystemTime>) -> Selection {
    let date = |name| {
        let text: Option<&str> = asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        text.and_then(|text| httpdate::parse_http_date(text).ok())
    };
    if let (Some(limit), Some(modified)) = (date(header::IF_UNMODIFIED_SINCE), modified)
        && limit < modified
        && !asked.contains_key(header::IF_MATCH)
    {
        return Selection::PreconditionFailed;
    }
    if let (Some(seen), Some(modified)) = (date(header::IF_MODIFIED_SINCE), modified)
        && modified <= seen
        && !asked.contains_key(header::IF_NONE_MATCH)
    {
        return Selection::NotModified;
    }
    let is_current = !asked.contains_key(header::IF_RANGE)
        || modified.is_some_and(|modified| date(header::IF_RANGE) == Some(modified));
    let range = asked.get(header::RANGE).and_then(|value| value.to_str().ok());
    match range {
        Some(range) if *method == Method::GET && is_current => parse_range(range, length),
        _ => Selection::Whole,
    }
}

/// Reads one range (RFC 9110 section 14.1.2). Several ranges and everything unreadable mean the whole file.
fn parse_range(text: &str, length: u64) -> Selection {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Selection::Whole;
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        // A number too large for us lies behind the end of any file.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(length)),
        (Some(start), None) if last.is_empty() => (start, length),
        (None, Some(count)) if first.is_empty() => (length.saturating_sub(count), length),
        _ => return Selection::Whole,
    };
    if start < end { Selection::Part(start, end) } else { Selection::Unsatisfiable }
}

/// Relative names in a folder's page need the slash. The path is the client's own; with two slashes at its beginning it
/// would lead to another host.
fn add_slash(uri: &Uri) -> Response<Body> {
    if !uri.path().starts_with('/') || uri.path().starts_with("//") || uri.path().contains('\\') {
        return simple::not_found();
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let Ok(location) = HeaderValue::try_from(format!("{}/{query}", uri.path())) else {
        return simple::not_found();
    };
    let mut response = simple::empty(StatusCode::MOVED_PERMANENTLY);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn refuse(error: &io::Error) -> Response<Body> {
    if error.kind() == ErrorKind::PermissionDenied {
        return simple::refusal(StatusCode::FORBIDDEN, "403 Forbidden\n");
    }
    tracing::error!(%error, "A file could not be served");
    simple::refusal(StatusCode::INTERNAL_SERVER_ERROR, "500 Internal Server Error\n")
}

/// The rest of an open file, in pieces.
struct FileBody {
    file: tokio::fs::File,
    remaining: u64,
    buffer: BytesMut,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if this.remaining == 0 {
            return Poll::Ready(None);
        }
        let wanted = usize::try_from(this.remaining).map_or(CHUNK, |remaining| remaining.min(CHUNK));
        this.buffer.resize(wanted, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        let read = ready!(Pin::new(&mut this.file).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        if let Err(error) = read {
            return Poll::Ready(Some(Err(error.into())));
        }
        if count == 0 {
            let shorter = io::Error::new(ErrorKind::UnexpectedEof, "the file became shorter");
            return Poll::Ready(Some(Err(shorter.into())));
        }
        this.remaining = this.remaining.saturating_sub(count as u64);
        Poll::Ready(Some(Ok(Frame::data(this.buffer.split_to(count).freeze()))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests;
