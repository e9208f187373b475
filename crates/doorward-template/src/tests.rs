//! Laws of templates. What Go renders is in `tests/go_*.json`; here are the bounds, the messages and the shapes of
//! pages people have.

use serde_json::Value as Json;

use crate::{RenderError, Segment, Template, Value, escape_html};

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => match entries.get("$html") {
            Some(markup) => Value::Html(markup.as_str().unwrap().to_owned()),
            None => entries.iter().map(|(key, entry)| (key.clone(), value(entry))).collect(),
        },
    }
}

/// The cases of a table: template, values, and what Go made of it, if anything.
fn table(source: &str) -> Vec<(String, Value, Option<String>)> {
    let table: Json = serde_json::from_str(source).unwrap();
    let case = |case: &Json| {
        let mut data = table["data"].as_object().unwrap().clone();
        if let Some(set) = case["set"].as_object() {
            data.extend(set.clone());
        }
        let expected = case["expected"].as_str().map(str::to_owned);
        (case["template"].as_str().unwrap().to_owned(), value(&Json::Object(data)), expected)
    };
    table["cases"].as_array().unwrap().iter().map(case).collect()
}

const HTML: [&str; 2] = [include_str!("../tests/go_html.json"), include_str!("../tests/go_random.json")];
const TEXT: &str = include_str!("../tests/go_text.json");

#[track_caller]
fn page(source: &str, vars: impl Into<Value>) -> String {
    Template::html("page", source).unwrap().render(&vars.into()).unwrap()
}

#[track_caller]
fn line(source: &str, vars: impl Into<Value>) -> String {
    Template::text("line", source).unwrap().render(&vars.into()).unwrap()
}

#[test]
fn pages_render_as_go_renders_them() {
    for (source, data, expected) in HTML.iter().flat_map(|source| table(source)) {
        let got = Template::html("page", &source).ok().and_then(|template| template.render(&data).ok());
        assert_eq!(got, expected, "{source}");
    }
}

#[test]
fn lines_render_as_go_renders_them() {
    for (source, data, expected) in table(TEXT) {
        let got = Template::text("page", &source).ok().and_then(|template| template.render(&data).ok());
        assert_eq!(got, expected, "{source}");
    }
}

#[test]
fn what_is_missing_is_empty_and_no_error() {
    let vars = || Value::from([("N", Value::Int(1))]);
    assert_eq!(
        page("<p>{{.No}}{{.No.Deeper}}{{.No | html}}{{ToUpper .No}}{{len .No}}</p>", vars()),
        "<p>0</p>"
    );
    assert_eq!(page(r#"{{if eq .No "-"}}a{{else}}b{{end}}{{if ne .No ""}}c{{end}}"#, vars()), "bc");
    assert_eq!(page("<a title={{.No}}>", vars()), "<a title=ZgotmplZ>");
    assert_eq!(line("[{{.No}}]", vars()), "[<no value>]");
}

#[test]
fn known_differences_are_on_the_strict_side() {
    for source in ["{{1.5}}", "{{call .F}}", "{{if false}}{{template \"nowhere\"}}{{end}}", "{{$x = 1}}"] {
        assert!(Template::html("page", source).is_err(), "{source}");
    }
    // Go takes this slash for a division, and what follows for the inside of a string.
    let source = r#"<script>a = b < /"/; c = {{.V}}</script>"#;
    assert_eq!(page(source, [("V", "x".into())]), r#"<script>a = b < /"/; c = "x"</script>"#);
    // From its second time on, a loop may stand in a query.
    let source = r#"<a href="{{range .L}}{{.}}?{{end}}">"#;
    let list = || Value::List(vec!["a&b".into(), "a&b".into()]);
    assert_eq!(page(source, [("L", list())]), r#"<a href="a&amp;b?a%26b?">"#);
}

#[test]
fn markup_of_the_operator_stays_markup_in_text_only() {
    let vars = || Value::from([("H", Value::Html("<b class=\"x\">a & b</b>".to_owned()))]);
    assert_eq!(page("<p>{{.H}}</p>", vars()), "<p><b class=\"x\">a & b</b></p>");
    assert_eq!(page("<p title=\"{{.H}}\">", vars()), "<p title=\"a & b\">");
    assert_eq!(
        page("<title>{{.H}}</title>", vars()),
        "<title>&lt;b class=&#34;x&#34;&gt;a & b&lt;/b&gt;</title>"
    );
    assert_eq!(page("<p>{{print .H}}</p>", vars()), "<p>&lt;b class=&#34;x&#34;&gt;a &amp; b&lt;/b&gt;</p>");
    assert!(!page("<script>x = {{.H}}</script>", vars()).contains("<b"));
    let whole = |text: &str| Value::from([("S", Value::Html(text.to_owned()))]);
    assert_eq!(page("<style>{{.S}}</style>", whole("a>b{c:\"d\"}")), "<style>a>b{c:\"d\"}</style>");
    assert_eq!(page("<style>{{.S}}</style>", whole("</STYLE><script>")), "<style>ZgotmplZ</style>");
    assert_eq!(page("<style>{{.S}}</style>", [("S", "a{}".into())]), "<style>ZgotmplZ</style>");
    assert_eq!(page("<script>{{.S}}</script>", whole("f(\"x\")")), "<script>f(\"x\")</script>");
    assert_eq!(page("<script>{{.S}}</script>", whole("f(\"</Script>\")")), "<script>ZgotmplZ</script>");
    assert_eq!(page("<script>{{.S}}</script>", [("S", "f()".into())]), "<script>\"f()\"</script>");
    assert_eq!(page("<script>x={{.S}}</script>", whole("f()")), "<script>x=\"f()\"</script>");
    assert_eq!(page("<script>{{if .S}}{{end}}{{.S}}</script>", whole("f()")), "<script>f()</script>");
    assert_eq!(page("<script>{{if .S}}x={{end}}{{.S}}</script>", whole("f()")), "<script>x=\"f()\"</script>");
}

#[test]
fn a_value_never_leaves_its_place() {
    let evil = [
        "\"><script>alert(1)</script>",
        "'><img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        " javascript:alert(1)",
        "\u{1}javascript:alert(1)",
        "java\nscript:alert(1)",
        "</script><script>alert(1)//",
        "`${alert(1)}`",
        "\\",
        "\u{2028}alert(1)",
        "}</style><script>alert(1)</script>",
        "--><script>alert(1)</script>",
        "x onmouseover=alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "/*",
        "*/alert(1)/*",
    ];
    let places = [
        ("<p>", "</p>"),
        ("<p title=\"", "\">"),
        ("<p title='", "'>"),
        ("<p title=", " x>"),
        ("<a href=\"", "\">"),
        ("<a href=", ">"),
        ("<script>x = ", ";</script>"),
        ("<script>x = \"", "\";</script>"),
        ("<script>x = '", "';</script>"),
        ("<script>x = `", "`;</script>"),
        ("<a onclick=\"f(", ")\">"),
        ("<style>a{b:", "}</style>"),
        ("<title>", "</title>"),
        ("<!-- ", " -->"),
    ];
    for (before, after) in places {
        let template = Template::html("page", &format!("{before}{{{{.V}}}}{after}")).unwrap();
        for text in evil {
            let out = template.render(&[("V", text.into())].into()).unwrap();
            let inner =
                out.strip_prefix(before.trim_end_matches(' ')).or_else(|| out.strip_prefix("")).unwrap();
            let inner = inner.strip_suffix(after).unwrap_or(inner);
            let forbidden: &[&str] = match before {
                "<p title=\"" | "<a href=\"" | "<a onclick=\"f(" => &["\"", "<", "javascript:", "data:"],
                "<p title='" => &["'", "<"],
                "<p title=" | "<a href=" => &[" ", "\"", "'", "<", ">", "=", "`", "\n"],
                "<script>x = " | "<style>a{b:" => &["<", "\u{2028}"],
                "<script>x = \"" => &["<", "\"", "\u{2028}", "\n"],
                "<script>x = '" => &["<", "'", "\u{2028}", "\n"],
                "<script>x = `" => &["<", "`", "${"],
                _ => &["<", ">"],
            };
            let forbidden: Vec<_> = forbidden
                .iter()
                .filter(|bad| inner.contains(**bad))
                // In an ordinary attribute, and inside of quotes, such words are only text.
                .filter(|bad| !(bad.ends_with(':') && before != "<a href=\""))
                .collect();
            assert!(forbidden.is_empty(), "{text:?} in {before}: {out} has {forbidden:?}");
        }
    }
}

#[test]
fn a_mistake_names_template_and_line() {
    let message = |source: &str| Template::html("sign_in.html", source).unwrap_err().to_string();
    assert_eq!(message("{{if .x}"), "template sign_in.html, line 1: unexpected '}' after .x");
    assert_eq!(message("a\nb\n{{nope .x}}"), "template sign_in.html, line 3: function \"nope\" is not known");
    assert_eq!(
        message("a\n{{if .x}}\nb\n"),
        "template sign_in.html, line 2: missing {{end}} of the action in line 2"
    );
    assert_eq!(
        message("<p>\n<p title=\"\n"),
        "template sign_in.html, line 3: the page ends inside of an attribute value"
    );
    assert_eq!(
        message("\n\n{{if .A}}<script>{{end}}"),
        "template sign_in.html, line 3: one branch ends in a script, the other in text or another part of it"
    );
    assert_eq!(
        message("<p>\n\n<p class=a\"b>"),
        "template sign_in.html, line 3: \"\\\"\" in an attribute value without quotes: \"a\\\"b\""
    );
    let error =
        Template::text("x", "\n{{lt .A 1}}").unwrap().render(&[("A", "b".into())].into()).unwrap_err();
    assert_eq!(error.to_string(), "line 2: cannot order string and int");
}

#[test]
fn the_named_block_is_run_if_there_is_one() {
    assert_eq!(page("{{define \"page\"}}in{{end}} out", Value::Nil), "in");
    assert_eq!(page("{{define \"other\"}}in{{end}}out", Value::Nil), "out");
}

#[test]
fn log_formats_of_plain_fields_need_no_run() {
    let template = Template::text("auth", "{{.Client}} - [{{.Timestamp}}]{{/* c */}} x").unwrap();
    let literal = |text: &str| Segment::Literal(text.to_owned());
    let field = |name: &str| Segment::Field(name.to_owned());
    assert_eq!(
        template.segments().unwrap(),
        [field("Client"), literal(" - ["), field("Timestamp"), literal("] x")]
    );
    for source in ["{{.A.B}}", "{{.A | len}}", "{{if .A}}x{{end}}", "{{.}}", "{{$x := .A}}"] {
        assert_eq!(Template::text("x", source).unwrap().segments(), None, "{source}");
    }
    assert_eq!(Template::html("x", "{{.A}}").unwrap().segments(), None);
    assert_eq!(Template::text("x", "").unwrap().segments().unwrap(), []);
}

#[test]
fn fields_are_those_of_the_value_at_the_top() {
    let fields = |source: &str| Template::text("x", source).unwrap().fields().join(" ");
    assert_eq!(
        fields("{{.A}} {{.B.C}} {{$.D}} {{print .E (len .F)}} {{if .G}}{{.H}}{{end}}"),
        "A B D E F G H"
    );
    assert_eq!(
        fields("{{range .A}}{{.No}}{{$.B}}{{end}}{{with .C}}{{.No}}{{end}}{{with .}}{{.D}}{{end}}"),
        "A B C D"
    );
    assert_eq!(fields("{{define \"t\"}}{{.A}}{{$.B}}{{end}}{{template \"t\" .}}"), "A B");
    assert_eq!(
        fields("{{define \"t\"}}{{.No}}{{end}}{{template \"t\" .C}}{{define \"u\"}}{{.No}}{{end}}"),
        "C"
    );
    assert_eq!(fields("plain"), "");
}

#[test]
fn text_is_escaped_and_borrowed_where_it_can_be() {
    assert_eq!(escape_html("a<b>&\"'+\0"), "a&lt;b&gt;&amp;&#34;&#39;&#43;\u{fffd}");
    assert!(matches!(escape_html("plain ü"), std::borrow::Cow::Borrowed("plain ü")));
}

#[test]
fn hostile_sources_are_refused_and_never_crash() {
    let deep = [
        "{{if .a}}".repeat(100_000),
        "{{range .a}}".repeat(100_000),
        format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000)),
        "{{define \"a\"}}".repeat(100_000),
        "{{block \"a\" .}}".repeat(50_000),
        format!("{}{}", "{{range .a}}".repeat(60), "{{end}}".repeat(60)),
        format!("<script>{}", "`${".repeat(10_000)),
        "x".repeat((1 << 20) + 1),
        format!("<p title=\"{}", "{{range .a}}{{.}}".repeat(64)),
    ];
    for source in &deep {
        let start: String = source.chars().take(40).collect();
        let refused = Template::html("page", source).is_err();
        let harmless = refused || Template::html("page", source).unwrap().render(&Value::Nil).is_ok();
        assert!(harmless, "{start}");
    }
    let long_chain = format!("{{{{if .a}}}}{}{{{{end}}}}", "{{else if .a}}x".repeat(20_000));
    assert_eq!(page(&long_chain, Value::Nil), "");
}

#[test]
fn a_rendering_is_bounded() {
    let error = |source: &str| {
        let template = Template::html("page", source).unwrap();
        template.render(&[("L", Value::List(vec![Value::Nil; 1000]))].into()).unwrap_err()
    };
    assert_eq!(error("{{range 9000000}}{{end}}"), RenderError::TooMuchWork);
    assert_eq!(
        error("{{range .L}}{{range $.L}}{{range $.L}}{{end}}{{end}}{{end}}"),
        RenderError::TooMuchWork
    );
    assert_eq!(error("{{$x := \"aaaa\"}}{{range 60}}{{$x = print $x $x}}{{end}}"), RenderError::TooMuchWork);
    assert_eq!(
        error("{{$x := \"aaaa\"}}{{range 60}}{{$x = printf \"%s%s\" $x $x}}{{end}}"),
        RenderError::TooMuchWork
    );
    let wide = format!("{{{{range 100000}}}}{}{{{{end}}}}", "x".repeat(100));
    assert_eq!(error(&wide), RenderError::OutputTooLong);
    let recursive = "{{define \"a\"}}\n{{template \"a\" .}}{{end}}{{template \"a\" .}}";
    assert_eq!(error(recursive), RenderError::TooDeep { line: 2 });
    let chain: Vec<String> = (0..5000)
        .map(|n| format!("{{{{define \"t{n}\"}}}}{{{{template \"t{}\"}}}}{{{{end}}}}", n + 1))
        .collect();
    let chain = chain.concat();
    assert!(Template::html("page", &format!("{chain}{{{{template \"t0\"}}}}")).is_err());
}

/// Every prefix of every known template, and every known template with a sign changed: an answer, never a panic.
#[test]
fn damaged_templates_are_answered() {
    let signs =
        ["{", "}", "{{", "}}", "<", ">", "\"", "'", "`", "/", "-", "|", "$", ".", "(", "\\", "ü", "\n"];
    let mut state = 7_u32;
    for (source, data, _) in HTML.iter().flat_map(|source| table(source)).chain(table(TEXT)) {
        for _ in 0..8 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (state >> 8) as usize;
            let at =
                source.char_indices().nth(random % source.chars().count().max(1)).map_or(0, |(at, _)| at);
            let (head, tail) = source.split_at(at);
            let sign = signs[random / 7 % signs.len()];
            for damaged in [head.to_owned(), tail.to_owned(), format!("{head}{sign}{tail}")] {
                let templates = [Template::html("page", &damaged), Template::text("page", &damaged)];
                for template in templates.into_iter().flatten() {
                    let _ = template.render(&data);
                }
            }
        }
    }
}
