use std::fmt::Write as _;

use super::*;

fn module(text: &str) -> Source {
    Source { path: "policy/p.rego".into(), under: Vec::new(), content: text.to_owned() }
}

fn data(value: &Value) -> Source {
    Source { path: "roles.json".into(), under: Vec::new(), content: value.to_string() }
}

fn config(text: &str) -> Config {
    Config {
        modules: vec![module(text)],
        data: Vec::new(),
        query: "data.t.allow".to_owned(),
        timeout: Duration::from_secs(10),
    }
}

/// The value of `data.t.allow` in a package `t`.
fn value(rules: &str, input: Value) -> Result<Value, PolicyFault> {
    let config = config(&format!("package t\n{rules}"));
    let rego = Rego::new(&config).unwrap_or_else(|faults| panic!("{faults:?}"));
    evaluate(&rego.engine, &rego.query, input.into(), rego.limit)
}

#[track_caller]
fn refused(config: &Config, expected: &str) {
    let faults = Rego::new(config).map(|_| ()).unwrap_err();
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?} should say {expected:?}");
}

#[test]
fn b26_what_is_undefined_is_denied() {
    let policy = |rule: &str| value(rule, json!({"u": "b", "n": "x"}));
    assert_eq!(policy("allow if input.u == \"b\""), Ok(json!(true)));
    assert_eq!(policy("allow := false"), Ok(json!(false)));
    assert_eq!(policy("allow if input.u == \"a\""), Err(PolicyFault::Undefined));
    assert!(matches!(
        policy("allow := true if input.u\nallow := false if input.u"),
        Err(PolicyFault::Evaluation(_))
    ));
    assert!(matches!(policy("allow if to_number(input.n) > 1"), Err(PolicyFault::Evaluation(_))));
    assert!(matches!(policy("allow := input.u").and_then(Decision::read), Err(PolicyFault::WrongType(_))));
}

#[test]
fn b26_an_error_of_a_function_is_no_yes_below_not() {
    let denied = |rules: &str| {
        let input = json!({"n": "x", "big": 1_000_000_000_000_u64, "list": [1]});
        assert!(matches!(value(rules, input), Err(PolicyFault::Evaluation(_))), "{rules}");
    };
    denied("bad if to_number(input.n) > 5\nallow if not bad");
    denied("bad if bits.lsh(1, input.big) > 5\nallow if not bad");
    denied("bad if count(numbers.range(1, input.big)) > 5\nallow if not bad");
    denied("allow if not json.unmarshal(input.n)");
    denied("allow if not lower(input.list)");
    denied("allow if { every x in input.list { not upper(x) } }");
}

#[test]
fn b28_what_the_engine_would_get_wrong_is_refused_with_its_line() {
    for (call, why) in [
        ("http.send({\"method\": \"GET\", \"url\": \"http://127.0.0.1/\"})", "type opa"),
        ("io.jwt.decode(input.t)", "input.identity"),
        ("io.jwt.decode_verify(input.t, {})", "input.identity"),
        ("crypto.sha256(input.t)", "type opa"),
        ("rand.intn(\"x\", 5)", "from the request alone"),
        ("opa.runtime()", "`data`"),
        ("graph.reachable_paths({}, [])", "graph.reachable"),
        ("json.match_schema({}, {})", "type opa"),
        ("yaml.unmarshal(input.t)", "type opa"),
        ("nobody_knows(1)", "no such function"),
        ("data.other.f(1)", "no such function"),
        ("input.f(1)", "no such function"),
    ] {
        let name = call.split('(').next().unwrap();
        for rule in [
            format!("allow if {call}"),
            format!("allow if not {call}"),
            format!("allow if count([x | x := {call}]) == 0"),
            format!("allow if {{ some x in {{{call}}}; x }}"),
            format!("allow if every x in [1] {{ x == {call} }}"),
            format!("f(x) := {call} if x\nallow if f(1)"),
            format!("allow if input.x else := {call}"),
            format!("allow := {{\"allowed\": {call}}}"),
            format!("allow := v if v := {{k: [1, {{{call}}}] | some k in [1]}}"),
            format!("allow if input[{call}]"),
            format!("allow if input.a == 1 with input.a as {call}"),
            format!("allow if 1 + {call} > 2"),
            format!("unused contains {call}\nallow := true"),
        ] {
            let text = config(&format!("package t\n\n{rule}"));
            let faults = Rego::new(&text).map(|_| ()).unwrap_err();
            let told = faults.iter().any(|fault| {
                fault.starts_with("policy/p.rego:3:") && fault.contains(name) && fault.contains(why)
            });
            assert!(told, "{rule}: {faults:?}");
        }
    }
}

#[test]
fn b28_what_is_no_policy_is_refused_with_its_line() {
    refused(&config("package t\nallow if {"), "policy/p.rego:2:");
    refused(&config("package t\nallow { true }"), "policy/p.rego:2:");
    refused(&config("package t\nother := true"), "data.t.allow");
    refused(&Config { query: "data.t".to_owned(), ..config("package t\nallow := true") }, "path of a rule");
    refused(&Config { query: "allow".to_owned(), ..config("package t\nallow := true") }, "path of a rule");
    refused(&Config { modules: Vec::new(), ..config("") }, "no Rego file");
    refused(&config("package t\nallow := \"yes\""), "it is text");
    refused(&config("package t\nallow := {\"alowed\": true}"), "without \"allowed\"");
    refused(&config("package t\nallow if to_number(\"x\") > 1"), "without a request");
}

#[test]
fn b28_functions_neither_call_themselves_nor_are_replaced() {
    let recursion = "calls itself";
    refused(&config("package t\nf(x) := f(x + 1)\nallow if f(1)"), recursion);
    refused(&config("package t\nf(x) := g(x)\ng(x) := data.t.f(x)\nallow if input.never"), recursion);
    refused(&config("package t\nimport data.t as me\nf(x) := [y | y := me.f(x)]\nallow if f(1)"), recursion);
    refused(&config("package t\nf(x) := data[\"t\"].f(x)\nallow if f(1)"), recursion);
    assert!(Rego::new(&config("package t\na if b\nb if a\nallow if a")).is_err());

    let with = "`with` replaces values";
    refused(&config("package t\nallow if lower(\"A\") == 1 with lower as 1"), with);
    refused(&config("package t\nf(x) := x\nallow if f(1) with f as http.send"), with);
    refused(&config("package t\nf(x) := x\nallow if f(1) with data.t.f as http.send"), with);
    let input = json!({"a": 1});
    assert_eq!(value("b if input.a == 2\nallow if b with input.a as 2", input), Ok(json!(true)));
}

#[test]
fn a_decision_may_be_made_of_several_rules() {
    let text =
        "package t\nallow[\"allowed\"] := input.u == \"a\"\nallow[\"headers\"] := {\"x-role\": input.role}";
    let rego = Rego::new(&config(text)).unwrap();
    let asked = |input: Value| evaluate(&rego.engine, &rego.query, input.into(), rego.limit);
    let both = json!({"allowed": true, "headers": {"x-role": "dev"}});
    assert_eq!(asked(json!({"u": "a", "role": "dev"})), Ok(both));
    assert_eq!(asked(json!({"u": "b"})), Ok(json!({"allowed": false})));
    let computed = "package t\nallow[name] := true if some name in [\"allowed\"]";
    let rego = Rego::new(&config(computed)).unwrap();
    assert_eq!(
        evaluate(&rego.engine, &rego.query, json!({}).into(), rego.limit),
        Ok(json!({"allowed": true}))
    );
    refused(&config("package t\nallow(x) := x"), "path of a rule");
}

#[test]
fn files_of_a_policy_are_one() {
    let library = "package lib\nis_admin(roles) if \"admin\" in roles";
    let text = "package t\nimport data.lib\nimport data.lib as l\nimport data.roles\nimport rego.v1\n\
        allow if { lib.is_admin(roles[input.u]); l.is_admin(roles[input.u]); data.lib.is_admin(data.deep.er.list) }";
    let deep = Source {
        path: "d/deep/er/x.json".into(),
        under: vec!["deep".to_owned(), "er".to_owned()],
        content: json!({"list": ["admin"]}).to_string(),
    };
    let config = Config {
        modules: vec![Source { path: "lib.rego".into(), ..module(library) }, module(text)],
        data: vec![data(&json!({"roles": {"alice": ["admin"], "bob": []}})), deep],
        ..config("")
    };
    let rego = Rego::new(&config).unwrap();
    let asked = |user: &str| evaluate(&rego.engine, &rego.query, json!({"u": user}).into(), rego.limit);
    assert_eq!(asked("alice"), Ok(json!(true)));
    assert_eq!(asked("bob"), Err(PolicyFault::Undefined));
    assert_eq!(asked("carol"), Err(PolicyFault::Undefined));
}

#[test]
fn a_name_has_one_value_from_rules_or_from_one_file() {
    let with =
        |values: Vec<Source>| Config { data: values, ..config("package t\nallow := input.x == 1\np.q := 1") };
    refused(&with(vec![data(&json!({"t": {"allow": true}}))]), "roles.json gives a value");
    refused(&with(vec![data(&json!({"t": 1}))]), "roles.json gives a value");
    refused(&with(vec![data(&json!({"t": {"p": {"q": 2}}}))]), "roles.json gives a value");
    let under = Source { under: vec!["t".to_owned()], ..data(&json!({"allow": true})) };
    refused(&with(vec![under]), "roles.json gives a value");
    refused(&with(vec![data(&json!({"a": 1})), data(&json!({"a": 2}))]), "already has");
    refused(&with(vec![data(&json!([1]))]), "an object");
    assert!(
        Rego::new(&with(vec![data(&json!({"a": {"b": 1}})), data(&json!({"a": {"c": 2}, "t": {"r": 1}}))]))
            .is_ok()
    );
}

#[test]
fn nothing_of_an_evaluation_is_left_for_the_next() {
    let rego = Rego::new(&config("package t\nallow if input.u == \"a\"")).unwrap();
    for _ in 0..3 {
        let asked = |input: Value| evaluate(&rego.engine, &rego.query, input.into(), rego.limit);
        assert_eq!(asked(json!({"u": "a"})), Ok(json!(true)));
        assert_eq!(asked(json!({"u": "b"})), Err(PolicyFault::Undefined));
        assert_eq!(asked(json!({})), Err(PolicyFault::Undefined));
    }
}

/// Ends after hours, for those whom it is meant for.
const ENDLESS: &str = "package t\nallow if not slow\n\
    slow if { input.parsed_path[0] == \"slow\"; some a in numbers.range(1, 50000); some b in numbers.range(1, 50000); \
    a * b == -1 }";

#[test]
fn an_evaluation_ends_at_its_limit() {
    let rego = Rego::new(&config(ENDLESS)).unwrap();
    let slow = json!({"parsed_path": ["slow"]});
    let result = evaluate(&rego.engine, &rego.query, slow.into(), Duration::from_millis(20));
    assert_eq!(result, Err(PolicyFault::Timeout));
}

#[test]
fn values_are_written_as_json() {
    let all =
        "allow := {\"set\": {3, 1}, \"list\": [1.5, null], \"text\": \"ä\", \"nested\": {\"a\": {true}}}";
    let expected = json!({"set": [1, 3], "list": [1.5, null], "text": "ä", "nested": {"a": [true]}});
    let config = Config {
        query: "data.t.all".to_owned(),
        ..config(&format!("package t\n{all}").replace("allow", "all"))
    };
    let engine = {
        let mut engine = Engine::new();
        engine.add_policy("p".to_owned(), config.modules[0].content.clone()).unwrap();
        engine
    };
    assert_eq!(evaluate(&engine, "data.t.all", json!({}).into(), FIRST), Ok(expected));
}

#[test]
fn chains_of_rules_end_before_a_threads_stack_does() {
    let functions = |length: usize| {
        let mut text = format!("package t\nf0(x) := x\nallow if f{length}(input.x) == 1\n");
        for i in 1..=length {
            let _ = writeln!(text, "f{i}(x) := y if {{ y := [z | some v in [x]; z := f{}(v)][0] }}", i - 1);
        }
        text
    };
    let rules = |length: usize| {
        let mut text = format!("package t\nr0 := input.x\nallow if r{length} == 1\n");
        for i in 1..=length {
            let _ = writeln!(text, "r{i} := y if {{ y := [z | some v in [1]; z := data.t.r{}][0] }}", i - 1);
        }
        text
    };
    for text in [functions(1000), rules(1000), functions(60), rules(60)] {
        refused(&config(&text), "shorten it");
    }
    // Debug builds need several times the stack of what is shipped.
    let tried = std::thread::Builder::new().stack_size(16 * 1024 * 1024).spawn(move || {
        for text in [functions(40), rules(40)] {
            let rego = Rego::new(&config(&text)).unwrap();
            assert_eq!(evaluate(&rego.engine, &rego.query, json!({"x": 1}).into(), FIRST), Ok(json!(true)));
        }
    });
    tried.unwrap().join().unwrap();
}

#[test]
fn errors_are_told_in_one_line() {
    let faults = Rego::new(&config("package t\nallow if {\n  x := \n}")).map(|_| ()).unwrap_err();
    assert!(
        faults.iter().all(|fault| !fault.contains('\n') && fault.starts_with("policy/p.rego:")),
        "{faults:?}"
    );
}
