// Generated from the list of commands in crates/api (`cargo xtask bindings`); a test compares it. Do not edit.

/** Calls a command of the host. */
export type Call = (name: string, request: unknown) => Promise<unknown>;
/** Calls a command that tells how it goes on; `signal` ends it. */
export type Stream = (
  name: string,
  request: unknown,
  onUpdate: (update: unknown) => void,
  signal?: AbortSignal,
) => Promise<unknown>;

/**
 * What is alive, asked for about once a second by the window's sidebar: cheap, no tensors, one or two indexed queries.
 */
export type Activity = {
/**
 * The run that trains or is paused now.
 */
running: RunSummary | null,
/**
 * Runs that wait.
 */
n_queued: number,
/**
 * All runs ever recorded; 0 means the first run is still to come.
 */
n_runs: number,
/**
 * All datasets.
 */
n_datasets: number,
/**
 * Whether models are served to other programs.
 */
serving: boolean, };

/**
 * A failed command.
 */
export type ApiError = {
/**
 * Why, for programs.
 */
code: ErrorCode,
/**
 * What and where, in one sentence: lower case, literals in backticks, the value last after a colon.
 */
message: string,
/**
 * How to mend it, in one sentence.
 */
hint: string | null,
/**
 * What a screen can show beside the sentence.
 */
details: ErrorDetails | null, };

/**
 * What `doctor` and the Settings page show.
 */
export type AppInfo = {
/**
 * Version of the product, as in `0.1.0`.
 */
version: string,
/**
 * Version of the code with its commit, stored with every run.
 */
code_version: string,
/**
 * The one folder that holds everything Lorikeet writes.
 */
data_folder: string,
/**
 * False when nothing can be written there; every command that writes then fails with `read_only`.
 */
data_folder_writable: boolean,
/**
 * Free space on the disk that holds it.
 */
disk_available_bytes: number,
/**
 * Devices of this build, best first; the CPU is always one of them.
 */
devices: Array<DeviceInfo>,
/**
 * Threads that training uses when nothing else is said.
 */
n_threads: number,
/**
 * Memory of the computer.
 */
memory_total_bytes: number,
/**
 * Memory that is free now.
 */
memory_available_bytes: number,
/**
 * What is missing or looks wrong, one sentence each; empty when all is well.
 */
problems: Array<string>, };

/**
 * A row that cannot be used.
 */
export type BadRow = {
/**
 * Line in the file, from 1 (record number for a JSON array).
 */
line: number,
/**
 * Column in that line, from 1, where known.
 */
column: number | null,
/**
 * Why, in one sentence.
 */
reason: string, };

/**
 * A model that another program fetched from a hub on this computer. It is used where it lies and only read.
 */
export type CachedModel = {
/**
 * Its name on the hub: `OWNER/NAME`.
 */
name: string,
/**
 * Its folder or GGUF file, as `model_add` takes it.
 */
path: string,
/**
 * Size of what makes the model.
 */
n_bytes: number, };

/**
 * One message: who says it, and what.
 */
export type ChatMessage = {
/**
 * `system`, `user`, `assistant`, `tool`, or `text`.
 */
role: string,
/**
 * What is said.
 */
content: string, };

/**
 * One checkpoint that is kept.
 */
export type CheckpointSummary = {
/**
 * Step.
 */
step: number,
/**
 * Folder.
 */
path: string,
/**
 * Whether it is the best.
 */
best: boolean,
/**
 * Validation loss there, when it was measured.
 */
loss: number | null,
/**
 * Size on disk.
 */
n_bytes: number,
/**
 * When it was saved.
 */
at_ms: number, };

/**
 * A point of a small curve.
 */
export type CurvePoint = {
/**
 * Step.
 */
step: number,
/**
 * Loss.
 */
loss: number, };

/**
 * Reads a file of examples.
 */
export type DataImportRequest = {
/**
 * The file; `~` is the home folder.
 */
path: string,
/**
 * What to call it; the file's stem if left out. Importing the same bytes twice yields the same dataset.
 */
name?: string,
/**
 * Keep the good rows when some are bad. False: a bad row refuses the file with `bad_rows`.
 */
keep_good?: boolean, };

/**
 * Rows as a model sees them, and what the whole dataset amounts to.
 */
export type DataPreview = {
/**
 * The rows asked for.
 */
rows: Array<PreviewRow>,
/**
 * Rows in the dataset.
 */
n_rows: number,
/**
 * Rows the totals below were counted over: all of them, or the first ones of a very large dataset.
 */
n_rows_counted: number,
/**
 * Tokens in the counted rows, after cutting.
 */
n_tokens: number,
/**
 * Tokens of these that are learned from.
 */
n_trained: number,
/**
 * Rows that are longer than `max_length` and lose their ends.
 */
n_truncated: number,
/**
 * Rows whose last trained token ends the turn; a run with few of them never learns to stop. `null` when classifying.
 */
n_with_trained_end: number | null,
/**
 * Length after which rows are cut, in tokens.
 */
max_length: number,
/**
 * Lengths before cutting.
 */
lengths: LengthStatistics,
/**
 * The chat template in use; `null` for plain text and classification.
 */
template: TemplateInfo | null, };

/**
 * Asks for rows as a model sees them.
 */
export type DataPreviewRequest = {
/**
 * Dataset, by id or name.
 */
id: string,
/**
 * Model whose tokenizer and chat template are used, by id, name or path.
 */
model: string,
/**
 * First row, from 0.
 */
offset?: number,
/**
 * Rows at most; 20 if left out, 200 at most.
 */
limit?: number,
/**
 * Rows are cut after so many tokens; the setting's default if left out.
 */
max_length?: number,
/**
 * Settings that change what is trained (as in a run request).
 */
settings?: { [key in string]: SettingValue }, };

/**
 * One dataset in full: `data show` and the answer of `data import`.
 */
export type DatasetDetails = {
/**
 * Names of the columns or fields that were used.
 */
columns: Array<string>,
/**
 * Labels by how often they occur, most frequent first; empty unless `kind` is `text_label`.
 */
labels: Array<LabelCount>,
/**
 * The first three rows, as people read them.
 */
examples: Array<Example>,
/**
 * The first ten rows that were left out.
 */
bad_rows: Array<BadRow>,
/**
 * Name in the registry; what `--data` takes.
 */
id: string,
/**
 * BLAKE3 of the content: the dataset's version.
 */
hash: string,
/**
 * What the examples are.
 */
kind: DatasetKind,
/**
 * Rows that can be used.
 */
n_rows: number,
/**
 * Rows that were left out.
 */
n_bad: number,
/**
 * What people call it; the file's stem unless told otherwise.
 */
name: string,
/**
 * Form of the file: `jsonl`, `json`, `csv`, `tsv`, `text`.
 */
format: string,
/**
 * Size of the file as it was read.
 */
n_bytes: number,
/**
 * What it is good for, unless the user says otherwise.
 */
task: Task,
/**
 * What is learned from it where no objective is chosen: `sft`, `dpo` or `kto`.
 */
objective: string,
/**
 * Where it came from; `null` for a sample.
 */
source_path: string | null,
/**
 * When it was imported.
 */
created_at_ms: number, };

/**
 * What kind of examples a file holds, told by its content.
 */
export type DatasetKind = "alpaca" | "sharegpt" | "messages" | "prompt_completion" | "text_label" | "text" | "preference" | "judged";

/**
 * Names one dataset, by id or by name.
 */
export type DatasetRequest = {
/**
 * Id or name.
 */
id: string, };

/**
 * One dataset in a list.
 */
export type DatasetSummary = {
/**
 * Name in the registry; what `--data` takes.
 */
id: string,
/**
 * BLAKE3 of the content: the dataset's version.
 */
hash: string,
/**
 * What the examples are.
 */
kind: DatasetKind,
/**
 * Rows that can be used.
 */
n_rows: number,
/**
 * Rows that were left out.
 */
n_bad: number,
/**
 * What people call it; the file's stem unless told otherwise.
 */
name: string,
/**
 * Form of the file: `jsonl`, `json`, `csv`, `tsv`, `text`.
 */
format: string,
/**
 * Size of the file as it was read.
 */
n_bytes: number,
/**
 * What it is good for, unless the user says otherwise.
 */
task: Task,
/**
 * What is learned from it where no objective is chosen: `sft`, `dpo` or `kto`.
 */
objective: string,
/**
 * Where it came from; `null` for a sample.
 */
source_path: string | null,
/**
 * When it was imported.
 */
created_at_ms: number, };

/**
 * One place where a model can be computed.
 */
export type DeviceInfo = {
/**
 * As given to the `device` setting: `cpu`, `cuda`, `metal`.
 */
id: string,
/**
 * What the maker calls it.
 */
name: string,
/**
 * Whether it can be used now.
 */
available: boolean,
/**
 * Why not, when not.
 */
why: string | null, };

/**
 * How far a download is.
 */
export type DownloadProgress = {
/**
 * The file that comes right now; empty while the hub is asked what there is.
 */
file: string,
/**
 * Files that are whole.
 */
n_files: number,
/**
 * Files in all.
 */
n_files_total: number,
/**
 * Bytes that are there, those of an earlier attempt included.
 */
n_bytes: number,
/**
 * Bytes in all.
 */
n_bytes_total: number, };

/**
 * Asks for the vectors of texts.
 */
export type EmbedRequest = {
/**
 * Model by id, name or path.
 */
model: string,
/**
 * Adapter folder, or a run whose best result is used; the base alone if left out.
 */
adapter?: string,
/**
 * The texts.
 */
texts: Array<string>, };

/**
 * Vectors of length one, in the order of the texts.
 */
export type Embeddings = {
/**
 * A vector for each text.
 */
embeddings: Array<Array<number>>,
/**
 * Numbers in each.
 */
n_dimensions: number,
/**
 * What of the last hidden states they are: `mean`, `first` or `last`.
 */
pooling: string,
/**
 * Tokens read.
 */
n_tokens: number,
/**
 * Texts that were longer than the model reads, and were cut.
 */
n_truncated: number,
/**
 * Time it took, after loading.
 */
seconds: number, };

/**
 * The closed list of reasons. Doors map them: every code is exit code 1 in the terminal, except `InvalidRequest`,
 * `UnknownSetting` and `InvalidSetting`, which are 2.
 */
export type ErrorCode = "not_found" | "invalid_request" | "unknown_setting" | "invalid_setting" | "bad_rows" | "unreadable_file" | "unrecognised_data" | "unrecognised_model" | "mismatch" | "nothing_to_train" | "unseen_label" | "out_of_memory" | "disk_full" | "read_only" | "wrong_state" | "port_in_use" | "unsupported" | "diverged" | "cancelled" | "internal";

/**
 * The structured part of an error.
 */
export type ErrorDetails = { "kind": "bad_rows",
/**
 * Rows that can be used.
 */
n_good: number,
/**
 * Rows that cannot.
 */
n_bad: number,
/**
 * The first ten of them.
 */
first: Array<BadRow>, } | { "kind": "nearest",
/**
 * What was asked for.
 */
given: string,
/**
 * The closest known name, when one is close enough.
 */
nearest: string | null, } | { "kind": "memory",
/**
 * What the work needs.
 */
needed_bytes: number,
/**
 * What is free.
 */
available_bytes: number, };

/**
 * Something to know before the start.
 */
export type EstimateNote = {
/**
 * How serious.
 */
level: NoteLevel,
/**
 * One sentence with the number in it.
 */
text: string,
/**
 * A change of one setting that mends it.
 */
mend: Mend | null, };

/**
 * Measures a model, with or without an adapter, on examples.
 */
export type EvaluateRequest = {
/**
 * Model by id, name or path.
 */
model: string,
/**
 * Adapter folder, or a run whose best result is used; the base alone if left out.
 */
adapter?: string,
/**
 * Dataset by id, name or file.
 */
data: string,
/**
 * Rows are cut after so many tokens.
 */
max_length?: number,
/**
 * Rows read together.
 */
batch_size?: number,
/**
 * Only the first rows.
 */
limit?: number,
/**
 * Keeps the base in fewer bits; as its files have it if left out.
 */
quantize?: Quantisation, };

/**
 * What a measurement found.
 */
export type Evaluation = {
/**
 * Rows measured.
 */
n: number,
/**
 * Mean over supervised tokens (rows when classifying), from totals.
 */
loss: number,
/**
 * Supervised tokens.
 */
n_tokens: number,
/**
 * `exp(loss)`; `null` when classifying.
 */
perplexity: number | null,
/**
 * Share of rows whose label was found; `null` for language models.
 */
accuracy: number | null,
/**
 * F1 averaged over labels; `null` for language models.
 */
f1_macro: number | null,
/**
 * How well preferences are met; absent unless the examples are preferences.
 */
preference?: Rewards,
/**
 * Everything that was counted of the labels; `null` for language models.
 */
labels: LabelReport | null,
/**
 * Time it took.
 */
seconds: number, };

/**
 * A row as people read it, before any template.
 */
export type Example = {
/**
 * Who says what, in order. A plain text is one turn with the role `text`.
 */
turns: Array<ChatMessage>,
/**
 * The label of a labelled row.
 */
label: string | null, };

/**
 * An export that was written, read back and compared.
 */
export type Export = {
/**
 * Where it is.
 */
folder: string,
/**
 * Its form.
 */
form: ExportForm,
/**
 * Its files.
 */
files: Array<ExportFile>,
/**
 * All of them together.
 */
n_bytes: number,
/**
 * How far it is from what it was made of.
 */
comparison: ExportComparison,
/**
 * How it is used elsewhere, the usual way first.
 */
use_it: Array<ExportUse>,
/**
 * What to know about it, such as a chat template that could not be put into another language.
 */
notes: Array<string>, };

/**
 * A form that a result can take.
 */
export type ExportChoice = {
/**
 * The form.
 */
form: ExportForm,
/**
 * The programs that load the result in this form.
 */
programs: Array<string>,
/**
 * Number formats its weights can be written in, the usual one first; none where the form decides.
 */
precisions: Array<ExportPrecision>,
/**
 * Ways to store its weights in few bits, the usual one first; none where the form has none.
 */
quantizations: Array<ExportQuantization>, };

/**
 * Logits of an export, read back from disk, against those of the adapter over its base.
 */
export type ExportComparison = {
/**
 * Positions compared; texts for a classifier.
 */
n_rows: number,
/**
 * Largest difference of a logit.
 */
largest_difference: number,
/**
 * Root mean square of the differences over that of the logits.
 */
relative_difference: number,
/**
 * What that may be at most.
 */
tolerance: number,
/**
 * Share of positions with the same likeliest token or label.
 */
same_best: number, };

/**
 * A file of an export.
 */
export type ExportFile = {
/**
 * Its name.
 */
name: string,
/**
 * Its size.
 */
n_bytes: number, };

/**
 * The forms.
 */
export type ExportForm = "peft" | "merged" | "gguf" | "gguf-adapter" | "mlx" | "ollama";

/**
 * Asks which forms a result can take.
 */
export type ExportFormsRequest = {
/**
 * A run, an adapter folder, or a model without an adapter.
 */
source: string,
/**
 * The base of an adapter, by id, name or path; the one it was trained on if left out.
 */
model?: string, };

/**
 * Number formats of whole weights.
 */
export type ExportPrecision = "f32" | "f16" | "bf16";

/**
 * How the weights of a GGUF file are stored in few bits.
 */
export type ExportQuantization = "q8_0" | "q6_k" | "q5_k_m" | "q4_k_m" | "q4_0";

/**
 * Asks for a result in another form.
 */
export type ExportRequest = {
/**
 * A run, an adapter folder, or a model without an adapter.
 */
source: string,
/**
 * The base of an adapter, by id, name or path; the one it was trained on if left out.
 */
model?: string,
/**
 * The form.
 */
to: ExportForm,
/**
 * Number format of whole weights; as in the base if left out.
 */
precision?: ExportPrecision,
/**
 * How a GGUF file is quantised; not at all if left out.
 */
quantize?: ExportQuantization,
/**
 * Folder for the export; inside the data folder if left out.
 */
output?: string, };

/**
 * A way to use an export.
 */
export type ExportUse = {
/**
 * With what, and what that needs, as the end of a sentence ("with llama.cpp").
 */
with: string,
/**
 * What is typed there, ready to copy.
 */
command: string, };

/**
 * Asks a model to write.
 */
export type GenerateRequest = {
/**
 * Model by id, name or path.
 */
model: string,
/**
 * Adapter folder, or a run whose best result is used; the base alone if left out.
 */
adapter?: string,
/**
 * What the user says, wrapped by the chat template when there is one. Exactly one of `prompt` and `messages`.
 */
prompt?: string,
/**
 * A whole conversation instead.
 */
messages?: Array<ChatMessage>,
/**
 * Said before everything else; only together with `prompt`.
 */
system?: string,
/**
 * True: `prompt` is continued as it is, without a chat template.
 */
raw?: boolean,
/**
 * Longest answer, 256 if left out.
 */
max_tokens?: number,
/**
 * 0 takes the likeliest token each time; 0 if left out.
 */
temperature?: number,
/**
 * Only the likeliest tokens that together have this share.
 */
top_p?: number,
/**
 * Only so many likeliest tokens.
 */
top_k?: number,
/**
 * The answer ends before any of these.
 */
stop?: Array<string>,
/**
 * Same seed, same answer.
 */
seed?: number,
/**
 * Keeps the base in fewer bits; as its files have it if left out.
 */
quantize?: Quantisation, };

/**
 * A piece of an answer, as soon as it is written.
 */
export type GenerateUpdate = {
/**
 * Text to append.
 */
text: string,
/**
 * Tokens written so far.
 */
n_tokens: number,
/**
 * Speed since the first token.
 */
tokens_per_s: number, };

/**
 * A whole answer.
 */
export type Generation = {
/**
 * What was written.
 */
text: string,
/**
 * Tokens written.
 */
n_tokens: number,
/**
 * Why it ended.
 */
stop_reason: StopReason,
/**
 * Tokens read before.
 */
n_prompt_tokens: number,
/**
 * Time until the first token, after loading.
 */
first_token_ms: number,
/**
 * Time of all of it, after loading.
 */
seconds: number,
/**
 * Speed of writing.
 */
tokens_per_s: number, };

/**
 * Where models come from.
 */
export type HubSettings = {
/**
 * The hub's address.
 */
endpoint: string,
/**
 * Whether a token is sent to it; the token itself is never shown.
 */
has_token: boolean,
/**
 * Whether the token is the environment's (`HF_TOKEN`), which comes before the one that is set here.
 */
from_environment: boolean, };

/**
 * Changes where models come from. What is left out stays; an empty word goes back to the default, or to no token.
 */
export type HubSettingsRequest = {
/**
 * The hub's address.
 */
endpoint?: string,
/**
 * The token that is sent to it.
 */
token?: string, };

/**
 * How far an import has come.
 */
export type ImportProgress = {
/**
 * Bytes read.
 */
n_bytes: number,
/**
 * Bytes in the file.
 */
n_bytes_total: number,
/**
 * Good rows so far.
 */
n_rows: number,
/**
 * Bad rows so far.
 */
n_bad: number, };

/**
 * A label and how often it occurs.
 */
export type LabelCount = {
/**
 * The label as written in the file.
 */
label: string,
/**
 * Rows that carry it.
 */
n_rows: number, };

/**
 * How well one label was found.
 */
export type LabelFound = {
/**
 * Its name.
 */
label: string,
/**
 * Rows that have it.
 */
n: number,
/**
 * Share of the rows given it that have it.
 */
precision: number,
/**
 * Share of the rows with it that were given it.
 */
recall: number,
/**
 * Harmonic mean of the two.
 */
f1: number, };

/**
 * How well labels were found, by scikit-learn's definitions.
 */
export type LabelReport = {
/**
 * Each label.
 */
per_label: Array<LabelFound>,
/**
 * Rows by true label (row) and given label (column), in the order of `per_label`.
 */
confusion: Array<Array<number>>,
/**
 * The mean over labels.
 */
precision_macro: number,
/**
 * The mean over labels.
 */
recall_macro: number,
/**
 * The mean over labels by their rows.
 */
precision_weighted: number,
/**
 * The mean over labels by their rows.
 */
recall_weighted: number,
/**
 * The mean over labels by their rows.
 */
f1_weighted: number,
/**
 * Mean recall of the labels that some row has.
 */
balanced_accuracy: number,
/**
 * Correlation of true and given labels, from -1 to 1.
 */
matthews: number,
/**
 * Agreement beyond chance (Cohen), at most 1.
 */
kappa: number,
/**
 * Of two labels: how often a row with the second is ranked above one without; `null` otherwise.
 */
roc_auc: number | null,
/**
 * Of two labels: mean precision down the ranking for the second; `null` otherwise.
 */
average_precision: number | null, };

/**
 * Lengths of rows, in tokens.
 */
export type LengthStatistics = {
/**
 * Half of the rows are at most this long.
 */
median: number,
/**
 * 95 of 100 rows are at most this long.
 */
p95: number,
/**
 * The longest row.
 */
longest: number,
/**
 * Where it is, from 0.
 */
longest_row: number,
/**
 * Width of a bin of the histogram, in tokens.
 */
bin_width: number,
/**
 * Rows per bin; bin `i` holds lengths from `i * bin_width` up to, not including, the next.
 */
bins: Array<number>, };

/**
 * How another program loads the result.
 */
export type LoadsIn = {
/**
 * `PEFT`, `transformers`, `vLLM`, `llama.cpp`, `Ollama`, `LM Studio`, `MLX`.
 */
program: string, } & ({ "way": "saved" } | { "way": "export",
/**
 * The form.
 */
form: ExportForm, } | { "way": "not",
/**
 * Why.
 */
why: NotLoaded, });

/**
 * Memory by purpose.
 */
export type MemoryEstimate = {
/**
 * All of it.
 */
total_bytes: number,
/**
 * The base's weights.
 */
base_bytes: number,
/**
 * What moves: weights, gradients, optimiser.
 */
trainable_bytes: number,
/**
 * The longest batch.
 */
batch_bytes: number,
/**
 * What is free now.
 */
available_bytes: number,
/**
 * What the program may hold in all: what it holds and what is free, or the setting `memory_limit`; `null` where the
 * system does not tell.
 */
limit_bytes: number | null, };

/**
 * A change of settings that mends a note.
 */
export type Mend = {
/**
 * What the button says: "Raise to 768".
 */
label: string,
/**
 * The settings with their new values.
 */
settings: { [key in string]: SettingValue }, };

/**
 * Which parameters move while training.
 */
export type Method = "lora" | "full";

/**
 * Registers a folder as a base model; it stays where it is.
 */
export type ModelAddRequest = {
/**
 * Folder with `config.json`, weights and tokenizer; `~` is the home folder.
 */
path: string,
/**
 * What to call it; the folder's name if left out.
 */
name?: string, };

/**
 * One model in full.
 */
export type ModelDetails = {
/**
 * BLAKE3 over configuration, weights and tokenizer, stored with every run.
 */
hash: string,
/**
 * Blocks.
 */
n_layers: number,
/**
 * Width of a block.
 */
hidden_size: number,
/**
 * Attention heads.
 */
n_heads: number,
/**
 * Tokens in the vocabulary.
 */
vocab_size: number,
/**
 * Longest text it was made for, in tokens.
 */
max_position_embeddings: number,
/**
 * Number format of the weights: `f32`, `f16`, `bf16`.
 */
dtype: string,
/**
 * Names an adapter can be put on, as `target_modules` takes them.
 */
target_modules: Array<string>,
/**
 * Labels of a classifier's head, in order; empty without one.
 */
labels: Array<string>,
/**
 * What it can and cannot do, in a few honest sentences; `null` when its folder says nothing.
 */
card: string | null,
/**
 * The chat template, when it brings one.
 */
template: TemplateInfo | null,
/**
 * Name in the registry; what `--model` takes beside a path.
 */
id: string,
/**
 * What people call it.
 */
name: string,
/**
 * Where it comes from.
 */
source: ModelSource,
/**
 * Folder it is read from; it is never written to. `null` for the built-in one.
 */
path: string | null,
/**
 * False when the folder is gone.
 */
available: boolean,
/**
 * `model_type` of its configuration, such as `llama`, `gemma2` or `bert`.
 */
family: string,
/**
 * What it can be trained to do, most natural first.
 */
tasks: Array<Task>,
/**
 * Numbers it consists of.
 */
n_parameters: number,
/**
 * Size of its weights on disk.
 */
n_bytes: number,
/**
 * Licence, when its folder says one.
 */
licence: string | null,
/**
 * Whether it brings a chat template.
 */
has_chat_template: boolean,
/**
 * Speed of training as measured in earlier runs on this computer; `null` before the first.
 */
train_tokens_per_s: number | null,
/**
 * Highest memory of these runs.
 */
train_memory_bytes: number | null,
/**
 * How many runs these two rest on.
 */
n_measured_runs: number,
/**
 * When a run last used it.
 */
last_used_at_ms: number | null, };

/**
 * Brings a model from a hub.
 */
export type ModelGetRequest = {
/**
 * Its name there: `OWNER/NAME`.
 */
model: string,
/**
 * A branch, a tag or a commit; the main branch if left out.
 */
revision?: string,
/**
 * One GGUF file of several; the whole model if left out.
 */
file?: string, };

/**
 * Names one model by id, name or path. Inspecting a path registers nothing.
 */
export type ModelRequest = {
/**
 * Id, name or path.
 */
model: string, };

/**
 * Where a model comes from.
 */
export type ModelSource = "starter" | "folder";

/**
 * One base model in a list.
 */
export type ModelSummary = {
/**
 * Name in the registry; what `--model` takes beside a path.
 */
id: string,
/**
 * What people call it.
 */
name: string,
/**
 * Where it comes from.
 */
source: ModelSource,
/**
 * Folder it is read from; it is never written to. `null` for the built-in one.
 */
path: string | null,
/**
 * False when the folder is gone.
 */
available: boolean,
/**
 * `model_type` of its configuration, such as `llama`, `gemma2` or `bert`.
 */
family: string,
/**
 * What it can be trained to do, most natural first.
 */
tasks: Array<Task>,
/**
 * Numbers it consists of.
 */
n_parameters: number,
/**
 * Size of its weights on disk.
 */
n_bytes: number,
/**
 * Licence, when its folder says one.
 */
licence: string | null,
/**
 * Whether it brings a chat template.
 */
has_chat_template: boolean,
/**
 * Speed of training as measured in earlier runs on this computer; `null` before the first.
 */
train_tokens_per_s: number | null,
/**
 * Highest memory of these runs.
 */
train_memory_bytes: number | null,
/**
 * How many runs these two rest on.
 */
n_measured_runs: number,
/**
 * When a run last used it.
 */
last_used_at_ms: number | null, };

/**
 * Why a program does not load a result.
 */
export type NotLoaded = "no_adapter" | "gives_labels" | "unknown_family";

/**
 * How serious a note is.
 */
export type NoteLevel = "refused" | "warning" | "good" | "information";

/**
 * A request that needs no words: an empty object, or `null`.
 */
export type Nothing = Record<symbol, never>;

/**
 * What lies at a path: decides whether something dropped on the window is examples or a model.
 */
export type PathInfo = {
/**
 * The path, absolute.
 */
path: string,
/**
 * Its last part.
 */
name: string,
/**
 * What it looks like, judged by names and first bytes only.
 */
kind: PathKind,
/**
 * Size of a file; `null` for a folder.
 */
n_bytes: number | null, };

/**
 * What a path looks like.
 */
export type PathKind = "data" | "model" | "adapter" | "other" | "missing";

/**
 * Asks what lies at a path, before anything is done with it.
 */
export type PathRequest = {
/**
 * A file or folder; `~` is the home folder.
 */
path: string, };

/**
 * Asks a classifier for the label of a text.
 */
export type PredictRequest = {
/**
 * Model by id, name or path.
 */
model: string,
/**
 * Adapter folder, or a run whose best result is used.
 */
adapter?: string,
/**
 * The text.
 */
text: string,
/**
 * Keeps the base in fewer bits; as its files have it if left out.
 */
quantize?: Quantisation, };

/**
 * A label and how sure the model is.
 */
export type Prediction = {
/**
 * The likeliest label.
 */
label: string,
/**
 * Every label with its probability; they add up to 1.
 */
probabilities: { [key in string]: number },
/**
 * Time it took, after loading.
 */
seconds: number, };

/**
 * How the window looks: kept in the data folder, so that it moves with it.
 */
export type Preferences = {
/**
 * Light, dark, or as the system is set.
 */
theme: Theme, };

/**
 * A ready-made choice of settings.
 */
export type Preset = {
/**
 * `quick`, `balanced`, `thorough`.
 */
name: string,
/**
 * "Quick look".
 */
label: string,
/**
 * What it does, in plain words.
 */
sentence: string,
/**
 * What differs from the defaults.
 */
overrides: { [key in string]: SettingValue }, };

/**
 * One row as a model sees it.
 */
export type PreviewRow = {
/**
 * Place in the dataset, from 0.
 */
index: number,
/**
 * First words, for a list: of the question for a chat, of the text otherwise. At most 80 characters.
 */
title: string,
/**
 * Label of a labelled row.
 */
label: string | null,
/**
 * Tokens before cutting; of a pair of answers, those of the longer one.
 */
n_tokens: number,
/**
 * Tokens that are learned from, after cutting.
 */
n_trained: number,
/**
 * Whether the end was cut off.
 */
truncated: boolean,
/**
 * The tokens in order, after cutting; of a pair of answers, with the chosen one.
 */
tokens: Array<PreviewToken>,
/**
 * The same row with the rejected answer; absent unless it is a pair.
 */
rejected?: Array<PreviewToken>, };

/**
 * One token.
 */
export type PreviewToken = {
/**
 * The text it stands for; the texts of a row joined are the row. Bytes that are no text alone become `�`.
 */
text: string,
/**
 * Its number in the vocabulary.
 */
id: number,
/**
 * Whether it is learned from.
 */
trained: boolean,
/**
 * Whether it is a special token of the vocabulary.
 */
special: boolean,
/**
 * Whose turn it belongs to (`system`, `user`, `assistant`), when the template tells; `null` otherwise.
 */
role: string | null, };

/**
 * A base kept in fewer bits while it is used.
 */
export type Quantisation = "q8_0" | "q4_k";

/**
 * How well preferences are met. A reward is the preference strength times how much likelier than the reference the model
 * holds an answer, in nats.
 */
export type Rewards = {
/**
 * Mean reward of good answers less that of bad ones.
 */
margin: number,
/**
 * Share of examples ordered (or judged) as the data says.
 */
accuracy: number,
/**
 * Mean log-probability of good answers, in nats.
 */
chosen_log_probability: number,
/**
 * Mean log-probability of bad answers, in nats.
 */
rejected_log_probability: number, };

/**
 * One run in full: `runs show`.
 */
export type RunDetails = {
/**
 * The request it was made from, so that it can be made again with changes.
 */
request: RunRequest,
/**
 * Every setting as it is used.
 */
settings: { [key in string]: SettingValue },
/**
 * The run in numbers, as far as it has come.
 */
metrics: RunMetrics,
/**
 * Checkpoints that are kept, newest first.
 */
checkpoints: Array<CheckpointSummary>,
/**
 * Folder with everything the run writes.
 */
folder: string,
/**
 * Folder with the result, once there is one.
 */
adapter: string | null,
/**
 * Version of the examples.
 */
dataset_hash: string,
/**
 * Version of the base.
 */
model_hash: string,
/**
 * Version of the chat template; `null` without one.
 */
template_hash: string | null,
/**
 * Version of the code.
 */
code_version: string,
/**
 * Where it is computed.
 */
device: string,
/**
 * Number of the last event that is recorded; `run_history` gives all up to it, `run_follow` goes on after it.
 */
last_seq: number,
/**
 * What was estimated before the start.
 */
estimated_seconds: number | null,
/**
 * What was estimated before the start.
 */
estimated_memory_bytes: number | null,
/**
 * What `runs show` takes.
 */
id: string,
/**
 * What people call it.
 */
name: string,
/**
 * Where it stands.
 */
status: RunStatus,
/**
 * What it trains.
 */
task: Task,
/**
 * What moves.
 */
method: Method,
/**
 * Base model: id.
 */
model: string,
/**
 * Base model: name.
 */
model_name: string,
/**
 * Examples: id.
 */
data: string,
/**
 * Examples: name.
 */
data_name: string,
/**
 * When it was asked for.
 */
created_at_ms: number,
/**
 * When it first worked.
 */
started_at_ms: number | null,
/**
 * When it ended.
 */
ended_at_ms: number | null,
/**
 * Time worked, without pauses.
 */
elapsed_ms: number,
/**
 * Time left; `null` when not running or not yet known.
 */
remaining_ms: number | null,
/**
 * Steps finished.
 */
step: number,
/**
 * Steps planned; `null` before the examples were counted.
 */
n_steps: number | null,
/**
 * Passes finished, with the fraction of the current one.
 */
epoch: number,
/**
 * Best validation loss, or the smoothed training loss where nothing is kept aside.
 */
best_loss: number | null,
/**
 * Step of the best validation loss.
 */
best_step: number | null,
/**
 * Accuracy at that step; `null` for language models.
 */
accuracy: number | null,
/**
 * Mean speed.
 */
tokens_per_s: number | null,
/**
 * Highest memory so far.
 */
peak_memory_bytes: number | null,
/**
 * A small curve: validation loss by step (training loss where nothing is kept aside), at most 40 points.
 */
curve: Array<CurvePoint>,
/**
 * Why it failed.
 */
error: ApiError | null, };

/**
 * What a run will do and cost. A number that rests on nothing is `null`.
 */
export type RunEstimate = {
/**
 * The name the run would get.
 */
name: string,
/**
 * The task the run would have.
 */
task: Task,
/**
 * Optimiser steps.
 */
n_steps: number,
/**
 * Passes over the examples.
 */
n_epochs: number,
/**
 * Examples that are learned from.
 */
n_rows_train: number,
/**
 * Examples that are kept aside.
 */
n_rows_validation: number,
/**
 * Tokens read while training, all passes.
 */
n_tokens: number,
/**
 * Tokens learned from, all passes.
 */
n_trained_tokens: number,
/**
 * Numbers that move.
 */
n_trainable: number,
/**
 * Numbers in all.
 */
n_parameters: number,
/**
 * Time of everything.
 */
seconds: number | null,
/**
 * Time of the steps alone.
 */
training_seconds: number | null,
/**
 * Time of the checks.
 */
evaluating_seconds: number | null,
/**
 * Speed the times rest on.
 */
tokens_per_s: number | null,
/**
 * What the times and the memory rest on, in one sentence ("Measured here in 12 earlier runs.").
 */
basis: string,
/**
 * Memory by purpose.
 */
memory: MemoryEstimate,
/**
 * Disk for everything that is kept.
 */
disk_bytes: number,
/**
 * Checkpoints that are kept at once.
 */
n_checkpoints: number,
/**
 * Size of the result.
 */
adapter_bytes: number,
/**
 * Where the result will load.
 */
loads_in: Array<LoadsIn>,
/**
 * What to know before the start, most serious first.
 */
notes: Array<EstimateNote>,
/**
 * What would make the run fit into memory, where it does not; also among the notes.
 */
would_fit: Array<Mend>,
/**
 * Every setting as it would be used, defaults and preset included.
 */
settings: { [key in string]: SettingValue },
/**
 * Runs that would come first.
 */
n_queued: number, };

/**
 * One event of one run.
 */
export type RunEvent = {
/**
 * The run's id.
 */
run: string,
/**
 * Number of the event, from 1, without gaps within a run; goes on after a pause or a resume.
 */
seq: number,
/**
 * Optimiser steps finished when it happened; 0 before the first.
 */
step: number,
/**
 * When.
 */
at_ms: number,
/**
 * Time the run has worked so far, without pauses.
 */
elapsed_ms: number, } & ({ "event": "started",
/**
 * Optimiser steps planned.
 */
n_steps: number,
/**
 * Passes over the examples planned; a fraction when the steps end within one.
 */
n_epochs: number,
/**
 * Numbers that move.
 */
n_trainable: number,
/**
 * Numbers in all.
 */
n_parameters: number,
/**
 * Where it is computed: `cpu`, `cuda`, `metal`.
 */
device: string, } | { "event": "phase",
/**
 * `loading`, `tokenizing`, `probing`, `evaluating`, `saving`, `sampling`.
 */
name: string,
/**
 * What is counted: `bytes`, `rows`, `batches`, `tokens`.
 */
unit: string,
/**
 * So many are done.
 */
done: number,
/**
 * Of so many, when known.
 */
total: number | null, } | { "event": "step",
/**
 * Passes finished, with the fraction of the current one.
 */
epoch: number,
/**
 * Mean over the supervised tokens (rows when classifying) of this step.
 */
loss: number,
/**
 * The sum it was made from.
 */
loss_sum: number,
/**
 * Supervised tokens (rows when classifying) of this step.
 */
n_tokens: number,
/**
 * Learning rate of this step.
 */
learning_rate: number,
/**
 * Norm of the gradient before clipping.
 */
gradient_norm: number,
/**
 * Speed: all tokens of the step, supervised or not, by its time.
 */
tokens_per_s: number,
/**
 * Memory of the process now.
 */
memory_bytes: number,
/**
 * How well preferences are met in this step; absent unless learned from.
 */
preference?: Rewards, } | { "event": "evaluated",
/**
 * Mean over supervised tokens (rows when classifying), from totals.
 */
loss: number,
/**
 * Supervised tokens (rows when classifying).
 */
n: number,
/**
 * `exp(loss)`; `null` when classifying.
 */
perplexity: number | null,
/**
 * Share of labels found; `null` for language models.
 */
accuracy: number | null,
/**
 * F1 averaged over labels; `null` for language models.
 */
f1_macro: number | null,
/**
 * How well preferences are met; absent unless learned from.
 */
preference?: Rewards,
/**
 * Whether it is the best so far.
 */
best: boolean, } | { "event": "checkpoint",
/**
 * Folder.
 */
path: string,
/**
 * Whether it is the best so far.
 */
best: boolean,
/**
 * Size on disk.
 */
n_bytes: number, } | { "event": "sample",
/**
 * The question.
 */
prompt: string,
/**
 * The answer.
 */
answer: string,
/**
 * Why it ended.
 */
stop_reason: StopReason, } | { "event": "warning",
/**
 * One sentence.
 */
message: string, } | { "event": "paused" } | { "event": "resumed" } | { "event": "completed",
/**
 * Folder with the adapter (or the whole model, for `full`).
 */
adapter: string,
/**
 * The run in numbers.
 */
metrics: RunMetrics, } | { "event": "failed",
/**
 * Why, for programs.
 */
code: ErrorCode,
/**
 * What and where.
 */
message: string,
/**
 * How to mend it.
 */
hint: string | null, } | { "event": "cancelled" });

/**
 * Events since the last batch, in order and without gaps: at most 30 batches a second. An empty one comes at least every half
 * second and only asks whether somebody still listens. Where a run goes on from a checkpoint, its numbers go back to it:
 * what was told of later steps is done again and told again.
 */
export type RunEvents = {
/**
 * The events.
 */
events: Array<RunEvent>, };

/**
 * Asks to be told what a run does.
 */
export type RunFollowRequest = {
/**
 * Run by id or name.
 */
id: string,
/**
 * Only what comes after this event; everything if left out.
 */
since_seq?: number, };

/**
 * What is recorded of a run.
 */
export type RunHistory = {
/**
 * Number of the last event that is contained; follow from here.
 */
last_seq: number,
/**
 * All `step` events, as columns.
 */
steps: StepColumns,
/**
 * All other events, oldest first; of `phase` only the last of each stretch.
 */
events: Array<RunEvent>, };

/**
 * Asks for what is recorded of a run.
 */
export type RunHistoryRequest = {
/**
 * Run by id or name.
 */
id: string,
/**
 * Only what came after this event; everything if left out.
 */
since_seq?: number, };

/**
 * Names one run, by id or by name.
 */
export type RunIdRequest = {
/**
 * Id or name.
 */
id: string, };

/**
 * A run in numbers. Everything is `null` until it is known.
 */
export type RunMetrics = {
/**
 * Validation loss of the result (the best checkpoint).
 */
loss: number | null,
/**
 * `exp(loss)`.
 */
perplexity: number | null,
/**
 * Accuracy of the result.
 */
accuracy: number | null,
/**
 * F1 averaged over labels, of the result.
 */
f1_macro: number | null,
/**
 * Mean reward of good answers less that of bad ones; absent unless learned from preferences.
 */
reward_margin?: number,
/**
 * Share of examples that the result orders as the data says; absent unless learned from preferences.
 */
reward_accuracy?: number,
/**
 * Validation loss before the first step.
 */
base_loss: number | null,
/**
 * Accuracy before the first step.
 */
base_accuracy: number | null,
/**
 * F1 before the first step.
 */
base_f1_macro: number | null,
/**
 * Supervised tokens (rows when classifying) of a check.
 */
n_validation: number | null,
/**
 * Mean training loss of the last steps.
 */
train_loss: number | null,
/**
 * Step of the result.
 */
best_step: number | null,
/**
 * Steps finished.
 */
n_steps: number | null,
/**
 * Whether it ended early because it no longer got better.
 */
stopped_early: boolean | null,
/**
 * Supervised tokens learned from.
 */
n_trained_tokens: number | null,
/**
 * Time worked.
 */
seconds: number | null,
/**
 * Mean speed.
 */
tokens_per_s: number | null,
/**
 * Highest memory.
 */
peak_memory_bytes: number | null, };

/**
 * A report that was written.
 */
export type RunReport = {
/**
 * The file.
 */
path: string, };

/**
 * Everything a run needs. `run_estimate` and `run_start` take the same.
 */
export type RunRequest = {
/**
 * Base model by id, name or path.
 */
model: string,
/**
 * Examples by id, name or file; a file is imported first.
 */
data: string,
/**
 * Examples to check with, by id, name or file; a share of `data` (setting `validation_split`) if left out.
 */
validation?: string,
/**
 * What to call the run; a free name made from the examples' name if left out (`support-7`).
 */
name?: string,
/**
 * What to train; the natural task of the examples if left out.
 */
task?: Task,
/**
 * What moves; LoRA if left out.
 */
method?: Method,
/**
 * `quick`, `balanced` or `thorough`; applied before `settings`.
 */
preset?: string,
/**
 * Settings by name; see `settings_schema`. Unknown names are refused with the nearest known one.
 */
settings?: { [key in string]: SettingValue },
/**
 * Folder for the result; inside the data folder if left out.
 */
output?: string, };

/**
 * Where a run stands.
 */
export type RunStatus = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";

/**
 * One run in a list.
 */
export type RunSummary = {
/**
 * What `runs show` takes.
 */
id: string,
/**
 * What people call it.
 */
name: string,
/**
 * Where it stands.
 */
status: RunStatus,
/**
 * What it trains.
 */
task: Task,
/**
 * What moves.
 */
method: Method,
/**
 * Base model: id.
 */
model: string,
/**
 * Base model: name.
 */
model_name: string,
/**
 * Examples: id.
 */
data: string,
/**
 * Examples: name.
 */
data_name: string,
/**
 * When it was asked for.
 */
created_at_ms: number,
/**
 * When it first worked.
 */
started_at_ms: number | null,
/**
 * When it ended.
 */
ended_at_ms: number | null,
/**
 * Time worked, without pauses.
 */
elapsed_ms: number,
/**
 * Time left; `null` when not running or not yet known.
 */
remaining_ms: number | null,
/**
 * Steps finished.
 */
step: number,
/**
 * Steps planned; `null` before the examples were counted.
 */
n_steps: number | null,
/**
 * Passes finished, with the fraction of the current one.
 */
epoch: number,
/**
 * Best validation loss, or the smoothed training loss where nothing is kept aside.
 */
best_loss: number | null,
/**
 * Step of the best validation loss.
 */
best_step: number | null,
/**
 * Accuracy at that step; `null` for language models.
 */
accuracy: number | null,
/**
 * Mean speed.
 */
tokens_per_s: number | null,
/**
 * Highest memory so far.
 */
peak_memory_bytes: number | null,
/**
 * A small curve: validation loss by step (training loss where nothing is kept aside), at most 40 points.
 */
curve: Array<CurvePoint>,
/**
 * Why it failed.
 */
error: ApiError | null, };

/**
 * A page of runs.
 */
export type RunsPage = {
/**
 * The runs.
 */
runs: Array<RunSummary>,
/**
 * Runs in all.
 */
n_total: number, };

/**
 * Asks for a page of runs, newest first.
 */
export type RunsRequest = {
/**
 * First run, from 0.
 */
offset?: number,
/**
 * Runs at most; 100 if left out.
 */
limit?: number, };

/**
 * Names a sample.
 */
export type SampleRequest = {
/**
 * Id from the list of samples.
 */
id: string, };

/**
 * A dataset that comes with the program.
 */
export type SampleSummary = {
/**
 * What `sample_import` takes.
 */
id: string,
/**
 * What people call it.
 */
name: string,
/**
 * What it teaches, in a few words: "sorts text", "answers in a form".
 */
sentence: string,
/**
 * What the examples are.
 */
kind: DatasetKind,
/**
 * What it is good for.
 */
task: Task,
/**
 * Rows in it.
 */
n_rows: number, };

/**
 * Turns serving on. While it is on, another request replaces what is served.
 */
export type ServeRequest = {
/**
 * Base model by id, name or path.
 */
model: string,
/**
 * Adapters by folder or run; each is served under its name beside the base.
 */
adapters?: Array<string>,
/**
 * 8384 if left out; 0 takes any free port.
 */
port?: number,
/**
 * Keeps the base in fewer bits; as its files have it if left out.
 */
quantize?: Quantisation, };

/**
 * Whether and what is served.
 */
export type ServeStatus = {
/**
 * Whether it is on.
 */
running: boolean,
/**
 * Where, without a trailing slash, as in `http://127.0.0.1:8384`; `null` when off.
 */
address: string | null,
/**
 * Since when.
 */
since_ms: number | null,
/**
 * What can be asked for; empty when off.
 */
models: Array<ServedModel>, };

/**
 * What a served name is.
 */
export type ServedKind = "base" | "adapter" | "classifier";

/**
 * One name that can be asked for.
 */
export type ServedModel = {
/**
 * What `model` takes in a request.
 */
name: string,
/**
 * What it is.
 */
kind: ServedKind,
/**
 * The run it came from, for an adapter made here.
 */
run: string | null,
/**
 * Requests answered since the switch was turned on.
 */
n_requests: number, };

/**
 * One of a few words.
 */
export type SettingChoice = {
/**
 * As stored.
 */
value: string,
/**
 * As a person says it.
 */
label: string, };

/**
 * A condition: that the run's word for something is one of some.
 */
export type SettingCondition = {
/**
 * `task`, `method`, or a setting with words to choose from; an `objective` left empty is that of the examples.
 */
subject: string,
/**
 * The words.
 */
words: Array<string>, };

/**
 * Where a setting belongs in a form.
 */
export type SettingGroup = "learning" | "adapter" | "data" | "saving" | "computing";

/**
 * What values a setting takes.
 */
export type SettingKind = "bool" | "integer" | "number" | "choice" | "text" | "list";

/**
 * One setting as it was declared.
 */
export type SettingSpec = {
/**
 * As in `--config` and the stored run: `learning_rate`.
 */
name: string,
/**
 * As a person says it: "Learning rate".
 */
label: string,
/**
 * Where it belongs in a form.
 */
group: SettingGroup,
/**
 * What values it takes.
 */
kind: SettingKind,
/**
 * Unit after the field: `tokens`, `steps`; `null` for a bare number. A fraction has the unit `fraction`.
 */
unit: string | null,
/**
 * Value when nothing is said. `null`: decided from others, as `sentence` says.
 */
default: SettingValue,
/**
 * Smallest allowed number.
 */
minimum: number | null,
/**
 * Largest allowed number.
 */
maximum: number | null,
/**
 * The words to choose from, for `kind: choice` (and suggestions for `list`).
 */
choices: Array<SettingChoice>,
/**
 * What it does, in one sentence.
 */
sentence: string,
/**
 * When it matters: all conditions hold. Where one does not, forms leave it out and a run refuses a value of it.
 */
when: Array<SettingCondition>, };

/**
 * The value of a setting: no value, a yes or no, a number, a word, or several words.
 */
export type SettingValue = null | boolean | number | number | string | Array<string>;

/**
 * Asks which settings there are for a piece of work.
 */
export type SettingsRequest = {
/**
 * What is trained; causal if left out.
 */
task?: Task,
/**
 * What moves; LoRA if left out.
 */
method?: Method, };

/**
 * All settings of a piece of work, and ready-made choices of them.
 */
export type SettingsSchema = {
/**
 * Settings in the order of a form; those of one group are together.
 */
settings: Array<SettingSpec>,
/**
 * `quick`, `balanced`, `thorough`, in this order.
 */
presets: Array<Preset>, };

/**
 * Steps as columns of equal length.
 */
export type StepColumns = {
/**
 * Step.
 */
step: Array<number>,
/**
 * Passes finished.
 */
epoch: Array<number>,
/**
 * Mean loss.
 */
loss: Array<number>,
/**
 * Learning rate.
 */
learning_rate: Array<number>,
/**
 * Norm of the gradient before clipping.
 */
gradient_norm: Array<number>,
/**
 * Speed.
 */
tokens_per_s: Array<number>,
/**
 * Memory of the process.
 */
memory_bytes: Array<number>,
/**
 * Time.
 */
at_ms: Array<number>, };

/**
 * Why an answer ended; the first two are spelled as in the OpenAI dialect.
 */
export type StopReason = "stop" | "length" | "cancelled";

/**
 * What a model is trained to do.
 */
export type Task = "causal" | "classify";

/**
 * A chat template in use.
 */
export type TemplateInfo = {
/**
 * Where it comes from: the model's name.
 */
source: string,
/**
 * BLAKE3 of the template, stored with every run.
 */
hash: string,
/**
 * The text of the token that ends a turn, when there is one.
 */
end_of_turn: string | null, };

/**
 * Light, dark, or as the system is set.
 */
export type Theme = "system" | "light" | "dark";

/**
 * How far a piece of work has come.
 */
export type WorkProgress = {
/**
 * What is counted: `rows`, `tokens`, `bytes`.
 */
unit: string,
/**
 * So many are done.
 */
done: number,
/**
 * Of so many, when known.
 */
total: number | null, };

/** Commands that answer once. */
export const commandsOver = (call: Call) => ({
  /** What the program runs on and where it keeps things. */
  app_info: (request: Nothing = {}) => call("app_info", request) as Promise<AppInfo>,
  /** What is alive: asked for every second. */
  app_activity: (request: Nothing = {}) => call("app_activity", request) as Promise<Activity>,
  /** How the window looks. */
  app_preferences: (request: Nothing = {}) => call("app_preferences", request) as Promise<Preferences>,
  /** Changes how the window looks. */
  app_set_preferences: (request: Preferences) => call("app_set_preferences", request) as Promise<Preferences>,
  /** What lies at a path. */
  path_inspect: (request: PathRequest) => call("path_inspect", request) as Promise<PathInfo>,
  /** Datasets that come with the program. */
  samples_list: (request: Nothing = {}) => call("samples_list", request) as Promise<Array<SampleSummary>>,
  /** Imports one of them; a second time yields the same dataset. */
  sample_import: (request: SampleRequest) => call("sample_import", request) as Promise<DatasetDetails>,
  /** Datasets, newest first. */
  data_list: (request: Nothing = {}) => call("data_list", request) as Promise<Array<DatasetSummary>>,
  /** One dataset in full. */
  data_show: (request: DatasetRequest) => call("data_show", request) as Promise<DatasetDetails>,
  /** Rows as a model sees them. */
  data_preview: (request: DataPreviewRequest) => call("data_preview", request) as Promise<DataPreview>,
  /** Base models: the built-in one first, then those last used. */
  models_list: (request: Nothing = {}) => call("models_list", request) as Promise<Array<ModelSummary>>,
  /** Whole models in the cache of other programs (transformers, huggingface_hub) that are not in the list yet. */
  models_found: (request: Nothing = {}) => call("models_found", request) as Promise<Array<CachedModel>>,
  /** Registers a folder as a base model. */
  model_add: (request: ModelAddRequest) => call("model_add", request) as Promise<ModelSummary>,
  /** One model in full. */
  model_inspect: (request: ModelRequest) => call("model_inspect", request) as Promise<ModelDetails>,
  /** Which hub models come from, and whether there is a token for it. */
  hub_settings: (request: Nothing = {}) => call("hub_settings", request) as Promise<HubSettings>,
  /** Changes which hub, or its token. */
  hub_set: (request: HubSettingsRequest) => call("hub_set", request) as Promise<HubSettings>,
  /** All settings, and the presets. */
  settings_schema: (request: SettingsRequest) => call("settings_schema", request) as Promise<SettingsSchema>,
  /** What a run would do and cost. */
  run_estimate: (request: RunRequest) => call("run_estimate", request) as Promise<RunEstimate>,
  /** Records a run and queues it. */
  run_start: (request: RunRequest) => call("run_start", request) as Promise<RunSummary>,
  /** A page of runs, newest first. */
  runs_list: (request: RunsRequest) => call("runs_list", request) as Promise<RunsPage>,
  /** One run in full. */
  run_show: (request: RunIdRequest) => call("run_show", request) as Promise<RunDetails>,
  /** What is recorded of a run. */
  run_history: (request: RunHistoryRequest) => call("run_history", request) as Promise<RunHistory>,
  /** Lets a run wait after its current step; everything is kept. */
  run_pause: (request: RunIdRequest) => call("run_pause", request) as Promise<RunSummary>,
  /** Goes on with a run that waits, failed, was stopped, or was interrupted. */
  run_resume: (request: RunIdRequest) => call("run_resume", request) as Promise<RunSummary>,
  /** Stops a run after its current step; its checkpoints are kept. */
  run_cancel: (request: RunIdRequest) => call("run_cancel", request) as Promise<RunSummary>,
  /** Saves the whole state after the current step. */
  run_checkpoint: (request: RunIdRequest) => call("run_checkpoint", request) as Promise<RunSummary>,
  /** Writes a run's report, an HTML file with its plots, beside it. */
  run_report: (request: RunIdRequest) => call("run_report", request) as Promise<RunReport>,
  /** The forms a result can take as an export. */
  export_forms: (request: ExportFormsRequest) => call("export_forms", request) as Promise<Array<ExportChoice>>,
  /** The label of a text. */
  predict: (request: PredictRequest) => call("predict", request) as Promise<Prediction>,
  /** The vectors of texts. */
  embed: (request: EmbedRequest) => call("embed", request) as Promise<Embeddings>,
  /** Whether and what is served. */
  serve_status: (request: Nothing = {}) => call("serve_status", request) as Promise<ServeStatus>,
  /** Turns serving on. */
  serve_start: (request: ServeRequest) => call("serve_start", request) as Promise<ServeStatus>,
  /** Turns serving off. */
  serve_stop: (request: Nothing = {}) => call("serve_stop", request) as Promise<ServeStatus>,
});

/** Commands that tell how they go on. */
export const streamsOver = (stream: Stream) => ({
  /** Reads a file of examples. */
  data_import: (request: DataImportRequest, onUpdate: (update: ImportProgress) => void, signal?: AbortSignal) =>
    stream("data_import", request, onUpdate as (update: unknown) => void, signal) as Promise<DatasetDetails>,
  /** What a run does, from an event on until it ends. */
  run_follow: (request: RunFollowRequest, onUpdate: (update: RunEvents) => void, signal?: AbortSignal) =>
    stream("run_follow", request, onUpdate as (update: unknown) => void, signal) as Promise<Nothing>,
  /** Measures a model on examples. */
  evaluate: (request: EvaluateRequest, onUpdate: (update: WorkProgress) => void, signal?: AbortSignal) =>
    stream("evaluate", request, onUpdate as (update: unknown) => void, signal) as Promise<Evaluation>,
  /** Registers a model of a hub: where another program fetched it, else by a download that goes on where it stopped. */
  model_get: (request: ModelGetRequest, onUpdate: (update: DownloadProgress) => void, signal?: AbortSignal) =>
    stream("model_get", request, onUpdate as (update: unknown) => void, signal) as Promise<ModelSummary>,
  /** Writes a result in the form another program loads, reads it back and compares it. */
  export: (request: ExportRequest, onUpdate: (update: WorkProgress) => void, signal?: AbortSignal) =>
    stream("export", request, onUpdate as (update: unknown) => void, signal) as Promise<Export>,
  /** Writes an answer, piece by piece. */
  generate: (request: GenerateRequest, onUpdate: (update: GenerateUpdate) => void, signal?: AbortSignal) =>
    stream("generate", request, onUpdate as (update: unknown) => void, signal) as Promise<Generation>,
});
