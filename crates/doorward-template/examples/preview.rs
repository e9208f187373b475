//! Renders the default pages with made-up values, to look at them in a browser:
//! `cargo run -p doorward-template --example preview -- crates/doorward-server/assets OUTPUT_FOLDER`

use std::error::Error;
use std::path::{Path, PathBuf};

use doorward_template::{Template, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(assets), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("give the folder of the assets and a folder to write to".into());
    };
    std::fs::create_dir_all(&output)?;
    for (name, page, special) in pages() {
        let html = render(&assets, page, special)?;
        std::fs::write(output.join(name), html)?;
    }
    Ok(())
}

fn render(assets: &Path, page: &str, special: Vec<(&str, Value)>) -> Result<String, Box<dyn Error>> {
    let read = |name: &str| std::fs::read_to_string(assets.join(name));
    let shared = [
        ("Style", Value::Html(read("style.css")?)),
        ("Script", Value::Html(read("fragment.js")?)),
        ("ProxyPrefix", "/oauth2".into()),
        ("Version", "v0.1.0".into()),
        ("Footer", Value::Html(String::new())),
    ];
    let vars = shared.into_iter().chain(special).map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Template::html(page, &read(page)?)?.render(&vars)?)
}

type Special = Vec<(&'static str, Value)>;

fn pages() -> Vec<(&'static str, &'static str, Special)> {
    vec![
        ("sign_in.html", "sign_in.html", sign_in()),
        ("sign_in_both.html", "sign_in.html", [sign_in(), vec![("CustomLogin", true.into())]].concat()),
        ("sign_in_password.html", "sign_in.html", password_only()),
        ("error.html", "error.html", denied()),
        ("error_502.html", "error.html", unreachable()),
        ("demo.html", "demo.html", demo()),
    ]
}

fn sign_in() -> Special {
    vec![
        ("StatusCode", Value::Int(403)),
        ("ProviderName", "OpenID Connect".into()),
        ("HasProvider", true.into()),
        ("SignInMessage", "Authenticate using one of the following domains: a.example, b.example".into()),
        ("Redirect", "/app?x=1&y=\"2\"".into()),
    ]
}

fn password_only() -> Special {
    vec![
        ("CustomLogin", true.into()),
        ("FailedLogin", "The user name or password is wrong.".into()),
        ("SignInMessage", Value::Html("Welcome to <b>ACME</b>".to_owned())),
        ("Redirect", "/".into()),
    ]
}

fn denied() -> Special {
    vec![
        ("StatusCode", Value::Int(403)),
        ("Title", "Forbidden".into()),
        ("Message", "You do not have permission to access this page.".into()),
        (
            "Explanation",
            "Your account is known here, but it is in none of the groups that may open this page.".into(),
        ),
        ("SignedInAs", "alice@example.com".into()),
        (
            "Mend",
            "Add the account to one of the groups in --allowed-group, or widen the list. Allowed now: staff."
                .into(),
        ),
        ("Redirect", "/reports".into()),
        ("RequestID", "5f0c2d9e-6a1b-4b0e-9a0d-0c8f5f5a7f11".into()),
    ]
}

fn unreachable() -> Special {
    vec![
        ("StatusCode", Value::Int(502)),
        ("Title", "Bad Gateway".into()),
        ("Message", "The application behind this address does not answer.".into()),
        ("RequestID", "5f0c2d9e-6a1b-4b0e-9a0d-0c8f5f5a7f11".into()),
    ]
}

fn demo() -> Special {
    let header = |name: &str, value: &str| Value::from([("Name", name.into()), ("Value", value.into())]);
    vec![
        ("User", "248289761001".into()),
        ("Email", "alice@example.com".into()),
        ("Groups", vec!["staff".into(), "reports-readers".into()].into()),
        ("Grounds", "the e-mail domain example.com is allowed".into()),
        (
            "Headers",
            vec![
                header("X-Forwarded-User", "248289761001"),
                header("X-Forwarded-Email", "alice@example.com"),
                header("X-Forwarded-Groups", "staff,reports-readers"),
                header("X-Forwarded-Preferred-Username", "alice"),
                header("X-Forwarded-For", "127.0.0.1"),
            ]
            .into(),
        ),
    ]
}
