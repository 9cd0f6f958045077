//! Every file of code opens with what it is for.

use super::Finding;
use super::sources::Source;

/// Files without a header.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let bare = files.iter().filter(|file| !opening(file.ending()).is_empty() && !has_header(file));
    bare.map(|file| Finding::new(&file.path, "opens without a comment that says what it is for")).collect()
}

fn opening(ending: &str) -> &'static [&'static str] {
    match ending {
        "rs" => &["//! "],
        "ts" => &["// ", "/* ", "/** "],
        "svelte" => &["<!-- "],
        "css" => &["/* "],
        "py" => &["\"\"\"", "# "],
        _ => &[],
    }
}

fn has_header(file: &Source) -> bool {
    let mut lines = file.text.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.find(|line| !line.starts_with("#!/")).unwrap_or_default();
    opening(file.ending()).iter().any(|mark| first.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        let files = [
            Source::new("a.rs", "//! Why.\n"),
            Source::new("b.rs", "use std::fs;\n//! Late.\n"),
            Source::new("c.svelte", "<script>\n"),
            Source::new("d.ts", ""),
            Source::new("e.toml", "[package]\n"),
        ];
        let places: Vec<String> = find(&files).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["b.rs", "c.svelte", "d.ts"]);
        assert!(texts(&find(&files))[0].contains("opens without a comment"));
    }
}
