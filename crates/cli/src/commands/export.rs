//! `lorikeet export`: a result in the form another program loads.

use lorikeet_api::wire::{Export, ExportRequest};

use super::{Session, absolute, name_or_path};
use crate::{args::ExportArgs, failure::Failure, progress::WorkBar, table::pairs, units};

/// Exports and says where it is and how close it came.
pub fn run(session: &mut Session<'_>, args: ExportArgs) -> Result<(), Failure> {
    let request = ExportRequest {
        source: name_or_path(args.source)?,
        model: args.model.map(name_or_path).transpose()?,
        to: args.to.into(),
        precision: args.precision.map(Into::into),
        quantize: args.quantize.map(Into::into),
        output: args.output.map(|folder| absolute(&folder)).transpose()?,
    };
    let mut bar: Option<WorkBar> = None;
    let (json, interrupt) = (session.printer.wants_json(), &session.interrupt);
    let exported = lorikeet_api::export::export(&session.app, request, &mut |progress| {
        bar.get_or_insert_with(|| WorkBar::new("writing", &progress.unit, json)).set(progress.done, progress.total);
        !interrupt.is_set()
    });
    drop(bar);
    session.printer.answer(&exported?, text)
}

fn text(made: &Export) -> String {
    let c = &made.comparison;
    let files: Vec<&str> = made.files.iter().map(|file| file.name.as_str()).collect();
    let notes: String = made.notes.iter().map(|note| format!("note: {note}\n")).collect();
    let mut facts = vec![
        ("folder", made.folder.clone()),
        ("files", format!("{} ({})", files.join(", "), units::bytes(made.n_bytes))),
        (
            "read back",
            format!(
                "logits differ by {:.1e} of their size (at most {:.0e}); the likeliest is the same at {} of {} positions",
                c.relative_difference,
                c.tolerance,
                units::count((c.same_best * c.n_rows as f64).round() as u64),
                units::count(c.n_rows)
            ),
        ),
    ];
    let uses = made.use_it.iter().map(|one| format!("{}: {}", one.with, one.command));
    facts.extend(uses.enumerate().map(|(at, one)| (if at == 0 { "use it" } else { "" }, one)));
    pairs(&facts) + &notes
}

#[cfg(test)]
mod tests {
    use lorikeet_api::wire::{ExportComparison, ExportFile, ExportForm, ExportUse};

    use super::*;

    #[test]
    fn an_export_reads_like_this() {
        let made = Export {
            folder: "/data/exports/orders-1-merged".into(),
            form: ExportForm::Merged,
            files: vec![
                ExportFile { name: "config.json".into(), n_bytes: 700 },
                ExportFile { name: "model.safetensors".into(), n_bytes: 11_000_000 },
            ],
            n_bytes: 11_000_700,
            comparison: ExportComparison {
                n_rows: 512,
                largest_difference: 0.02,
                relative_difference: 0.0031,
                tolerance: 0.05,
                same_best: 511.0 / 512.0,
            },
            use_it: vec![
                ExportUse { with: "in Python".into(), command: "load(\"/data\")".into() },
                ExportUse { with: "with vLLM".into(), command: "vllm serve /data".into() },
            ],
            notes: Vec::new(),
        };
        insta::assert_snapshot!(text(&made), @r#"
        folder     /data/exports/orders-1-merged
        files      config.json, model.safetensors (11.0 MB)
        read back  logits differ by 3.1e-3 of their size (at most 5e-2); the likeliest is the same at 511 of 512 positions
        use it     in Python: load("/data")
                   with vLLM: vllm serve /data
        "#);
    }
}
