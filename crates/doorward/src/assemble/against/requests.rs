//! Requests: what oauth2-proxy does and doorward does not.

use super::Difference;

pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        name: "odd-paths",
        theirs: "encoded dot segments, backslashes and odd hosts pass",
        ours: "400",
        switch: "",
        why: "programs read them differently, so the path judged is not the path served",
        met: |_| true,
    },
    Difference {
        name: "open-paths",
        theirs: "`--skip-auth-route` sees one reading of a path",
        ours: "all readings must be open",
        switch: "",
        why: "as above (CVE-2026-41059)",
        met: |setup| setup.opens_paths(),
    },
    Difference {
        name: "method-overrides",
        theirs: "`X-HTTP-Method-Override` and the like reach applications",
        ours: "not from somebody who is not signed in, nor on routes of the gateway",
        switch: "",
        why: "what is open for one method would be open for all",
        met: |setup| setup.opens_paths() || setup.options.skip_auth_preflight,
    },
    Difference {
        name: "cleaned-paths",
        theirs: "cleaning a path escapes it once more",
        ours: "escapes and query stay",
        switch: "",
        why: "`/a%2Fb//c` became `/a%252Fb/c`",
        met: |_| true,
    },
    Difference {
        name: "semicolons",
        theirs: "semicolons in a query are answered with an error",
        ours: "they are passed on",
        switch: "",
        why: "applications may use them",
        met: |setup| !setup.options.allow_query_semicolons,
    },
    Difference {
        name: "large-headers",
        theirs: "headers of any size up to 1 MB",
        ours: "128 kB, then 431",
        switch: "",
        why: "memory of unfinished requests",
        met: |_| true,
    },
    Difference {
        name: "http2",
        theirs: "HTTP/1.1",
        ours: "HTTP/2 too, on TLS listeners",
        switch: "",
        why: "browsers use it",
        met: |setup| setup.serves_tls(),
    },
    Difference {
        name: "stop",
        theirs: "a stop waits for ever",
        ours: "thirty seconds",
        switch: "`--shutdown-timeout`, 0 for ever",
        why: "something else kills it otherwise",
        met: |setup| !setup.is_set("shutdown-timeout"),
    },
    Difference {
        name: "header-dates",
        theirs: "dates in headers end in `UTC`",
        ours: "they end in `GMT`",
        switch: "",
        why: "HTTP demands it",
        met: |_| true,
    },
];
