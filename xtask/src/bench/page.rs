//! The figures as a page and as a table on the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::rows::Row;

const HEAD: &str = "# How fast Lorikeet is\n\n\
    Made by `cargo xtask bench`, which measures Lorikeet and other programs in turns on the same weights and examples; every \
    figure is a median. Processor seconds are of one step with one thread, throughput is by the clock with all threads, memory \
    is the most that a process ever held. A ratio says how many times faster Lorikeet is; of memory, which part of the other's \
    it needs.\n\n\
    Training is LoRA of rank 8 on all linear layers: (a) a Llama of 6 layers, width 384, vocabulary 8,192, batch 8 x 256; (b) \
    SmolLM2-135M's shape, 2 x 256; (c) MiniLM's shape with a classifier, 16 x 128; (d) Qwen2.5-0.5B's shape, 1 x 512; (e) is (b) \
    over a quantised base, (f) writes 128 tokens with (b)'s shape, (g) reads 512, (h) turns 200 MB of conversations into packed \
    tokens.\n";

/// `docs/benchmarks.md`.
pub fn page(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    let machines: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.machine.as_str()).collect();
    for machine in machines {
        let _ = writeln!(text, "\nMachine: {machine}.");
    }
    let versions: BTreeMap<&str, String> = rows
        .iter()
        .flat_map(|row| &row.versions)
        .map(|(name, version)| (name.as_str(), version.as_str().unwrap_or_default().to_owned()))
        .collect();
    let versions: Vec<String> = versions.into_iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(text, "\nVersions: {}.", versions.join(", "));
    text += "\n| Workload | Precision | Measure | Lorikeet | Other program | Its figure | Ratio |\n";
    text += "| --- | --- | --- | ---: | --- | ---: | ---: |\n";
    for row in rows {
        let [workload, precision, measure, ours, peer, theirs, ratio] = cells(row);
        let _ = writeln!(text, "| {workload} | {precision} | {measure} | {ours} | {peer} | {theirs} | {ratio} |");
    }
    text
}

/// For the terminal.
pub fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 7]> = rows.iter().map(cells).collect();
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |row: &[String; 7]| {
        let padded: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cells(row: &Row) -> [String; 7] {
    [
        row.workload.clone(),
        row.precision.clone(),
        row.measure.clone(),
        row.shown(Some(row.ours)),
        row.peer.clone().unwrap_or_default(),
        row.shown(row.theirs),
        row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_line_for_each_figure() {
        let rows = [
            Row::new("a", "throughput", "f32", "tokens/s").beside(5000.0, "peft f32", 2000.0, 2.5),
            Row::new("a-long", "resident growth", "f32", "bytes").alone(0.0),
        ];
        let page = page(&rows);
        assert!(
            page.contains("| a | f32 | throughput | 5000 tokens/s | peft f32 | 2000 tokens/s | 2.50 |\n"),
            "{page}"
        );
        assert!(page.contains("| a-long | f32 | resident growth | 0 MB |  |  |  |\n"), "{page}");
        assert_eq!(table(&rows).lines().count(), 2);
    }
}
