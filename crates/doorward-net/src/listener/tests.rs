use std::{env, process, thread};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime,
};

use super::*;

#[track_caller]
fn check(text: &str, expected: &Result<ListenAddress, InvalidListenAddress>) {
    assert_eq!(&text.parse::<ListenAddress>(), expected, "{text}");
}

fn tcp(address: &str) -> ListenAddress {
    ListenAddress::Tcp(address.to_owned())
}

#[test]
fn listen_addresses_are_read_as_users_write_them() {
    check("127.0.0.1:4180", &Ok(tcp("127.0.0.1:4180")));
    check("http://127.0.0.1:4180", &Ok(tcp("127.0.0.1:4180")));
    check("http://127.0.0.1:4180/", &Ok(tcp("127.0.0.1:4180")));
    check("https://:4443", &Ok(tcp(":4443")));
    check(":4180", &Ok(tcp(":4180")));
    check("[::1]:80", &Ok(tcp("[::1]:80")));
    check("localhost:80", &Ok(tcp("localhost:80")));
    check("fd:3", &Ok(ListenAddress::Fd(3)));
    check("unix:///run/d.sock", &Ok(ListenAddress::Unix { path: "/run/d.sock".into(), mode: None }));
    check(
        "unix:///run/d.sock,mode=0660",
        &Ok(ListenAddress::Unix { path: "/run/d.sock".into(), mode: Some(0o660) }),
    );
}

#[test]
fn texts_that_are_no_listen_address_are_refused() {
    use InvalidListenAddress as Invalid;
    check("127.0.0.1", &Err(Invalid::NoPort("127.0.0.1".into())));
    check("[::1]", &Err(Invalid::NoPort("[::1]".into())));
    check("h:http", &Err(Invalid::Port("h:http".into())));
    check("h:65536", &Err(Invalid::Port("h:65536".into())));
    check("ftp://h:1", &Err(Invalid::Scheme("ftp://h:1".into())));
    check("unix://", &Err(Invalid::NoPath("unix://".into())));
    check("unix:///s,mode=9", &Err(Invalid::Mode("unix:///s,mode=9".into())));
    check("unix:///s,mode=10000", &Err(Invalid::Mode("unix:///s,mode=10000".into())));
    check("unix:///s,owner=me", &Err(Invalid::UnixOption("unix:///s,owner=me".into())));
    check("fd:2", &Err(Invalid::Descriptor("fd:2".into())));
    check("fd:http", &Err(Invalid::Descriptor("fd:http".into())));
}

fn scratch(name: &str) -> PathBuf {
    let folder = env::temp_dir().join(format!("doorward-net-{}-{name}", process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_ours_is_removed() {
    let folder = scratch("stale");
    let path = folder.join("s.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the file is stale now");
    let address = ListenAddress::Unix { path: path.clone(), mode: Some(0o640) };
    let listener = Listener::bind(&address, None).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(matches!(Listener::bind(&address, None).await, Err(BindError::InUse { .. })));
    assert!(path.exists(), "a refused listener removes nothing");
    drop(listener);
    assert!(!path.exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_ordinary_file_is_never_removed_for_a_socket() {
    let folder = scratch("file");
    let path = folder.join("precious");
    fs::write(&path, "content").unwrap();
    let address = ListenAddress::Unix { path: path.clone(), mode: None };
    assert!(matches!(Listener::bind(&address, None).await, Err(BindError::NotASocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"content");
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_successors_socket_file_survives_us() {
    let folder = scratch("successor");
    let path = folder.join("s.sock");
    let address = ListenAddress::Unix { path: path.clone(), mode: None };
    let ours = Listener::bind(&address, None).await.unwrap();
    fs::rename(&path, folder.join("old.sock")).unwrap();
    let theirs = Listener::bind(&address, None).await.unwrap();
    drop(ours);
    assert!(path.exists());
    drop(theirs);
    assert!(!path.exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn an_accepted_socket_moves_to_another_runtime() {
    let listener = Listener::bind(&tcp("127.0.0.1:0"), None).await.unwrap();
    let mut client = TcpStream::connect(listener.local_address().unwrap()).await.unwrap();
    let accepted = listener.accept().await.unwrap();
    assert_eq!(accepted.peer, Peer::Ip(client.local_addr().unwrap()));
    let handed_over = accepted.into_std().unwrap();
    let worker = thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut accepted = handed_over.register().unwrap();
            accepted.socket.write_all(b"hello").await.unwrap();
        });
    });
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello");
    worker.join().unwrap();
}

#[tokio::test]
async fn an_empty_host_listens_for_both_families_and_shows_plain_ipv4() {
    let listener = Listener::bind(&tcp(":0"), None).await.unwrap();
    let port = listener.local_address().unwrap().port();
    let _client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let Peer::Ip(peer) = listener.accept().await.unwrap().peer else { panic!("a TCP peer") };
    assert!(peer.is_ipv4(), "{peer}");
}

#[tokio::test]
async fn a_descriptor_that_was_not_passed_is_refused() {
    let bound = Listener::bind(&ListenAddress::Fd(7), None).await;
    assert!(matches!(bound, Err(BindError::NotInherited { .. })));
}
