//! What stops the start, and that it is said well.

use std::process::Command;

use doorward_options::{Kind, OPTIONS, OptionDef, Support};
use doorward_testkit::Launch;

use crate::support::{PROGRAM, Stage, parts};

#[test]
fn an_option_that_is_still_to_come_is_refused_by_name() {
    let later: Vec<&OptionDef> = OPTIONS.iter().filter(|option| option.support == Support::Later).collect();
    let (provider, echo) = parts();
    for option in later {
        let value = match option.kind {
            Kind::Bool | Kind::BoolWord => {
                if option.default == "true" {
                    "false"
                } else {
                    "true"
                }
            }
            Kind::Int => "7",
            Kind::Duration | Kind::Interval => "7s",
            Kind::Text | Kind::Secret | Kind::List | Kind::SecretList => "x",
        };
        let flag = option.flag;
        let exit = Launch::new(PROGRAM, &provider, &echo).flag(&format!("--{flag}={value}")).fail();
        assert_eq!(exit.code, Some(1), "--{flag}: {}", exit.output);
        let line = exit.output.lines().find(|line| line.contains(flag));
        assert!(line.is_some_and(|line| line.contains("not implemented")), "--{flag}: {}", exit.output);
        if let Some(variable) = option.env {
            let exit = Launch::new(PROGRAM, &provider, &echo).variable(variable, value).fail();
            assert!(
                exit.output.contains(variable) && exit.output.contains(flag),
                "{variable}: {}",
                exit.output
            );
        }
    }
}

#[test]
fn a_provider_that_there_is_not_is_refused_by_name() {
    let (provider, echo) = parts();
    for kind in ["githob", "GitHub", "nothing-of-the-kind"] {
        let exit = Launch::new(PROGRAM, &provider, &echo)
            .without("provider")
            .flag(&format!("--provider={kind}"))
            .fail();
        assert_eq!(exit.code, Some(1), "{kind}");
        assert!(exit.output.contains(kind), "{kind}: {}", exit.output);
    }
}

#[test]
fn several_mistakes_are_reported_together_with_option_and_source() {
    let (provider, echo) = parts();
    let exit = Launch::new(PROGRAM, &provider, &echo)
        .without("cookie-secret")
        .file(
            "doorward.toml",
            "trusted_ips = [\"10.0.0.1/8\"]\nwhitelist_domains = [\"https://ok.example\"]\n",
        )
        .flag("--config={file:doorward.toml}")
        .flag("--cookie-secret=too short")
        .flag("--skip-auth-route=([")
        .flag("--cookie-samesite=sometimes")
        .variable("OAUTH2_PROXY_COOKIE_CSRF_SAMESITE", "never")
        .variable("OAUTH2_PROXY_API_ROUTES", "**")
        .fail();
    assert_eq!(exit.code, Some(1));
    for (option, source) in [
        ("trusted-ip", "doorward.toml"),
        ("whitelist-domain", "doorward.toml"),
        ("cookie-secret", "--cookie-secret"),
        ("skip-auth-route", "--skip-auth-route"),
        ("cookie-samesite", "--cookie-samesite"),
        ("cookie-csrf-samesite", "OAUTH2_PROXY_COOKIE_CSRF_SAMESITE"),
        ("api-route", "OAUTH2_PROXY_API_ROUTES"),
    ] {
        let said =
            exit.output.lines().any(|line| line.contains(&format!("{option}: ")) && line.contains(source));
        assert!(said, "{option} from {source}:\n{}", exit.output);
    }
    assert!(!exit.output.contains("too short"), "{}", exit.output);
}

#[test]
fn a_single_mistake_stops_the_start() {
    let (provider, echo) = parts();
    for (flags, named) in [
        // b4: the reference notices these too late.
        (&["--cookie-csrf-samesite=never"][..], "cookie-csrf-samesite"),
        (&["--request-logging-format={{.Nothing}}"], "request-logging-format"),
        (&["--request-logging-format={{.Client"], "request-logging-format"),
        (&["--auth-logging-format={{.StatusCode}}"], "auth-logging-format"),
        (&["--standard-logging-format={{end}}"], "standard-logging-format"),
        (&["--session-store-type=cupboard"], "session-store-type"),
        (&["--cookie-refresh=2h", "--cookie-expire=1h"], "cookie-refresh"),
        (&["--cookie-name=a b"], "cookie-name"),
        (&["--trusted-ip=nowhere"], "trusted-ip"),
        (&["--reverse-proxy", "--trusted-proxy-ip=10.0.0.1/8"], "trusted-proxy-ip"),
        (&["--reverse-proxy", "--real-client-ip-header=X-Whatever"], "real-client-ip-header"),
        (&["--upstream=gopher://x"], "upstream"),
        (&["--redirect-url=http://["], "redirect-url"),
        (&["--authenticated-emails-file=/nonexistent/emails"], "authenticated-emails-file"),
        (&["--htpasswd-file=/nonexistent/htpasswd"], "htpasswd-file"),
        (&["--provider-ca-file=/nonexistent/ca.pem"], "provider-ca-file"),
        (&["--session-cookie-minimal", "--pass-access-token"], "session-cookie-minimal"),
        (&["--session-cookie-minimal", "--cookie-refresh=1h"], "session-cookie-minimal"),
        (&["--set-basic-auth"], "basic-auth"),
        (&["--signature-key=rot13:x"], "signature-key"),
        (&["--tls-cert-file=/nonexistent/c.pem", "--tls-key-file=/nonexistent/k.pem"], "tls-cert-file"),
        (&["--logging-filename=/dev/null/log"], "logging-filename"),
    ] {
        let exit = Launch::new(PROGRAM, &provider, &echo).flags(flags.iter().copied()).fail();
        assert_eq!(exit.code, Some(1), "{flags:?}: {}", exit.output);
        assert!(exit.output.contains(named), "{flags:?}: {}", exit.output);
        assert!(!exit.output.contains("panicked"), "{flags:?}: {}", exit.output);
    }
    assert_eq!(Launch::new(PROGRAM, &provider, &echo).without("email-domain").fail().code, Some(1));
    assert_eq!(Launch::new(PROGRAM, &provider, &echo).without("client-secret").fail().code, Some(1));
}

#[test]
fn a_command_line_that_cannot_be_read_ends_with_2() {
    let (provider, echo) = parts();
    for flag in ["--no-such-option", "-provider=oidc", "--client-id"] {
        let exit = Launch::new(PROGRAM, &provider, &echo).flag(flag).fail();
        assert_eq!(exit.code, Some(2), "{flag}: {}", exit.output);
        assert!(
            exit.output.contains(flag.trim_start_matches('-').split('=').next().unwrap()),
            "{flag}: {}",
            exit.output
        );
    }
}

#[test]
fn c4_a_bare_number_is_no_duration() {
    let (provider, echo) = parts();
    let exit = Launch::new(PROGRAM, &provider, &echo)
        .file("doorward.toml", "cookie_expire = 3600\n")
        .flag("--config={file:doorward.toml}")
        .fail();
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.output.contains("cookie-expire") || exit.output.contains("cookie_expire"),
        "{}",
        exit.output
    );
}

#[test]
fn an_unknown_key_of_the_file_stops_the_start() {
    let (provider, echo) = parts();
    for text in
        ["no_such_key = 1\n", "cookie-name = \"x\"\n", "[table]\nx = 1\n", "config = \"x\"\n", "not toml"]
    {
        let exit = Launch::new(PROGRAM, &provider, &echo)
            .file("doorward.toml", text)
            .flag("--config={file:doorward.toml}")
            .fail();
        assert_eq!(exit.code, Some(1), "{text}: {}", exit.output);
    }
}

#[test]
fn c5_blanks_around_the_items_of_a_list_do_not_count() {
    let stage = Stage::launch(|launch| {
        launch
            .without("email-domain")
            .variable("OAUTH2_PROXY_EMAIL_DOMAINS", "example.org, example.com ,example.net")
            .file("doorward.toml", "skip_auth_routes = \"^/a$, ^/b$\"\n")
            .flag("--config={file:doorward.toml}")
    });
    assert_eq!(stage.logged_in().get("/page").status, 200);
    for target in ["/a", "/b"] {
        assert_eq!(stage.browser().get(target).status, 200, "{target}");
    }
}

#[test]
fn c28_a_line_break_at_the_end_of_a_secret_file_is_no_part_of_the_secret() {
    let stage = Stage::launch(|launch| {
        launch
            .without("cookie-secret")
            .without("client-secret")
            .file("cookie-secret", &format!("{}\n", Launch::COOKIE_SECRET))
            .file("client-secret", &format!("{}\r\n", doorward_testkit::Provider::CLIENT_SECRET))
            .flags(["--cookie-secret-file={file:cookie-secret}", "--client-secret-file={file:client-secret}"])
    });
    let cookies = stage.logged_in().cookies;
    let mut browser = stage.sibling(&[]).browser();
    browser.cookies = cookies;
    assert!(browser.try_send(doorward_testkit::Request::get("/x")).is_err(), "the sibling is gone");
    let twin = stage.sibling(&[]);
    let mut visitor = twin.browser();
    visitor.cookies = browser.cookies;
    assert_eq!(visitor.get("/oauth2/auth").status, 202);
}

#[test]
fn c21_the_reason_of_a_failed_start_is_printed_whatever_is_logged() {
    let (provider, echo) = parts();
    let exit = Launch::new(PROGRAM, &provider, &echo)
        .flags(["--standard-logging=false", "--auth-logging=false", "--request-logging=false"])
        .flag("--trusted-ip=nowhere")
        .fail();
    assert!(exit.output.contains("trusted-ip"), "{}", exit.output);
}

#[test]
fn an_address_in_use_is_named() {
    let stage = Stage::new(&[]);
    let address = format!("--http-address={}", stage.doorward.address);
    // The other one answers /ping on this address, so the end has to be looked for directly.
    let output = Command::new(std::env::var("DOORWARD_BIN").unwrap_or(PROGRAM.to_owned()))
        .args([&address, "--provider=oidc", "--client-id=x", "--client-secret=y", "--email-domain=*"])
        .args([&format!("--oidc-issuer-url={}", stage.provider.issuer()), "--cookie-secret=0123456789abcdef"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&stage.doorward.address.to_string()), "{said}");
}

#[test]
fn a_configuration_can_be_tested_without_the_provider() {
    let (provider, echo) = parts();
    let launch = |flags: &[&str]| {
        Launch::new(PROGRAM, &provider, &echo)
            .without("oidc-issuer-url")
            .flag("--oidc-issuer-url=http://127.0.0.1:9")
            .flag("--config-test")
            .flags(flags.iter().copied())
            .fail()
    };
    let exit = launch(&[]);
    assert_eq!(
        (exit.code, exit.output.contains("configuration is valid")),
        (Some(0), true),
        "{}",
        exit.output
    );
    assert_eq!(launch(&["--trusted-ip=nowhere"]).code, Some(1));
}

#[test]
fn c17_health_checks_of_a_cloud_leave_the_ordinary_ones_alone() {
    let stage = Stage::new(&["--gcp-healthchecks"]);
    let mut browser = stage.browser();
    assert_eq!(browser.get("/ping").status, 200);
    assert_eq!(browser.get("/ready").status, 200);
}

#[test]
fn c29_a_socket_that_nobody_listens_on_is_replaced() {
    let folder = std::env::temp_dir().join(format!("doorward-it-stale-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("stale.sock");
    let _ = std::fs::remove_file(&path);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (provider, echo) = parts();
    let metrics = doorward_testkit::free_address();
    // The health of this one is asked on its other listener.
    let doorward = Launch::new(PROGRAM, &provider, &echo)
        .without("http-address")
        .flag(&format!("--http-address=unix://{}", path.display()))
        .flag(&format!("--metrics-address={metrics}"))
        .start_at(metrics);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    drop(doorward);
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn the_differences_of_a_configuration_are_said_once_at_start() {
    let flags = [
        "--reverse-proxy",
        "--skip-auth-route=^/open$",
        "--skip-provider-button",
        "--proxy-websockets=false",
        "--htpasswd-file={file:htpasswd}",
    ];
    let stage = Stage::launch(|launch| launch.file("htpasswd", crate::support::BOB).flags(flags));
    stage.logged_in().get("/page");
    let log = stage.doorward.log();
    assert_eq!(log.matches("coming-from-oauth2-proxy.md").count(), 1, "{log}");
    for part in [
        "--trusted-proxy-ip",
        "--compat=forwarding-headers-of-strangers",
        "X-Forwarded-Uri",
        "--compat=login-for-any-request",
        "WebSockets are refused",
        "Passwords",
    ] {
        let said = log.lines().filter(|line| line.contains("] - ") && line.contains(part)).count();
        assert_eq!(said, 1, "{part}: {log}");
    }
    let plain = Stage::new(&[]);
    assert!(!plain.doorward.log().contains("coming-from-oauth2-proxy.md"), "{}", plain.doorward.log());
}

#[test]
fn what_is_brought_back_is_named_at_start_with_its_price() {
    let (provider, echo) = parts();
    let exit = Launch::new(PROGRAM, &provider, &echo).flag("--compat=everything").fail();
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.output.contains("compat") && exit.output.contains("login-for-any-request"),
        "{}",
        exit.output
    );
    let stage = Stage::new(&["--compat=login-for-any-request,forwarding-headers-of-strangers"]);
    for name in ["login-for-any-request", "forwarding-headers-of-strangers"] {
        stage.doorward.wait_for_log(&format!("unsafe as in oauth2-proxy, by {name}"));
    }
}

#[test]
fn metrics_have_the_names_of_the_reference_and_say_nothing_of_its_runtime() {
    let metrics = doorward_testkit::free_address();
    let stage = Stage::new(&[&format!("--metrics-address={metrics}")]);
    stage.browser().get("/page");
    let text = doorward_testkit::Browser::new(metrics).get("/metrics").text();
    for name in ["requests_total", "requests_in_flight", "response_duration_seconds_bucket"] {
        assert!(text.contains(&format!("\noauth2_proxy_{name}")), "{name}\n{text}");
    }
    assert!(
        text.contains("\nprocess_resident_memory_bytes") && text.contains("\ndoorward_logins_total"),
        "{text}"
    );
    assert!(!text.lines().any(|line| line.starts_with("go_")), "{text}");
}

#[test]
fn a_check_finds_what_a_start_would_and_makes_no_file() {
    let (provider, echo) = parts();
    let launch = || {
        let launch = Launch::new(PROGRAM, &provider, &echo).without("oidc-issuer-url").file("ca", "nothing");
        launch.flag("--config-test").flag("--logging-filename={file:no-such-folder}/log")
    };
    for (flags, expected) in [
        (&["--oidc-issuer-url=ftp://a"][..], "oidc-issuer-url: the issuer URL \"ftp://a\" is not"),
        (&["--oidc-issuer-url=https://a", "--login-url=b"][..], "login-url: the login URL \"b\" is not"),
        (
            &["--oidc-issuer-url=https://a", "--provider-ca-file={file:ca}"][..],
            "provider-ca-file: the provider CA file",
        ),
    ] {
        let exit = launch().flags(flags.iter().copied()).fail();
        assert_eq!(exit.code, Some(1), "{flags:?}: {}", exit.output);
        assert!(exit.output.contains(expected), "{flags:?}: {}", exit.output);
    }
    let exit = launch().flag("--oidc-issuer-url=https://a").fail();
    assert_eq!(
        (exit.code, exit.output.contains("configuration is valid")),
        (Some(0), true),
        "{}",
        exit.output
    );
}

#[test]
fn bash_completes_words_and_flags() {
    for (words, expected) in [
        ("doorward --log-f", "--log-format\n"),
        ("doorward --cookie-secure --oidc-iss", "--oidc-issuer-url\n"),
        ("doorward comp", "completion\n"),
        ("doorward completion z", "zsh\n"),
        ("doorward --nothing-like-it", "\n"),
    ] {
        let script = format!(
            "source <(\"$0\" completion bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             complete -p doorward >/dev/null && {{ _doorward; echo \"${{COMPREPLY[*]}}\"; }}"
        );
        let output = Command::new("bash").args(["-c", &script, PROGRAM]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{words}: {output:?}");
    }
}

#[test]
fn pages_for_people_are_printed() {
    let run = |args: &[&str]| Command::new(PROGRAM).args(args).output().unwrap();
    let page = run(&["man"]);
    assert!(page.status.success() && page.stdout.starts_with(b".TH DOORWARD 1"));
    for (shell, start) in [("bash", "# Comp"), ("zsh", "#compdef"), ("fish", "# Comp")] {
        let script = run(&["completion", shell]);
        assert!(script.status.success() && script.stdout.starts_with(start.as_bytes()), "{shell}");
    }
    for args in [&["completion"][..], &["completion", "csh"], &["completion", "bash", "zsh"]] {
        let refused = run(args);
        assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("bash, zsh and fish"));
    }
    // As the reference has it.
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stdout.is_empty() && help.stderr.starts_with(b"Usage"));
}
