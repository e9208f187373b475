//! The engine's built-in functions, bounded. Its clock is only looked at between calls, so a single call must neither take
//! long nor make much, whatever stands in a request: what would is an error, as is a result that is undefined, which
//! `not` would turn into a yes.

use regorus::{
    Engine, Value,
    unstable::{BUILTINS, Expr, Ref, Source, Span},
};

/// The longest text that a function makes of shorter ones, in bytes.
const LONGEST_TEXT: usize = 1024 * 1024;
const LONGEST_RANGE: u64 = 100_000;
/// Decimal digits of a number in a text.
const LONGEST_NUMBER: usize = 40;
const MOST_FACTORS: usize = 1000;
const WIDEST_SHIFT: u64 = 1024;
/// The bits of a network's addresses, so that it has 65,536 at most.
const WIDEST_NETWORK: u32 = 16;
/// Width and precision in a format.
const WIDEST_FIELD: usize = 1000;
const LONGEST_PATTERN: usize = 4096;

/// Functions that are rightly undefined for some arguments, as they are in Open Policy Agent.
const MAY_BE_UNDEFINED: [&str; 3] = ["max", "min", "uuid.parse"];
/// Functions that the engine itself treats in a way of their own: results are made one by one, kept for the evaluation, or
/// none.
const SPECIAL: [&str; 4] = ["trace", "time.now_ns", "uuid.rfc4122", "walk"];

/// Puts a bound before each function.
pub(super) fn install(engine: &mut Engine) -> anyhow::Result<()> {
    let source = Source::from_contents("built-in function".to_owned(), String::new())?;
    let span = Span { source, line: 1, col: 1, start: 0, end: 0 };
    for (&name, &(function, arity)) in BUILTINS.iter() {
        if SPECIAL.contains(&name) {
            continue;
        }
        let parameter = || Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
        let parameters: Vec<_> = (0..arity).map(|_| parameter()).collect();
        let span = span.clone();
        let guarded = move |arguments: Vec<Value>| {
            if let Err(TooMuch) = bounded(name, &arguments) {
                anyhow::bail!("{name} would make too much of its arguments");
            }
            let value = function(&span, &parameters, &arguments, true)
                .map_err(|error| anyhow::anyhow!("{name}: {}", super::complaint(&error)))?;
            if value == Value::Undefined && !MAY_BE_UNDEFINED.contains(&name) {
                anyhow::bail!("{name} has no result for its arguments");
            }
            Ok(value)
        };
        engine.add_extension(name.to_owned(), arity, Box::new(guarded))?;
    }
    Ok(())
}

struct TooMuch;

fn bounded(name: &str, arguments: &[Value]) -> Result<(), TooMuch> {
    let within = match (name, arguments) {
        ("numbers.range", [from, to]) | ("numbers.range_step", [from, to, _]) => range(from, to),
        ("bits.lsh", [_, shift]) => shift.as_u64().is_ok_and(|shift| shift <= WIDEST_SHIFT),
        ("to_number" | "units.parse" | "units.parse_bytes", [Value::String(text)]) => {
            text.len() <= LONGEST_NUMBER
        }
        ("product", [values]) => size(values) <= MOST_FACTORS,
        ("net.cidr_expand", [Value::String(network)]) => network_is_small(network),
        ("sprintf", [Value::String(format), values]) => format_is_small(format, values),
        ("concat", [Value::String(between), values]) => {
            size(values).saturating_mul(between.len()).saturating_add(length(values)) <= LONGEST_TEXT
        }
        ("replace", [Value::String(text), Value::String(old), Value::String(new)]) => {
            let found = if old.is_empty() { text.len() + 1 } else { text.matches(&**old).count() };
            text.len().saturating_add(found.saturating_mul(new.len())) <= LONGEST_TEXT
        }
        ("strings.replace_n", [patterns, Value::String(text)]) => {
            replaced(patterns, text.len()) <= LONGEST_TEXT
        }
        ("regex.replace", [Value::String(text), Value::String(pattern), Value::String(new)]) => {
            pattern.len() <= LONGEST_PATTERN && (text.len() + 1).saturating_mul(new.len() + 1) <= LONGEST_TEXT
        }
        ("regex.globs_match", [Value::String(one), Value::String(other)]) => {
            one.len().max(other.len()) <= 256
        }
        ("json.marshal_with_options", [_, options]) => length(options) <= 64,
        (name, [Value::String(pattern), ..]) if name.starts_with("regex.") || name.starts_with("glob.") => {
            pattern.len() <= LONGEST_PATTERN
        }
        _ => true,
    };
    if within { Ok(()) } else { Err(TooMuch) }
}

fn range(from: &Value, to: &Value) -> bool {
    match (from.as_i64(), to.as_i64()) {
        (Ok(from), Ok(to)) => from.abs_diff(to) < LONGEST_RANGE,
        // Those that are no whole numbers are refused by the function itself, numbers beyond these here.
        _ => !is_huge(from) && !is_huge(to),
    }
}

fn is_huge(value: &Value) -> bool {
    value.as_f64().is_ok_and(|number| number.abs() >= 9.0e15)
}

/// How many items a collection has.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Set(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 1,
    }
}

/// How long the texts in a value are together.
fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(length).fold(0, usize::saturating_add),
        Value::Set(items) => items.iter().map(length).fold(0, usize::saturating_add),
        Value::Object(fields) => {
            let both = |(key, value): (&Value, &Value)| length(key).saturating_add(length(value));
            fields.iter().map(both).fold(0, usize::saturating_add)
        }
        _ => 24,
    }
}

/// How long a text of this length may become if all these are replaced in it, one after the other.
fn replaced(patterns: &Value, length: usize) -> usize {
    let Value::Object(patterns) = patterns else { return length };
    let longer = |(_, new): (&Value, &Value)| match new {
        Value::String(new) => new.len().max(1),
        _ => 1,
    };
    patterns.iter().map(longer).fold(length.max(1), usize::saturating_mul)
}

fn network_is_small(network: &str) -> bool {
    let Some((address, prefix)) = network.split_once('/') else { return true };
    let bits = if address.contains(':') { 128 } else { 32 };
    prefix.trim().parse::<u32>().map_or(true, |prefix| bits - prefix.min(bits) <= WIDEST_NETWORK)
}

/// A format may widen what it shows, and show the same value several times.
fn format_is_small(format: &str, values: &Value) -> bool {
    let widths = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let narrow = |digits: &str| digits.parse::<usize>().is_ok_and(|width| width <= WIDEST_FIELD);
    let shown = format.matches('%').count();
    let longest = length(values).saturating_mul(2).saturating_add(WIDEST_FIELD);
    !format.contains('*')
        && widths.into_iter().all(narrow)
        && shown.saturating_mul(longest).saturating_add(format.len()) <= LONGEST_TEXT
}

#[cfg(test)]
mod tests;
