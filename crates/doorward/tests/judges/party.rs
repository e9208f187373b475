//! A relying party as a child process: it does what it is told, line by line, and says what its library makes of it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::fs::symlink,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    place::{CALLBACK, Place, SECRET},
    tool,
};

/// The library that a party is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    OpenidClient,
    Authlib,
    GoOidc,
}

pub(crate) const LIBRARIES: [Library; 3] = [Library::OpenidClient, Library::Authlib, Library::GoOidc];

pub(crate) struct Party {
    library: Library,
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Party {
    /// A confidential client that has read the server's metadata.
    #[track_caller]
    pub(crate) fn new(library: Library, place: &Place, client: &str) -> Self {
        Self::with(library, place, json!({"client_id": client, "client_secret": SECRET}))
    }

    #[track_caller]
    pub(crate) fn with(library: Library, place: &Place, mut settings: Value) -> Self {
        settings["issuer"] = place.issuer.clone().into();
        settings["redirect_uri"] = CALLBACK.into();
        let name = format!("{library:?}-{}.json", settings["client_id"].as_str().unwrap());
        let file = place.path(&name);
        fs::write(&file, settings.to_string()).unwrap();
        let mut command = match library {
            Library::OpenidClient => node(&place.path(""), "relying.mjs"),
            Library::Authlib => {
                let mut command = Command::new(tool::installed("python/bin/python"));
                command.arg(tool::sources().join("python/relying.py"));
                command
            }
            Library::GoOidc => {
                let mut command = Command::new(tool::go_judges());
                command.arg("relying");
                command
            }
        };
        let authority = place.path("servers.pem");
        for variable in ["NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            command.env(variable, &authority);
        }
        let mut child = command.arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut party = Self { library, child, orders, answers };
        let metadata = party.does(&json!({"do": "discover"}));
        assert_eq!(metadata["issuer"], place.issuer.as_str());
        party
    }

    #[track_caller]
    fn order(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{:?} gave up at {order}", self.library))
    }

    /// Does something that has to work.
    #[track_caller]
    pub(crate) fn does(&mut self, order: &Value) -> Value {
        let answer = self.order(order);
        let well = answer.get("fault").is_none() && answer.get("refused").is_none();
        assert!(well, "{:?}, {order}: {answer}", self.library);
        answer
    }

    /// Does something that the server has to refuse: the error code of RFC 6749 or RFC 6750.
    #[track_caller]
    pub(crate) fn is_refused(&mut self, order: &Value) -> String {
        let answer = self.order(order);
        let code = answer["refused"].as_str().map(str::to_owned);
        code.unwrap_or_else(|| panic!("{:?}, {order}: not refused but {answer}", self.library))
    }

    /// Begins a login.
    #[track_caller]
    pub(crate) fn begins(&mut self, scope: &[&str]) -> Value {
        self.does(&json!({"do": "begin", "scope": scope}))
    }

    /// A whole login: what the client holds at its end.
    #[track_caller]
    pub(crate) fn logs_in(&mut self, person: &mut crate::person::Person, scope: &[&str]) -> Value {
        let begun = self.begins(scope);
        let callback = person.visit(begun["url"].as_str().unwrap());
        self.does(&json!({"do": "finish", "callback": callback}))
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A script of ours beside its modules, which Node looks for in the folder of the script.
pub(crate) fn node(folder: &Path, script: &str) -> Command {
    fs::copy(tool::sources().join("node").join(script), folder.join(script)).unwrap();
    let modules = folder.join("node_modules");
    if !modules.exists() {
        symlink(tool::installed("node/node_modules"), modules).unwrap();
    }
    let mut command = Command::new("node");
    command.arg(folder.join(script));
    command
}
