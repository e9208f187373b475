use serde_json::json;

use super::*;

fn call(function: &str, arguments: &[serde_json::Value]) -> anyhow::Result<Value> {
    let mut engine = Engine::new();
    install(&mut engine).unwrap();
    let names: Vec<_> = (0..arguments.len()).map(|i| format!("input[{i}]")).collect();
    let text = format!("package t\nx := {function}({})", names.join(", "));
    engine.add_policy("p.rego".to_owned(), text)?;
    engine.set_input(json!(arguments).into());
    engine.eval_rule("data.t.x".to_owned())
}

#[track_caller]
fn too_much(function: &str, arguments: &[serde_json::Value]) {
    let error = call(function, arguments).unwrap_err().to_string();
    assert!(error.contains("too much"), "{function}: {error}");
}

#[test]
fn no_call_makes_much_of_little() {
    let long = "a".repeat(30_000);
    too_much("numbers.range", &[json!(1), json!(1_000_000_000_000_000_u64)]);
    too_much("numbers.range", &[json!(-9e18), json!(9e18)]);
    too_much("numbers.range", &[json!(1), json!(1e300)]);
    too_much("numbers.range_step", &[json!(1), json!(1_000_000_000), json!(1)]);
    too_much("bits.lsh", &[json!(1), json!(100_000_000_000_u64)]);
    too_much("to_number", &[json!("9".repeat(1000))]);
    too_much("net.cidr_expand", &[json!("0.0.0.0/0")]);
    too_much("net.cidr_expand", &[json!("10.0.0.0/8")]);
    too_much("net.cidr_expand", &[json!("2001:db8::/64")]);
    too_much("sprintf", &[json!("%2000000000d"), json!([1])]);
    too_much("sprintf", &[json!("%*d"), json!([2_000_000_000, 1])]);
    too_much("sprintf", &[json!("%.2000000f"), json!([1.5])]);
    too_much("sprintf", &[json!("%[1]s".repeat(1000)), json!([long])]);
    too_much("replace", &[json!(long), json!("a"), json!(long)]);
    too_much("replace", &[json!(long), json!(""), json!(long)]);
    too_much("strings.replace_n", &[json!({"a": long, "b": long}), json!(long)]);
    too_much("regex.replace", &[json!(long), json!("a"), json!("$0".repeat(1000))]);
    too_much("regex.match", &[json!("(".repeat(100_000)), json!("a")]);
    too_much("glob.match", &[json!("*".repeat(100_000)), json!([]), json!("a")]);
    too_much("concat", &[json!(long), json!(vec!["a"; 1000])]);
    too_much("product", &[json!(vec![1_000_000_007; 10_000])]);
    too_much("json.marshal_with_options", &[json!([1]), json!({"indent": " ".repeat(1000)})]);
}

#[test]
fn ordinary_calls_are_as_they_were() {
    let arguments = [json!("%s-%05d %v"), json!(["a", 42, true])];
    assert_eq!(call("sprintf", &arguments).unwrap(), json!("a-00042 true").into());
    for (function, arguments, result) in [
        ("numbers.range", vec![json!(3), json!(1)], json!([3, 2, 1])),
        ("replace", vec![json!("a.b.c"), json!("."), json!("-")], json!("a-b-c")),
        ("strings.replace_n", vec![json!({"<": "&lt;", ">": "&gt;"}), json!("<b>")], json!("&lt;b&gt;")),
        ("regex.replace", vec![json!("abc"), json!("b"), json!("x")], json!("axc")),
        ("concat", vec![json!("/"), json!(["a", "b"])], json!("a/b")),
        ("to_number", vec![json!("12.5")], json!(12.5)),
        ("product", vec![json!([2, 3])], json!(6)),
        ("bits.lsh", vec![json!(1), json!(4)], json!(16)),
        ("net.cidr_contains", vec![json!("10.0.0.0/8"), json!("10.1.2.3")], json!(true)),
        ("glob.match", vec![json!("*.example.com"), json!(["."]), json!("a.example.com")], json!(true)),
        ("max", vec![json!([1, 3])], json!(3)),
        ("object.get", vec![json!({"a": 1}), json!("b"), json!(2)], json!(2)),
        ("split", vec![json!("a/b"), json!("/")], json!(["a", "b"])),
    ] {
        assert_eq!(call(function, &arguments).unwrap(), result.into(), "{function}");
    }
}

#[test]
fn no_result_is_an_error_but_where_there_can_be_none() {
    assert_eq!(call("max", &[json!([])]).unwrap(), Value::Undefined);
    assert_eq!(call("min", &[json!([])]).unwrap(), Value::Undefined);
    // Undefined arguments are the rule's own business.
    assert!(call("lower", &[]).is_err());
    for (function, arguments) in [
        ("lower", vec![json!(1)]),
        ("json.unmarshal", vec![json!("{")]),
        ("base64.decode", vec![json!("%")]),
        ("regex.match", vec![json!("("), json!("a")]),
        ("time.parse_rfc3339_ns", vec![json!("yesterday")]),
        ("semver.compare", vec![json!("x"), json!("1.0.0")]),
        ("net.cidr_contains", vec![json!("x"), json!("10.0.0.1")]),
        ("bits.and", vec![json!(1.5), json!(1)]),
    ] {
        assert!(call(function, &arguments).is_err(), "{function}");
    }
}
