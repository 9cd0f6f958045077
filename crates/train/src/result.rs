//! The result of a run: a PEFT adapter folder (or a whole model) with a card, and beside it what using it needs to know:
//! labels, template, base.

use std::{fmt::Write as _, fs, path::Path};

use lorikeet_data::{Labels, Task, Tokenizer};
use lorikeet_models::{Backend, Model, Precision, Tokens, copy_companions, write_file};
use serde::{Deserialize, Serialize};

use crate::{Criterion, Method, Plan, Result, Scores, Summary, TrainError, TrainJob};

/// What stands in `lorikeet.json` beside a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultInfo {
    /// The run that made it.
    pub run: String,
    /// `causal` or `classify`.
    pub task: String,
    /// The base's name.
    pub base_model: String,
    /// The base's folder at the time.
    pub base_folder: String,
    /// BLAKE3 of the base.
    pub base_hash: String,
    /// BLAKE3 of the chat template.
    pub template_hash: String,
    /// Version of the examples.
    pub dataset_hash: String,
    /// Label names in the order of the classifier.
    pub labels: Vec<String>,
    /// Longest example it was trained on, in tokens.
    pub max_length: u64,
    /// How its answers were judged while it learned from preferences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preference: Option<Criterion>,
}

const INFO_FILE: &str = "lorikeet.json";

impl ResultInfo {
    /// Reads what stands beside a result; `None` for an adapter that was made elsewhere.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(INFO_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
        let damaged = |e: serde_json::Error| TrainError::Checkpoint { path: path.clone(), reason: e.to_string() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }
}

/// What the card is written from.
pub(crate) struct Card<'a> {
    pub job: &'a TrainJob,
    pub plan: &'a Plan,
    pub summary: &'a Summary,
    pub labels: &'a Labels,
    pub preference: Option<Criterion>,
}

/// Writes the result whole: into a folder beside its place, which then takes that place.
pub(crate) fn write<B: Backend + Clone>(
    model: &mut Model<B>,
    card: &Card<'_>,
    tokenizer: &Tokenizer,
    probe: &Tokens,
) -> Result<()> {
    let target = &card.job.result;
    let beside = target.with_extension("partial");
    drop(fs::remove_dir_all(&beside));
    fs::create_dir_all(&beside).map_err(TrainError::io("create", &beside))?;
    let done = write_into(&beside, model, card, tokenizer, probe).and_then(|()| replace(&beside, target));
    if done.is_err() {
        drop(fs::remove_dir_all(&beside));
    }
    done
}

fn replace(beside: &Path, target: &Path) -> Result<()> {
    if target.exists() {
        fs::remove_dir_all(target).map_err(TrainError::io("replace", target))?;
    }
    fs::rename(beside, target).map_err(TrainError::io("rename", beside))
}

fn write_into<B: Backend + Clone>(
    folder: &Path,
    model: &mut Model<B>,
    card: &Card<'_>,
    tokenizer: &Tokenizer,
    probe: &Tokens,
) -> Result<()> {
    let job = card.job;
    match job.method {
        Method::Lora => {
            model.save_adapter(folder, &job.model_name)?;
            model.compare_with_adapter(folder, probe)?;
        }
        Method::Full => {
            model.save_whole(folder, Precision::F32, card.labels.names())?;
            copy_companions(&job.model_folder, folder)?;
        }
    }
    let info = ResultInfo {
        run: job.name.clone(),
        task: task_name(job.task).to_owned(),
        base_model: job.model_name.clone(),
        base_folder: job.model_folder.display().to_string(),
        base_hash: job.model_hash.clone(),
        template_hash: tokenizer.template().hash().to_owned(),
        dataset_hash: job.dataset.hash().to_owned(),
        labels: card.labels.names().to_vec(),
        max_length: card.plan.settings.max_length,
        preference: card.preference,
    };
    let text = serde_json::to_string_pretty(&info).unwrap_or_default();
    write_file(&folder.join(INFO_FILE), format!("{text}\n").as_bytes())?;
    Ok(write_file(&folder.join("README.md"), card.text().as_bytes())?)
}

/// Name of a task in requests and files.
pub fn task_name(task: Task) -> &'static str {
    match task {
        Task::Causal => "causal",
        Task::Classify => "classify",
    }
}

impl Card<'_> {
    /// The model card, with the front matter that model hubs read.
    fn text(&self) -> String {
        let (job, s) = (self.job, self.summary);
        let library = if job.method == Method::Lora { "peft" } else { "transformers" };
        let pipeline = if job.task == Task::Causal { "text-generation" } else { "text-classification" };
        let data = &job.dataset.description().name;
        let mut text = format!(
            "---\nlibrary_name: {library}\nbase_model: {}\npipeline_tag: {pipeline}\ntags:\n- lorikeet\n- {}\ndatasets:\n- {data}\n{}---\n\n# {}\n\n",
            job.model_name,
            job.method.name(),
            self.metrics(pipeline, data),
            job.name,
        );
        let what = if job.method == Method::Lora { "A LoRA adapter for" } else { "A fine-tuned copy of" };
        let _ = writeln!(text, "{what} `{}`, trained with Lorikeet on `{data}`.\n", job.model_name);
        let _ = writeln!(text, "| | before | after |\n| --- | --- | --- |\n{}", self.table());
        let _ = writeln!(
            text,
            "Steps: {} (result from step {}). Trained on {} supervised tokens or rows in {:.0} s.\n",
            s.n_steps, s.best_step, s.n_trained_tokens, s.seconds
        );
        text.push_str("## Settings\n\n```yaml\n");
        for (name, value) in self.plan.settings.to_values() {
            let _ = writeln!(text, "{name}: {value}");
        }
        text.push_str("```\n");
        text
    }

    /// What was measured, in the hub's two spellings: a list of names, and the model's index with the values.
    fn metrics(&self, pipeline: &str, data: &str) -> String {
        let Some(best) = self.summary.best else { return String::new() };
        let mut text = "metrics:\n".to_owned();
        let _ = named(best).iter().try_for_each(|(name, _)| writeln!(text, "- {name}"));
        let name = &self.job.name;
        let _ = write!(
            text,
            "model-index:\n- name: {name}\n  results:\n  - task:\n      type: {pipeline}\n    dataset:\n      name: {data}\n      type: {data}\n    metrics:\n"
        );
        for (name, value) in named(best) {
            let _ = writeln!(text, "    - type: {name}\n      value: {value:.4}");
        }
        text
    }

    fn table(&self) -> String {
        let (Some(best), base) = (self.summary.best, self.summary.base) else {
            return "| no examples were kept aside | | |\n".to_owned();
        };
        let before = base.map(named).unwrap_or_default();
        let rows = named(best).into_iter().enumerate().map(|(i, (name, after))| {
            let before = before.get(i).map(|(_, v)| format!("{v:.4}")).unwrap_or_default();
            format!("| validation {name} | {before} | {after:.4} |\n")
        });
        rows.collect()
    }
}

fn named(s: Scores) -> Vec<(&'static str, f64)> {
    let mut found = vec![("loss", s.loss.mean())];
    found.extend(s.perplexity().map(|p| ("perplexity", p)));
    if let Some(l) = s.labels {
        found.extend([("accuracy", l.accuracy), ("f1_macro", l.f1_macro)]);
    }
    if let Some(p) = s.preference {
        found.extend([("reward_margin", p.margin), ("reward_accuracy", p.accuracy)]);
    }
    found
}
