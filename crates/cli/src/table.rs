//! Tables of text: columns as wide as their widest cell, numbers against the right edge. Knows no values.

use unicode_width::UnicodeWidthStr;

/// Space between two columns.
const GAP: &str = "  ";

/// Which edge a column's cells touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows below a heading.
pub struct Table {
    edges: Vec<Edge>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with a heading.
    pub fn new<const N: usize>(columns: [(&str, Edge); N]) -> Self {
        let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self { edges: columns.iter().map(|(_, edge)| *edge).collect(), rows: vec![heading] }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// The lines of the table.
    pub fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.edges.len()).map(|column| self.width(column)).collect();
        self.rows.iter().map(|row| self.written(row, &widths) + "\n").collect()
    }

    fn width(&self, column: usize) -> usize {
        self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
    }

    fn written(&self, row: &[String], widths: &[usize]) -> String {
        let cells = row.iter().zip(widths).zip(&self.edges).map(|((cell, width), edge)| {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            if *edge == Edge::Left { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    }
}

/// Names and what they stand for, one pair a line, below one another.
pub fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.width()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| {
        let space = " ".repeat(width.saturating_sub(name.width()));
        format!("{name}{space}{GAP}{value}").trim_end().to_owned() + "\n"
    };
    pairs.iter().map(line).collect()
}

/// The first so many columns of a text on one line, with `…` where something was cut.
pub fn shortened(text: &str, n_columns: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.width() <= n_columns {
        return line;
    }
    let mut kept = String::new();
    for letter in line.chars() {
        kept.push(letter);
        if kept.width() >= n_columns {
            kept.pop();
            break;
        }
    }
    kept.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new([("NAME", Edge::Left), ("ROWS", Edge::Right), ("KIND", Edge::Left)]);
        table.row(["reviews".into(), "1,200".into(), "text_label".into()]);
        table.row(["酒店".into(), "7".into(), "text".into()]);
        assert_eq!(table.text(), "NAME      ROWS  KIND\nreviews  1,200  text_label\n酒店         7  text\n");
    }

    #[test]
    fn pairs_line_up() {
        assert_eq!(pairs(&[("a", "1".into()), ("long", String::new())]), "a     1\nlong\n");
    }

    #[test]
    fn long_texts_are_cut_on_one_line() {
        assert_eq!(shortened("one\ntwo  three", 40), "one two three");
        assert_eq!(shortened("one two three", 9), "one two…");
        assert_eq!(shortened("酒店很好", 5), "酒店…");
    }
}
