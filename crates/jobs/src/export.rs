//! A result in the form another program loads, and the proof that it still says the same: what was written is read back from
//! disk and compared, on the same rows, with the adapter over its base.

use std::path::{Path, PathBuf};

use lorikeet_data::gguf_vocabulary;
use lorikeet_models::export::{Merged, write_gguf_adapter, write_mlx, write_peft};
use lorikeet_models::gguf::GgufRecipe;
use lorikeet_models::{
    AdapterFiles, Backend, Fused, Model, ModelConfig, ModelFiles, Precision, Tokens, copy_companions,
};

use crate::device::threads_or_all;
use crate::{Failure, codes};

/// A form that another program loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// A PEFT adapter folder.
    Peft,
    /// A whole model as safetensors, the adapter added to its weights.
    Merged,
    /// A whole model as a GGUF file.
    Gguf,
    /// An adapter as a GGUF file.
    GgufAdapter,
    /// An MLX adapter folder.
    Mlx,
}

/// The file of a whole model.
pub const GGUF_MODEL: &str = "model.gguf";
/// The file of an adapter.
pub const GGUF_ADAPTER: &str = "adapter.gguf";

impl ExportForm {
    /// Every form, in the order of a list.
    pub const ALL: [ExportForm; 5] =
        [ExportForm::Peft, ExportForm::Merged, ExportForm::Gguf, ExportForm::GgufAdapter, ExportForm::Mlx];

    /// As a command line spells it.
    pub const fn name(self) -> &'static str {
        match self {
            ExportForm::Peft => "peft",
            ExportForm::Merged => "merged",
            ExportForm::Gguf => "gguf",
            ExportForm::GgufAdapter => "gguf-adapter",
            ExportForm::Mlx => "mlx",
        }
    }

    /// Whether it stands beside the base, which is loaded with it.
    pub const fn is_adapter(self) -> bool {
        matches!(self, ExportForm::Peft | ExportForm::GgufAdapter | ExportForm::Mlx)
    }
}

/// What is to be written where.
#[derive(Clone, Debug)]
pub struct ExportJob {
    /// The form.
    pub form: ExportForm,
    /// Folder of the base, or of a whole model.
    pub base: PathBuf,
    /// The adapter over it.
    pub adapter: Option<PathBuf>,
    /// What the base is called.
    pub base_name: String,
    /// Names of a classifier's labels; those of the base's configuration where there are none.
    pub labels: Vec<String>,
    /// Number format of whole weights; each keeps its own where none is given.
    pub precision: Option<Precision>,
    /// How a GGUF file is quantised.
    pub recipe: GgufRecipe,
    /// Rows that both are asked.
    pub probe: Tokens,
    /// An empty folder.
    pub folder: PathBuf,
}

/// How far the export is from what it was made of, on the same rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Rows compared.
    pub n_rows: usize,
    /// Largest difference of a logit.
    pub largest: f64,
    /// Root mean square of the differences over that of the logits, each row's mean taken away.
    pub relative: f64,
    /// Share of rows whose likeliest token, or label, is the same.
    pub same_best: f64,
    /// What `relative` may be at most.
    pub tolerance: f64,
}

/// Writes `job` and compares. `tell` hears how many bytes of how many are done, and ends the work by returning false.
///
/// # Errors
/// Where something cannot be read or written, has no place in the form, or says something else when it is read back.
pub fn export(job: &ExportJob, tell: &mut dyn FnMut(u64, u64) -> bool) -> Result<Comparison, Failure> {
    let backend = Fused::new(threads_or_all(None))?;
    let expected = logits(&backend, job.adapter.as_deref(), &job.base, &job.probe)?;
    let (model, adapter) = if job.form.is_adapter() {
        write_adapter(job)?;
        (job.base.as_path(), Some(job.folder.as_path()))
    } else {
        write_model(job, &backend, tell)?;
        (job.folder.as_path(), None)
    };
    let found = logits(&backend, adapter, model, &job.probe)?;
    let tolerance = if job.form.is_adapter() { EXACT } else { written_tolerance(&job.folder)? };
    let compared = Comparison::of(&expected, &found, tolerance);
    match compared.is_close() {
        true => Ok(compared),
        false => Err(Failure::new(
            codes::INTERNAL,
            format!(
                "the export to `{}` was thrown away: read back, its logits differ by {:.2e} of their size, \
                 where at most {:.0e} is taken (largest difference {:.2e})",
                job.form.name(),
                compared.relative,
                compared.tolerance,
                compared.largest,
            ),
        )),
    }
}

fn write_adapter(job: &ExportJob) -> Result<(), Failure> {
    let path = job.adapter.as_deref().ok_or_else(|| no_adapter(job))?;
    let config = ModelConfig::read(&job.base, None)?;
    let adapter = AdapterFiles::open(path)?.over(&config)?;
    match job.form {
        ExportForm::Mlx => write_mlx(&adapter, &config, &job.base_name, &job.folder)?,
        ExportForm::GgufAdapter => {
            write_gguf_adapter(&adapter, &config, &job.base_name, &job.folder.join(GGUF_ADAPTER))?;
        }
        _ => {
            write_peft(&adapter, &job.folder)?;
            copy_companions(&job.base, &job.folder)?;
        }
    }
    Ok(())
}

fn write_model(job: &ExportJob, backend: &Fused, tell: &mut dyn FnMut(u64, u64) -> bool) -> Result<(), Failure> {
    let merged = Merged::open(backend.clone(), &job.base, job.adapter.as_deref())?;
    if job.form == ExportForm::Gguf {
        let fields = gguf_vocabulary(&job.base, merged.config().vocabulary())?;
        merged.write_gguf(&job.folder.join(GGUF_MODEL), job.recipe, fields, tell)?;
        return Ok(());
    }
    Ok(merged.write(&job.folder, job.precision, &job.labels, tell)?)
}

fn no_adapter(job: &ExportJob) -> Failure {
    let message = format!("`{}` is a whole model and has no adapter to export", job.base.display());
    Failure::new(codes::INVALID_REQUEST, message).with_hint("export it as `merged`")
}

/// For 32-bit numbers: other orders of the same sums.
const EXACT: f64 = 1e-4;

/// What weights written to `folder` may differ by, for their narrowest format: about its own rounding error (2⁻¹¹, 2⁻⁸, and so
/// on) times what the layers of a deep model make of it. It tells a file that is wrong from one that is coarse; how coarse it
/// is, the comparison says.
fn written_tolerance(folder: &Path) -> Result<f64, Failure> {
    let files = ModelFiles::open(folder)?;
    let names: Vec<String> = files.names().map(str::to_owned).collect();
    let mut widest = EXACT;
    for name in names {
        let precision = files.matrix(&name)?.map(|matrix| matrix.precision());
        widest = widest.max(match precision {
            Some(Precision::F16) => 0.01,
            Some(Precision::Bf16 | Precision::Q8_0) => 0.05,
            Some(Precision::Q6K) => 0.15,
            Some(Precision::Q5_0 | Precision::Q5_1 | Precision::Q5K) => 0.3,
            Some(Precision::Q4_0 | Precision::Q4_1 | Precision::Q4K) => 0.6,
            Some(Precision::F32) | None => EXACT,
        });
    }
    Ok(widest)
}

/// Logits, a row for each token, or for each text of a classifier.
struct Logits {
    rows: usize,
    numbers: Vec<f32>,
}

fn logits(backend: &Fused, adapter: Option<&Path>, base: &Path, probe: &Tokens) -> Result<Logits, Failure> {
    let model = match adapter {
        Some(adapter) => Model::open_with_adapter(backend.clone(), base, adapter)?,
        None => Model::open(backend.clone(), base)?,
    };
    let found = backend.run(|| model.logits(probe))?;
    let (rows, _) = backend.shape(&found);
    Ok(Logits { rows, numbers: backend.download(&found)? })
}

impl Comparison {
    fn of(expected: &Logits, found: &Logits, tolerance: f64) -> Self {
        let same_shape = expected.rows == found.rows && expected.numbers.len() == found.numbers.len();
        let columns = expected.numbers.len() / expected.rows.max(1);
        if !same_shape || columns == 0 {
            let apart = f64::INFINITY;
            return Self { n_rows: expected.rows, largest: apart, relative: apart, same_best: 0.0, tolerance };
        }
        let (mut largest, mut size, mut distance, mut same) = (0f64, 0f64, 0f64, 0usize);
        let rows = expected.numbers.chunks(columns).zip(found.numbers.chunks(columns));
        for (a, b) in rows {
            let mean = |row: &[f32]| row.iter().map(|v| f64::from(*v)).sum::<f64>() / columns as f64;
            let (mean_a, mean_b) = (mean(a), mean(b));
            for (x, y) in a.iter().zip(b) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                // `max` would pass over what is not a number.
                let difference = (x - y).abs();
                largest = if difference > largest || difference.is_nan() { difference } else { largest };
                size += (x - mean_a).powi(2);
                distance += ((x - mean_a) - (y - mean_b)).powi(2);
            }
            same += usize::from(best(a) == best(b));
        }
        let relative = if distance == 0.0 { 0.0 } else { (distance / size).sqrt() };
        let same_best = same as f64 / expected.rows as f64;
        Self { n_rows: expected.rows, largest, relative, same_best, tolerance }
    }

    fn is_close(&self) -> bool {
        self.relative <= self.tolerance && self.largest.is_finite()
    }
}

fn best(row: &[f32]) -> Option<usize> {
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(a: &[f32], b: &[f32]) -> Comparison {
        let logits = |numbers: &[f32]| Logits { rows: 2, numbers: numbers.to_vec() };
        Comparison::of(&logits(a), &logits(b), 0.1)
    }

    #[test]
    fn a_shift_of_a_whole_row_is_no_difference_and_what_is_no_number_is_one() {
        let same = compared(&[1.0, 2.0, 3.0, 4.0], &[2.0, 3.0, 3.0, 4.0]);
        assert_eq!((same.relative, same.largest, same.same_best), (0.0, 1.0, 1.0));
        assert!(same.is_close());
        let other = compared(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 3.0, 4.0]);
        assert_eq!(other.same_best, 0.5);
        assert!(!other.is_close());
        assert!(!compared(&[1.0, 2.0, 3.0, 4.0], &[1.0, f32::NAN, 3.0, 4.0]).is_close());
        assert!(!compared(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0]).is_close());
    }
}
