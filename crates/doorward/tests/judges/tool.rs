//! The judges as programs: where they are, and what they say when they run.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The sources of our own judges.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges")
}

/// Something that `scripts/parts install` has put into `.parts/judges`.
pub(crate) fn installed(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let path = root.join(".parts/judges").join(name);
    assert!(path.exists(), "the judge {name} is missing: run scripts/parts install");
    path
}

/// Our judges in Go, built once a run.
pub(crate) fn go_judges() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-judges");
        let mut build = Command::new("go");
        build.current_dir(sources().join("go")).args(["build", "-o"]).arg(&program).arg(".");
        run(&mut build).succeeded();
        program
    })
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) output: String,
    pub(crate) errors: String,
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let name = command.get_program().to_owned();
    let ended = command.stdin(Stdio::null()).output();
    let ended =
        ended.unwrap_or_else(|error| panic!("{}: {error}; run scripts/parts install", name.display()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { success: ended.status.success(), output: text(&ended.stdout), errors: text(&ended.stderr) }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeded(self) -> String {
        assert!(self.success, "{}{}", self.output, self.errors);
        self.output
    }

    /// What it said when it failed.
    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert!(!self.success, "{}", self.output);
        self.output + &self.errors
    }

    /// Each line of the output, which is JSON.
    #[track_caller]
    pub(crate) fn lines(self) -> Vec<Value> {
        self.succeeded().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
