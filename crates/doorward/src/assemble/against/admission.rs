//! Who is let in: what oauth2-proxy does and doorward does not.

use super::Difference;

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "restrictions",
        theirs: "restrictions that the provider does not enforce are ignored",
        ours: "they stop the start",
        switch: "",
        why: "they let everybody in (CVE-2021-21411)",
        met: |setup| setup.restricts_groups(),
    },
    Difference {
        name: "union-of-groups",
        theirs: "`--gitlab-group` and `--keycloak-group` take the place of `--allowed-group`",
        ours: "a session needs one of all that are written",
        switch: "",
        why: "`--allowed-group` alone let everybody in",
        met: |setup| setup.has_provider(&["gitlab", "keycloak"]) && setup.restricts_groups(),
    },
    Difference {
        name: "github-repository",
        theirs: "beside `--github-org`, `--github-repo` is not looked at",
        ours: "both have to be right",
        switch: "",
        why: "a restriction was lost",
        met: |setup| setup.has_provider(&["github"]),
    },
    Difference {
        name: "one-provider",
        theirs: "endpoints that are not written are at their usual place",
        ours: "they are, or stop the start if others are elsewhere",
        switch: "",
        why: "codes and tokens of one provider went to another",
        met: |setup| !setup.is_oidc() && setup.signs_in(),
    },
    Difference {
        name: "address-list",
        theirs: "a list of addresses with an odd line admits nobody",
        ours: "read line by line",
        switch: "",
        why: "one comma locked everybody out",
        met: |setup| !setup.options.authenticated_emails_file.is_empty(),
    },
    Difference {
        name: "address-domains",
        theirs: "an address need only end in `@` and the domain",
        ours: "one `@`, no control characters, whole domains",
        switch: "",
        why: "`a@evil.com@company.com` (CVE-2026-40574)",
        met: |setup| setup.restricts_domains(),
    },
    Difference {
        name: "password-guesses",
        theirs: "passwords can be guessed at any speed",
        ours: "one try a second after some wrong ones, by account and client",
        switch: "",
        why: "guessing",
        met: |setup| setup.has_passwords(),
    },
    Difference {
        name: "json-parameters",
        theirs: "`application/json;q=0.9` gets a page",
        ours: "it gets JSON",
        switch: "",
        why: "it is a program that asks",
        met: |_| true,
    },
];
