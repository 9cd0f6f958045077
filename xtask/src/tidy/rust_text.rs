//! Rust as the rules need it: the text with comments and literals blanked out, the parts that only tests see, and where
//! functions begin and end. A scanner, not a parser: it knows quotes, comments and brackets.

use std::ops::Range;

/// The text with comments, strings and characters turned to spaces; every byte and line stays where it was.
#[must_use]
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(bytes, at);
        if let Some(end) = end {
            let end = end.min(bytes.len());
            code[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
            at = end.max(at + 1);
        } else {
            at += 1;
        }
    }
    // Only whole literals were blanked, so what is left is UTF-8.
    String::from_utf8_lossy(&code).into_owned()
}

/// Where the comment or literal that begins at `at` ends.
fn literal_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(at + quoted(rest)),
        [b'r', b'"' | b'#', ..] if !is_word(bytes, at) => raw(rest).map(|length| at + length),
        [b'\'', ..] => character(rest).map(|length| at + length),
        _ => None,
    }
}

/// Whether the byte before continues a word (`br"` does: a raw byte string is a literal all the same).
fn is_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    before.is_some_and(|byte| (byte.is_ascii_alphanumeric() || *byte == b'_') && *byte != b'b' && *byte != b'c')
}

fn block_comment(rest: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw(rest: &[u8]) -> Option<usize> {
    let n_hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + n_hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', n_hashes)).collect();
    let body = &rest[2 + n_hashes..];
    let length = body.windows(close.len()).position(|window| window == close).unwrap_or(body.len());
    Some(2 + n_hashes + length + close.len())
}

/// A character; a lifetime is none.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.get(3..)?.iter().position(|byte| *byte == b'\'')?;
        return Some(3 + close + 1);
    }
    let text = rest.get(1..rest.len().min(6))?;
    let width = match text.first()? {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

/// [`code_only`] without the items under `#[cfg(test)]`.
#[must_use]
pub fn code_without_tests(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut code = code_only(text).into_bytes();
    while let Some(start) = find(&code, MARK.as_bytes(), 0) {
        let end = item_end(&code, start + MARK.len());
        code[start..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Modules declared as `#[cfg(test)] mod name;`.
#[must_use]
pub fn test_modules(text: &str) -> Vec<String> {
    let code = code_only(text);
    let items = code.split("#[cfg(test)]").skip(1);
    items
        .filter_map(|item| {
            let item = item.trim_start().trim_start_matches("pub ");
            let (name, _) = item.strip_prefix("mod ")?.split_once(';')?;
            (!name.contains('{')).then(|| name.trim().to_owned())
        })
        .collect()
}

/// A function's name and lines, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// First line to one past the last.
    pub lines: Range<usize>,
}

/// Every function with a body in [`code_only`] text.
#[must_use]
pub fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let line = |at: usize| bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find(bytes, b"fn ", at) {
        at = start + 3;
        let name: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || is_part_of_word(bytes, start) {
            continue;
        }
        let end = item_end(bytes, at);
        if end > 0 && bytes.get(end - 1) == Some(&b'}') {
            found.push(Function { name, lines: line(start)..line(end) + 1 });
        }
    }
    found
}

fn is_part_of_word(bytes: &[u8], at: usize) -> bool {
    at.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// One past the item that begins at `at`: its closing brace, or the semicolon of one without a body.
fn item_end(code: &[u8], at: usize) -> usize {
    let (mut braces, mut others) = (0usize, 0usize);
    for (place, byte) in code.iter().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 {
                    return place + 1;
                }
            }
            b';' if braces == 0 && others == 0 => return place + 1,
            _ => {}
        }
    }
    code.len()
}

fn find(bytes: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|place| from + place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_nothing_moves() {
        let text = "let a = \"x { \\\" y\"; // { fn\nlet b = r#\"{\"}\"#; /* { /* } */ */ let c = '{'; let d: &'a str = f('\\'');\n";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(!code.contains('{') && !code.contains('"') && !code.contains("fn"), "{code}");
        assert!(code.contains("let d: &'a str = f("), "{code}");
    }

    #[test]
    fn what_only_tests_see_is_left_out() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n#[cfg(test)]\nmod reference;\n";
        let code = code_without_tests(text);
        let names: Vec<String> = functions(&code).into_iter().map(|function| function.name).collect();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(test_modules(text), ["reference"]);
    }

    #[test]
    fn functions_have_their_lines() {
        let text = "trait T { fn declared(&self) -> [u8; 3]; }\nimpl X {\n    fn long(\n        a: u8,\n    ) -> u8 {\n        if a { 1 } else { 2 }\n    }\n}\n";
        let found = functions(&code_only(text));
        assert_eq!(found, [Function { name: "long".to_owned(), lines: 3..8 }]);
    }
}
