//! Values written the way Python writes them, because chat templates were written against Python: `json.dumps` with
//! `ensure_ascii=False`, and `repr`/`str` of containers, truth values and numbers.

use std::fmt::Write as _;

use serde_json::Value;

/// `json.dumps(value, ensure_ascii=False, indent=indent)`: keys in their order, `", "` and `": "` between them.
pub(crate) fn json(value: &Value, indent: Option<usize>) -> String {
    let mut out = String::new();
    write_json(&mut out, value, indent, 0);
    out
}

fn write_json(out: &mut String, value: &Value, indent: Option<usize>, depth: usize) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            write_items(out, ('[', ']'), items.iter(), indent, depth, |out, item| {
                write_json(out, item, indent, depth + 1)
            });
        }
        Value::Object(members) if !members.is_empty() => {
            write_items(out, ('{', '}'), members.iter(), indent, depth, |out, (key, member)| {
                write_json_string(out, key);
                out.push_str(": ");
                write_json(out, member, indent, depth + 1);
            });
        }
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::String(text) => write_json_string(out, text),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Null => out.push_str("null"),
    }
}

fn write_items<T>(
    out: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    indent: Option<usize>,
    depth: usize,
    mut write_item: impl FnMut(&mut String, T),
) {
    let line_break = |out: &mut String, depth: usize| {
        if let Some(width) = indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    out.push(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push_str(if indent.is_some() { "," } else { ", " });
        }
        line_break(out, depth + 1);
        write_item(out, item);
    }
    line_break(out, depth);
    out.push(close);
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// `repr` of a number: a float keeps its point, and the exponent form begins at 1e16 and below 1e-4.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => number.to_string(),
    }
}

fn float_text(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    if float.fract() == 0.0 { format!("{float:.1}") } else { float.to_string() }
}

/// `str(value)`: a text as it is, everything else as `repr`.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

fn repr(value: &Value) -> String {
    let mut out = String::new();
    write_repr(&mut out, value);
    out
}

fn write_repr(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_repr_string(out, text),
        Value::Array(items) => write_items(out, ('[', ']'), items.iter(), None, 0, write_repr),
        Value::Object(members) => write_items(out, ('{', '}'), members.iter(), None, 0, |out, (key, member)| {
            write_repr_string(out, key);
            out.push_str(": ");
            write_repr(out, member);
        }),
    }
}

fn write_repr_string(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if (c as u32) < 0x20 || c == '\u{7f}' => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = value!({"b": [1, 2.0, -0.5, null, true], "a": {"é": "\"\n\u{1}<&>"}, "e": [], "o": {}});
        assert_eq!(
            json(&value, None),
            r#"{"b": [1, 2.0, -0.5, null, true], "a": {"é": "\"\n\u0001<&>"}, "e": [], "o": {}}"#
        );
        assert_eq!(json(&value!({"a": [1, 2]}), Some(2)), "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
    }

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (float, expected) in
            [(1e16, "1e+16"), (1.5e300, "1.5e+300"), (1e-5, "1e-05"), (0.1, "0.1"), (100.0, "100.0"), (0.0, "0.0")]
        {
            assert_eq!(float_text(float), expected);
        }
    }

    #[test]
    fn containers_print_as_python_prints_them() {
        let value = value!({"it's": "a \"q\"", "n": null, "t": true, "l": ["x\n"]});
        assert_eq!(text(&value), r#"{"it's": 'a "q"', 'n': None, 't': True, 'l': ['x\n']}"#);
        assert_eq!(text(&value!("plain")), "plain");
    }
}
