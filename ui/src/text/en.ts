// Every text of the window, in English: plain, short, second person. Numbers come with their units from lib/format.
import type {
  DatasetKind, ErrorCode, Export, ExportComparison, ExportForm, ExportPrecision, ExportQuantization, ImportProgress, NotLoaded, RunDetails, RunEstimate, RunEvent, RunMetrics, RunStatus, SettingGroup, StopReason, Task, WorkProgress,
} from '../bindings';
import { bytes, duration, fixed, group, measure, NBSP, percent, rateFixed, seconds } from '../lib/format';
import type { Verdict } from '../lib/verdict';

export type Piece = string | { strong: string };
const strong = (text: string): Piece => ({ strong: text });

const listed = (words: string[]) => (words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`);

const NOUNS: Record<DatasetKind, [string, string]> = {
  messages: ['chat', 'chats'],
  sharegpt: ['chat', 'chats'],
  alpaca: ['example', 'examples'],
  prompt_completion: ['example', 'examples'],
  text_label: ['text', 'texts'],
  preference: ['pair of answers', 'pairs of answers'],
  judged: ['judged answer', 'judged answers'],
  text: ['passage', 'passages'],
};

/** "4,812 chats". */
export function rows(n: number, kind: DatasetKind): string {
  return `${group(n)}${NBSP}${NOUNS[kind][n === 1 ? 0 : 1]}`;
}

export const noun = (kind: DatasetKind, many = true) => NOUNS[kind][many ? 1 : 0];
export const counted = (n: number, one: string, many: string) => `${group(n)}${NBSP}${n === 1 ? one : many}`;
export const tokens = (n: number) => counted(n, 'token', 'tokens');
export const speed = (perSecond: number) => `${group(perSecond)}${NBSP}tokens/s`;
const WORDS = ['', 'once', 'twice', 'three times', 'four times', 'five times', 'six times'];
const times = (epochs: number) =>
  WORDS[epochs] ? WORDS[epochs] : Number.isInteger(epochs) ? `${epochs}${NBSP}times` : epochs < 1 ? `in part (${percent(epochs, 0)})` : `${fixed(epochs, 1)}${NBSP}times`;

export const app = {
  name: 'Lorikeet',
  places: { home: 'Home', data: 'Data', models: 'Models', runs: 'Runs', try: 'Try', serve: 'Serve', settings: 'Settings' },
  sidebar: 'Places',
  find: 'Search or do',
  findKeys: 'Ctrl K', findKeysMac: '⌘ K',
  offline: 'Works offline. Nothing leaves this computer.',
  serving: 'Serving on this computer',
  training: (name: string, share: number) => `${name}, ${percent(share, 0)} done`,
  dropAnywhere: 'Drop to add your examples',
  dropHint: 'A file of examples, or the folder of a model.',
  dropUnknown: (name: string) => `${name} is neither a file of examples nor the folder of a model.`,
  copied: 'Copied',
  copyFailed: 'The clipboard could not be written.',
  close: 'Close',
  dismiss: 'Dismiss',
  retry: 'Try again',
  cancel: 'Cancel',
  loading: 'Loading',
  none: 'none',
  again: 'Reload',
  failedToLoad: 'This could not be loaded',
};

export const kinds = {
  name: { messages: 'Chats', sharegpt: 'Chats', alpaca: 'Instructions with answers', prompt_completion: 'Prompts with answers', text_label: 'Texts with labels', text: 'Plain text', preference: 'Better and worse answers', judged: 'Answers judged good or bad' } satisfies Record<DatasetKind, string>,
  technical: { messages: 'OpenAI messages', sharegpt: 'ShareGPT', alpaca: 'Alpaca', prompt_completion: 'prompt and completion', text_label: 'text and label', text: 'text', preference: 'chosen and rejected', judged: 'answer and label' } satisfies Record<DatasetKind, string>,
  role: (role: string) => ({ system: 'System', user: 'User', assistant: 'Answer', tool: 'Tool', text: 'Text' })[role] ?? role,
  task: { causal: 'Answers or continues text', classify: 'Sorts text into labels' } satisfies Record<Task, string>,
};

export const status: Record<RunStatus, string> = {
  queued: 'Queued', running: 'Training', paused: 'Paused', completed: 'Done', failed: 'Failed', cancelled: 'Stopped',
};

export const errorTitle: Record<ErrorCode, string> = {
  not_found: 'This is not there', invalid_request: 'This does not fit together', unknown_setting: 'No such setting', invalid_setting: 'A setting does not fit',
  bad_rows: 'Some rows cannot be used', unreadable_file: 'The file cannot be read', unrecognised_data: 'No examples were recognised',
  unrecognised_model: 'No model was recognised', mismatch: 'The parts do not belong together', nothing_to_train: 'There is nothing to learn from',
  unseen_label: 'A label was never trained', out_of_memory: 'This needs more memory than is free', disk_full: 'The disk is full',
  read_only: 'The data folder cannot be written', wrong_state: 'This cannot be done now', port_in_use: 'The port is taken',
  unsupported: 'This computer cannot do that', diverged: 'The loss stopped being a number', cancelled: 'Stopped', internal: 'Something went wrong inside Lorikeet',
};
export const errors = {
  code: 'Code',
  nothingLost: 'Nothing is lost.',
  line: (line: number, column: number | null) => (column === null ? `Line ${group(line)}` : `Line ${group(line)}, column ${group(column)}`),
};

export const home = {
  title: 'Train a model on your examples',
  lead: 'Three steps. You can stop at any time, and nothing you do here can break the base model or your file.',
  step1: 'Your examples',
  step2: 'A base model',
  step3: 'Train',
  done: 'done',
  drop: 'Drop a file here',
  dropOver: 'Let go to read it',
  dropWhat: 'Chats, questions with answers, texts with labels, or plain text, as JSONL, JSON, CSV, TSV or text. 20 examples are enough to try, 200 to see a difference.',
  choose: 'Choose a file',
  chooseAnother: 'Choose another',
  chooseTitle: 'A file of examples',
  path: 'or type its path',
  pathName: 'Path of a file of examples',
  read: 'Read it',
  reading: (name: string) => `Reading ${name}`,
  readSoFar: (p: ImportProgress) => `${counted(p.n_rows, 'row', 'rows')}, ${bytes(p.n_bytes)} of ${bytes(p.n_bytes_total)}`,
  ready: (kind: DatasetKind) => `${kinds.name[kind]}, ready to train`,
  about: (n: number, kind: DatasetKind, size: number) => `${rows(n, kind)}, ${kinds.technical[kind]}, ${bytes(size)}. Drop another file here to replace it.`,
  allGood: 'Every row can be used',
  leftOut: (n: number) => `${counted(n, 'row was', 'rows were')} left out`,
  labels: (n: number, names: string) => `${group(n)} labels: ${names}`,
  preview: 'Preview',
  refused: (n: number, name: string) => `${counted(n, 'row', 'rows')} of ${name} cannot be used`,
  keepGood: (n: number) => `Keep the ${counted(n, 'good row', 'good rows')}`,
  startOver: 'Start over',
  moreBad: (n: number) => `and ${group(n)} more`,
  samples: 'No file at hand? Start from a sample:',
  built: 'Built in', here: 'On this computer', gone: 'Its folder is gone',
  trainsAt: (tps: number) => `Trains at about ${speed(tps)}`,
  notMeasured: 'Speed is measured on the first run',
  needs: (memory: string, time: string | null) => (time ? `Needs ${memory}, takes about ${time}` : `Needs ${memory}`),
  unfit: 'Does not fit these examples',
  unfitCausal: (kind: DatasetKind) => `It sorts text into labels; these are ${noun(kind)}`,
  parameters: (n: string) => `${n} parameters`,
  fromFolder: 'From a folder',
  fromFolderWhat: 'Safetensors or GGUF, on any disk. It stays where it is and is only read.',
  fromHub: 'From the hub', fromHubWhat: 'By its name there. It is fetched once and then used offline.',
  folderTitle: 'The folder of a model',
  train: 'Train',
  starting: 'Starting',
  change: 'Change settings',
  goOn: 'You can go on working while it trains.',
  needFile: 'Choose your examples first.',
  needModel: 'Choose a base model.',
  noModel: { classify: 'None of your models can learn to sort text into labels. Add one from a folder.', causal: 'None of your models answers or continues text. Add one from a folder.' } satisfies Record<Task, string>,
  labelOf: 'Label',
  wait: 'Working out how long it takes.',
  promiseEmpty: 'Once you have chosen examples and a base model, this says what will happen, how long it takes and how much memory it needs.',
  promise(estimate: RunEstimate, kind: DatasetKind): Piece[] {
    const learns = estimate.task === 'classify' ? 'learns to put each under its label' : kind === 'text' ? 'learns to write like them' : 'learns to answer as they do';
    const out: Piece[] = ['Lorikeet reads ', strong(rows(estimate.n_rows_train, kind)), ' ', strong(times(estimate.n_epochs)), ` and ${learns}. `];
    if (estimate.n_rows_validation > 0) out.push('It keeps ', strong(rows(estimate.n_rows_validation, kind)), ' aside to check itself and saves the best version. ');
    const memory = bytes(estimate.memory.total_bytes);
    if (estimate.seconds === null) out.push('It needs about ', strong(memory), ' of memory; how long it takes shows after the first steps.');
    else out.push('This takes about ', strong(duration(estimate.seconds)), ' and ', strong(memory), ' of memory.');
    return out;
  },
  recent: 'Recent runs',
  allRuns: (n: number) => (n === 1 ? 'All runs' : `All ${group(n)} runs`),
  now: 'Now',
  nothingRuns: 'Nothing is training.',
  open: 'Open',
  trainAgain: 'Train on your examples',
  welcome: 'Home',
  servedNow: 'Other programs can use your models.',
  yourData: 'Your examples',
};

export const data = {
  title: 'Data',
  add: 'Add examples',
  sample: 'Use a sample',
  emptyTitle: 'Your examples go here',
  empty: 'A file of chats, questions with answers, texts with labels, or plain text. 20 examples are enough to try, 200 to see a difference.',
  emptyFoot: 'JSONL, JSON, CSV, TSV or text. Nothing is copied out of this computer.',
  columns: { name: 'Name', kind: 'What', rows: 'Rows', bad: 'Left out', size: 'Size', version: 'Version', added: 'Added' },
  trainOn: 'Train on it',
  as: (model: string) => `as ${model} sees it`,
  row: (index: number) => `Row ${group(index + 1)}`,
  rowHead: 'Row', firstWords: 'First words', tokensHead: 'Tokens',
  model: 'Model',
  chosen: 'With the better answer', rejected: 'With the worse answer',
  trained: (n: number) => `trained, ${tokens(n)}`,
  readOnly: (n: number) => `read only, ${tokens(n)}`,
  pill: 'pill: special token',
  label: 'label',
  tokenAt: (i: number) => `token ${group(i + 1)}`,
  tokenId: 'id', tokenLoss: 'loss here', tokenTrained: 'trained', tokenNot: 'not trained',
  length: 'Length', median: 'Median', p95: '95 in 100 are below', longest: (row: number) => `Longest, row ${group(row + 1)}`,
  inTokens: 'tokens in a row', cutAt: (n: number) => `cut at ${group(n)}`,
  histogram: 'Rows by length in tokens',
  cut: (n: number, kind: DatasetKind, max: number) => `${rows(n, kind)} ${n === 1 ? 'is' : 'are'} longer than ${tokens(max)}; ${n === 1 ? 'its end is' : 'their ends are'} cut.`,
  noneCut: (max: number) => `No row is longer than ${tokens(max)}.`,
  allEnd: 'Every row ends with a trained end-of-turn token.',
  someEnd: (n: number) => `${counted(n, 'row does', 'rows do')} not end with a trained end-of-turn token; a model that sees many of them never learns to stop.`,
  template: 'Template', from: 'From', endsWith: 'Ends a turn with', fingerprint: 'Fingerprint',
  templateWhy: 'The same template is used to train, try, check and serve.',
  share: 'Share of tokens trained',
  labels: 'Labels', labelRows: 'Rows',
  trainedTokens: 'Trained tokens',
  countedOver: (n: number) => `counted over the first ${group(n)} rows`,
  earlier: 'Earlier rows', later: 'Later rows',
  page: (from: number, to: number, of: number) => `${group(from)} to ${group(to)} of ${group(of)}`,
  go: 'Go to row',
  cutRow: 'longer than the limit, cut',
  rowsList: 'Rows',
  rowsOf: 'Rows of the examples',
};

export const models = {
  title: 'Models',
  add: 'Add from a folder',
  columns: { name: 'Name', what: 'What it can do', size: 'Size', parameters: 'Parameters', licence: 'Licence', speed: 'Trains at', used: 'Last used' },
  never: 'not yet',
  addFile: 'Add a GGUF file', fileTitle: 'A GGUF file',
  path: 'Path of a model’s folder or GGUF file, or its name on the hub',
  pathHint: 'Path, or owner/name on the hub',
  addPath: 'Add', get: 'Get',
  getting: (name: string) => `Getting ${name}`, asking: 'Asking the hub', come: (done: string, of: string) => `${done} of ${of}`, left: (time: string) => `${time} left`,
  notCome: (name: string) => `${name} did not come`,
  found: 'Found on this computer', foundWhat: 'Fetched by other programs. Used where they lie and only read; nothing is downloaded.', use: 'Use', useFound: (name: string) => `Use ${name}`,
  readOnly: 'Lorikeet only reads it; it stays where it is.',
  details: { family: 'Family', layers: 'Blocks', width: 'Width', heads: 'Heads', vocabulary: 'Vocabulary', context: 'Longest text', dtype: 'Number format', hash: 'Fingerprint', modules: 'Adapters go on', labels: 'Labels', folder: 'Folder', template: 'Chat template', yes: 'brings one', no: 'none' },
  card: 'What it is',
  measured: (n: number) => `measured here in ${counted(n, 'run', 'runs')}`,
  train: 'Train it',
};

export const newRun = {
  title: 'New run',
  examples: 'Examples', model: 'Base model', name: 'Name', nameAuto: 'chosen by Lorikeet',
  copyCommand: 'Copy as command',
  presets: 'Preset',
  advanced: 'Advanced',
  changed: (n: number) => `${group(n)} changed`,
  findSetting: 'Find a setting',
  undoAll: 'Undo all',
  undo: 'Undo',
  was: (value: string) => `was ${value}`,
  default: 'default',
  fromPreset: (name: string) => `from ${name}`,
  auto: 'decided for you', autoShort: 'automatic',
  yes: 'On', no: 'Off',
  nothingFound: (words: string) => `No setting has “${words}” in its name or sentence.`,
  groups: { learning: 'Learning', adapter: 'Adapter', data: 'Data', saving: 'Saving', computing: 'Computing' } satisfies Record<SettingGroup, string>,
  method: 'What moves', methodWhy: 'An adapter is small and loads elsewhere; all numbers need much more memory.', methods: { lora: 'An adapter', full: 'All numbers' },
  problem: {
    number: 'This is not a number.', whole: 'This has to be a whole number.', empty: 'This needs a value.',
    low: (limit: string) => `The smallest value is ${limit}.`, high: (limit: string) => `The largest value is ${limit}.`,
  },
  use: (value: string) => `Use ${value}`,
  cost: 'What this run will cost',
  unknownTime: 'Not measured yet',
  unknownTimeWhy: 'How long it takes shows after the first steps.',
  timeWhy: (e: RunEstimate) => {
    const parts = [];
    if (e.training_seconds !== null) parts.push(`${duration(e.training_seconds)} training${e.tokens_per_s !== null ? ` at about ${speed(e.tokens_per_s)}` : ''}`);
    if (e.evaluating_seconds !== null && e.evaluating_seconds >= 1) parts.push(`${duration(e.evaluating_seconds)} checking`);
    return `${parts.join(', ')}${parts.length ? '. ' : ''}${e.basis}`;
  },
  memory: 'Memory', of: (free: string) => `of ${free} free`, memoryMeter: (need: string, free: string) => `${need} of ${free}`,
  base: 'Base weights', trainable: 'Adapter and optimiser', trainableFull: 'Gradients and optimiser', batch: 'Longest batch',
  disk: (n: number) => `Disk, with ${counted(n, 'checkpoint', 'checkpoints')}`,
  trained: (epochs: number) => `Trained tokens, ${epochs === 1 ? '1 pass' : `${fixed(epochs, Number.isInteger(epochs) ? 0 : 1)} passes`}`,
  share: 'Share of tokens trained',
  weights: (n: string) => `Adapter weights, ${n}`, weightsFull: (n: string) => `Model weights, ${n}`,
  steps: 'Steps',
  loadsIn: 'Will load in',
  saved: 'as it is saved', exported: { peft: 'as a PEFT adapter', merged: 'as a whole model', gguf: 'as a GGUF model', 'gguf-adapter': 'as a GGUF adapter', mlx: 'as an MLX adapter', ollama: 'with a Modelfile' } satisfies Record<ExportForm, string>,
  not: { no_adapter: 'no, it takes adapters', gives_labels: 'no, it takes models that write', unknown_family: 'no, it lacks this family' } satisfies Record<NotLoaded, string>,
  exportLater: 'Export, on the page of the finished run, writes the other forms.',
  train: 'Train', starting: 'Starting',
  atOnce: 'Nothing else is running; it starts at once.',
  after: (n: number) => `It starts after ${counted(n, 'other run', 'other runs')}.`,
  needBoth: 'Choose examples and a base model.',
  estimating: 'Working it out',
  yourChoice: 'Choose',
};

const phases: Record<string, string> = {
  loading: 'Loading the model', tokenizing: 'Reading the examples', probing: 'Trying the longest batch', evaluating: 'Checking', saving: 'Saving', sampling: 'Writing sample answers',
};
const stop: Record<StopReason, string> = { stop: 'ended by itself', length: 'did not stop', cancelled: 'stopped' };

export const run = {
  checkpointNow: 'Checkpoint now', checkpointAsked: 'A checkpoint follows after this step.', pause: 'Pause', pauseAsked: 'It pauses after this step.', stopAsked: 'It stops after this step.', resume: 'Go on', stop: 'Stop',
  stopTitle: (name: string) => `Stop ${name}?`,
  stopWhy: 'What it has saved is kept, and you can go on from there later.',
  stopNo: 'Keep training',
  left: (secs: number) => `${duration(secs)} left`,
  leftUnknown: 'Time left shows after a few steps',
  waiting: (n: number) => (n > 0 ? `Waits for ${counted(n, 'other run', 'other runs')}` : 'Starts in a moment'),
  pausedAt: (step: number) => `Paused after step ${group(step)}`,
  endedAt: (step: number) => `Ended after step ${group(step)}`,
  phase: (name: string) => phases[name] ?? name,
  phaseDone: (done: number, total: number | null, unit: string) => (done === 0 && total === null ? '' : unit === 'bytes' ? (total === null ? bytes(done) : `${bytes(done)} of ${bytes(total)}`) : total === null ? `${group(done)} ${unit}` : `${group(done)} of ${group(total)} ${unit}`),
  step: (step: number, of: number | null) => (of === null ? `Step ${group(step)}` : `Step ${group(step)} of ${group(of)}`),
  pass: (epoch: number, of: number) => `Pass ${Math.min(Math.floor(epoch) + 1, Math.ceil(of))} of ${Math.ceil(of)}`,
  memory: (n: number) => `${bytes(n)} of memory`,
  started: (at: string) => `Started ${at}`, ends: (at: string) => `ends about ${at}`, nextCheck: (step: number) => `Next check at step ${group(step)}`,
  loss: 'Loss', perToken: 'nats per token', perRow: 'nats per text',
  trainingSmooth: 'training, smoothed', training: 'training', eachStep: 'each step', validation: 'validation', thisStep: 'this step',
  chartName: (loss: string, step: number) => `Training and validation loss by step; training loss ${loss} at step ${group(step)}`,
  chartEmpty: 'The curve starts with the first step.',
  scale: 'Scale', linear: 'Linear', log: 'Log',
  smooth: (n: number) => (n ? `Smooth ${n}` : 'Not smoothed'), smoothName: (n: number) => `${run.smooth(n)}, press for the next width`,
  copyCsv: 'Copy as CSV', copyPicture: 'Copy as picture', copied: 'Copied as CSV',
  chartHint: 'Drag to zoom, double-click to see all',
  lr: 'Learning rate', grad: 'Gradient norm', tps: 'Speed, tokens/s', mem: 'Memory, GB',
  stepsUnit: (n: number) => `${group(n)} steps`,
  tipStep: (n: number) => `Step ${group(n)}`, tipPass: (n: number) => `pass ${fixed(n, 2)}`,
  best: (loss: number, step: number) => `best ${measure(loss)} at step ${group(step)}`,
  logTitle: 'Log', onlyChecks: 'Only checks', allLines: 'All lines', settings: (n: number) => `All ${n} settings`, copyLog: 'Copy the log',
  samples: 'Sample answers', noSamples: 'The run writes answers to a few of its own questions at every check. They appear here.', noSamplesClassify: 'A model that sorts text writes no answers.',
  nth: (i: number, n: number) => `${i + 1} of ${n}`, nextSample: (i: number, n: number) => `${i + 1} of ${n}, next question`, base: 'base',
  checkpoints: 'Checkpoints', keptNote: 'the best and the latest are kept', noCheckpoints: 'The first checkpoint is saved at the first check.',
  ckStep: 'Step', ckLoss: 'Validation loss', ckSaved: 'Saved', bestTag: 'best',
  folder: 'Folder', copyPath: 'Copy the path',
  cutText: (reason: StopReason) => (reason === 'length' ? '… did not stop' : reason === 'cancelled' ? '… stopped' : ''),
  stopReason: stop,
  logEvent(event: RunEvent): { tag: string; text: string; mark: boolean } {
    switch (event.event) {
      case 'started': return { tag: 'start', text: `${counted(event.n_steps, 'step', 'steps')} on ${event.device}; ${group(event.n_trainable)} of ${group(event.n_parameters)} numbers move`, mark: true };
      case 'evaluated': {
        const also = event.accuracy !== null ? `, accuracy ${percent(event.accuracy)}` : '';
        return { tag: 'check', text: `validation loss ${measure(event.loss)} over ${group(event.n)}${also}${event.best ? '; best so far' : ''}`, mark: true };
      }
      case 'checkpoint': return { tag: 'saved', text: `checkpoint-${event.step}   ${bytes(event.n_bytes)}${event.best ? '   best' : ''}`, mark: true };
      case 'sample': return { tag: 'sample', text: event.answer.replaceAll(/\s+/g, ' ').trim(), mark: false };
      case 'warning': return { tag: 'warning', text: event.message, mark: true };
      case 'paused': return { tag: 'paused', text: `after step ${group(event.step)}`, mark: true };
      case 'resumed': return { tag: 'resumed', text: `after step ${group(event.step)}`, mark: true };
      case 'completed': return { tag: 'done', text: event.adapter, mark: true };
      case 'failed': return { tag: 'failed', text: event.message, mark: true };
      case 'cancelled': return { tag: 'stopped', text: `after step ${group(event.step)}`, mark: true };
      case 'phase': return { tag: event.name, text: run.phaseDone(event.done, event.total, event.unit), mark: false };
      case 'step': return run.logStep(event.step, event.loss, event.learning_rate, event.gradient_norm, event.tokens_per_s);
    }
  },
  logStep: (step: number, loss: number, lr: number, grad: number, tps: number) => ({
    tag: `step ${step}`, text: `loss ${measure(loss)}   lr ${rateFixed(lr)}   grad ${fixed(grad, 2)}   ${group(tps)} tokens/s`, mark: false,
  }),
};

export const finished = {
  doneAt: (at: string, after: string) => `Done at ${at}, after ${after}`,
  runAgain: 'Run again with changes',
  title(v: Verdict, kind: DatasetKind | null, task: Task): string {
    if (v.outcome === 'unchecked') return 'It finished training.';
    if (v.outcome === 'worse') return 'It did not get better.';
    if (v.outcome === 'little') return 'It learned little.';
    if (task === 'classify') return 'It learned to sort like your examples.';
    return kind === 'text' ? 'It learned to write like your text.' : 'It learned to answer like your examples.';
  },
  sentence(v: Verdict, m: RunMetrics, task: Task): Piece[] {
    const out: Piece[] = [];
    const of = m.n_steps === null ? '' : ` of ${group(m.n_steps)}`;
    if (v.by === 'accuracy' && m.accuracy !== null && m.base_accuracy !== null) {
      out.push(`Accuracy went from ${percent(m.base_accuracy)} to `, strong(percent(m.accuracy)));
      if (m.n_validation !== null) out.push(` on ${counted(m.n_validation, 'text', 'texts')} it had never seen`);
      if (m.best_step !== null) out.push(', best at ', strong(`step ${group(m.best_step)}`), of);
      out.push('. ');
    } else if (m.loss !== null && m.base_loss !== null) {
      out.push(`Validation loss ${m.loss < m.base_loss ? 'fell' : 'went'} from ${measure(m.base_loss)} to `, strong(measure(m.loss)));
      if (m.best_step !== null) out.push(', best at ', strong(`step ${group(m.best_step)}`), of);
      out.push('. ');
    } else if (m.train_loss !== null) {
      out.push('Nothing was kept aside to check with. Over the last steps the training loss was ', strong(measure(m.train_loss)), '. ');
    }
    if (m.stopped_early) out.push('It stopped early, because it no longer got better. ');
    if (v.outcome === 'worse' || v.outcome === 'little') out.push(task === 'classify' ? 'More examples or more passes may help.' : 'A higher learning rate, more passes or more examples may help.');
    return out;
  },
  validationLoss: 'Validation loss', perplexity: 'Perplexity', accuracy: 'Accuracy', f1: 'F1, averaged over labels', cost: 'Cost', trainLoss: 'Training loss',
  base: (value: string) => `base ${value}`,
  lossUnder: (m: RunMetrics, task: Task) => (task === 'classify' ? 'nats per text' : m.n_validation !== null ? `nats per trained token, ${tokens(m.n_validation)}` : 'nats per trained token'),
  perplexityUnder: 'how many words it wavers between', accuracyUnder: (n: number | null) => (n === null ? 'labels found' : `labels found in ${counted(n, 'text', 'texts')}`), f1Under: 'every label counts the same',
  atMost: (n: number) => `${bytes(n)} at most`,
  estimateWas: (r: RunDetails) => {
    const parts = [r.estimated_seconds !== null ? duration(r.estimated_seconds) : null, r.estimated_memory_bytes !== null ? bytes(r.estimated_memory_bytes) : null].filter(Boolean);
    return parts.length ? `estimate was ${parts.join(' and ')}` : 'no estimate was made';
  },
  before: 'Before and after', baseName: (name: string) => `Base, ${name}`, tunedName: (name: string, step: number | null) => (step === null ? name : `${name}, step ${group(step)}`),
  tryIt: 'Try it', serve: 'Serve', serveWhy: (name: string) => `Answer other programs as ${name}`,
  notSaid: 'What this does not say',
  notSaidLoss: 'Loss measures likeness to your examples, not whether an answer is right.',
  notSaidAccuracy: 'Accuracy counts every text the same; look at F1 when some labels are rare.',
  notSaidBase: 'The base model has no trained labels yet, so its accuracy is that of guessing.',
  result: 'Result', size: 'Size', made: 'Started',
  failedTitle: (name: string) => `${name} ended with an error`,
  stoppedTitle: (name: string, step: number) => `${name} was stopped after step ${group(step)}`,
  stoppedWhy: 'What it had saved is kept. You can go on from there.',
  goOn: 'Go on from here',
  changeSettings: 'Change settings',
};

export const exporting = {
  entry: 'Export', entryWhy: 'Use it in another program',
  title: (name: string) => `Export ${name}`,
  form: 'Form', format: 'Number format', folder: 'Folder', inside: 'Inside Lorikeet’s folder', folderTitle: 'A folder for the export',
  forms: {
    peft: { name: 'PEFT adapter', what: 'A small folder, used over the base model.' },
    merged: { name: 'Whole model', what: 'Base and adapter in one, as safetensors.' },
    gguf: { name: 'GGUF model', what: 'One file, in as few bits as you like.' },
    ollama: { name: 'Ollama', what: 'A GGUF file and its Modelfile.' },
    'gguf-adapter': { name: 'GGUF adapter', what: 'A small file, used over the base’s GGUF file.' },
    mlx: { name: 'MLX adapter', what: 'A small folder for Macs, used over the base model.' },
  } satisfies Record<ExportForm, { name: string; what: string }>,
  formats: {
    bf16: '16 bits (bfloat16)', f16: '16 bits (half)', f32: '32 bits', q4_k_m: 'about 5 bits (Q4_K_M)', q8_0: 'about 8 bits (Q8_0)',
    q6_k: 'about 6.5 bits (Q6_K)', q5_k_m: 'about 5.7 bits (Q5_K_M)', q4_0: 'about 4.5 bits (Q4_0)',
  } satisfies Record<ExportPrecision | ExportQuantization, string>,
  forPrograms: (programs: string[]) => `For ${listed(programs)}.`,
  start: 'Export',
  working: (p: WorkProgress | null) => (p === null ? 'Starting' : p.unit === 'bytes' ? `${bytes(p.done)}${p.total === null ? '' : ` of ${bytes(p.total)}`} written` : `${group(p.done)}${p.total === null ? '' : ` of ${group(p.total)}`} ${p.unit}`),
  made: (made: Export) => `${counted(made.files.length, 'file', 'files')}, ${bytes(made.n_bytes)}, written and read back`,
  compared: (c: ExportComparison) =>
    `Read from disk and compared in ${counted(c.n_rows, 'place', 'places')}: its numbers differ by ${percent(c.relative_difference, c.relative_difference < 0.001 ? 4 : 1)} from what it was made of, and its first choice is the same in ${percent(c.same_best, 0)} of them.`,
  where: 'Folder', use: (way: string) => `${way.slice(0, 1).toUpperCase()}${way.slice(1)}`, copyUse: (way: string) => `Copy what is typed ${way}`, another: 'Export in another form',
};

export const runs = {
  title: 'Runs', newRun: 'New run', find: 'Find a run by name, examples or model', clear: 'Clear',
  shown: (shown: number, of: number) => `${group(shown)} of ${group(of)}`,
  columns: { name: 'Name', state: 'State', curve: 'Validation', loss: 'Best loss', accuracy: 'Accuracy', data: 'Examples', model: 'Base model', steps: 'Steps', time: 'Time', tps: 'Tokens/s', memory: 'Peak GB', started: 'Started' },
  emptyTitle: 'Your runs go here', empty: 'A run is one training: a model, your examples, and what came out. It takes three steps to start the first one.',
  first: 'Train a model', none: (words: string) => `No run has “${words}” in its name, examples or model.`,
  count: (n: number, ms: number) => `${counted(n, 'run', 'runs')}, ${group(ms)}${NBSP}ms`,
  move: 'move', open: 'open', filter: 'find', of: (step: number, of: number) => [group(step), `of ${group(of)}`] as const, queued: 'next',
  best: 'best', more: (n: number) => `Show ${group(n)} more`,
};

export const tryIt = {
  title: 'Try', same: 'Same prompt, same seed, same template', startOver: 'Start over', copyBoth: 'Copy both', copyAnswer: 'Copy all', serve: (name: string) => `Serve ${name}`,
  emptyTitle: 'Try what you trained', empty: 'When a run is done, ask it and its base model the same question here, side by side.', first: 'Train a model',
  base: 'base', tuned: (method: string) => (method === 'lora' ? 'base with adapter' : 'all numbers trained'), pickRun: 'Run',
  ask: 'Write a question', continue: 'Write the beginning of a text', sort: 'Write a text to sort', askName: 'Prompt',
  params: (t: number, seed: number, max: number) => `Temperature ${fixed(t, t === 0 || t === 1 ? 0 : 1)}, seed ${seed}, up to ${tokens(max)}`,
  temperature: 'Temperature', temperatureWhy: '0 always takes the likeliest token.', seed: 'Seed', seedWhy: 'Same seed, same answer.', maxTokens: 'Longest answer', maxWhy: 'In tokens.', raw: 'Continue the text as it is', rawWhy: 'Without the chat template.', system: 'System prompt', systemWhy: 'Said before your question.',
  send: 'Ask both', sendOne: 'Sort', stopBoth: 'Stop both', stopOne: 'Stop',
  loading: 'Loading the model', waiting: 'Waits for the other answer',
  streaming: (n: number, tps: number) => `${tokens(n)}, ${speed(tps)}`,
  meta: (n: number, secs: number, tps: number) => [tokens(n), seconds(secs), ...(n > 1 ? [speed(tps)] : [])].join(', '),
  ended: (reason: StopReason, max: number) => (reason === 'length' ? ` … did not stop, cut at ${tokens(max)}` : reason === 'cancelled' ? ' … stopped' : ''),
  sorted: (secs: number) => `in ${seconds(secs)}`, labels: 'Labels by probability', hint: 'Both answers appear here, side by side.', hintSort: 'The labels appear here, the likeliest first.', examples: 'From your examples:',
};

export const serve = {
  title: 'Serve', toggle: 'Serve',
  on: 'Answering on this computer', off: 'Not answering', starting: 'Loading the model',
  since: (at: string) => `Since ${at}. Other programs here can use your models; other computers cannot.`,
  offWhy: 'Switch it on, and other programs on this computer can use your models as they use OpenAI’s. Other computers cannot.',
  address: 'Address', copyAddress: 'Copy the address', noKey: 'No key needed',
  models: 'Models', base: 'Base model', columns: { on: 'On', name: 'Name to ask for', what: 'What', requests: 'Requests' },
  always: 'always on', kind: { base: 'base', adapter: 'adapter', classifier: 'classifier' },
  port: 'Port', ask: 'Ask from anywhere', language: 'Language', copyCode: 'Copy', dialect: 'Speaks the OpenAI dialect; the adapter is chosen by ', dialectEnd: '.', classifier: 'A classifier answers with its label and the probability of each.',
  question: 'Hello, who are you?', text: 'I liked every minute of it.', languages: { curl: 'curl', python: 'Python', javascript: 'JavaScript' },
  noAdapters: 'Runs on this base appear here once they are done.', addresses: 'All addresses',
  routes: [['GET', '/v1/models'], ['POST', '/v1/chat/completions'], ['POST', '/v1/completions'], ['POST', '/v1/embeddings'], ['POST', '/predict'], ['GET', '/health']] as const,
  otherPort: 'Use any free port', busy: 'Switching', exampleAddress: (port: number) => `http://127.0.0.1:${port}`, whenOn: 'once it is on',
};

export const settings = {
  title: 'Settings', hub: 'Hub', hubAddress: 'Address', hubAddressWhy: 'Where models are fetched from when you ask for one.', token: 'Token', tokenWhy: 'For models that ask who you are. Kept in a file that only you can read, and sent to the hub alone.', tokenSet: 'one is set', tokenFromEnvironment: 'from HF_TOKEN', tokenNone: 'none', tokenForget: 'Forget it', save: 'Save',
  look: 'Look', theme: 'Light or dark', themes: { system: 'As the system', light: 'Light', dark: 'Dark' },
  themeWhy: 'Kept in the data folder.', folder: 'Data folder', folderWhy: 'Everything Lorikeet writes is in here. Set LORIKEET_HOME before the start to use another.', free: (n: string) => `${n} free on this disk`,
  notWritable: 'Nothing can be written there.', copyFolder: 'Copy the path', computer: 'This computer', devices: 'Devices', threads: 'Threads for training', memory: 'Memory', memoryOf: (free: string, total: string) => `${free} free of ${total}`,
  about: 'About', version: 'Version', code: 'Code', licence: 'Licence', licenceText: 'MIT or Apache-2.0', problems: 'To look at', available: 'ready', keys: 'Keys',
  keyList: [['Ctrl K', 'search or do'], ['Ctrl N', 'new run'], ['/', 'find in a list'], ['Esc', 'close, or stop an answer']] as const,
};

export const palette = {
  name: 'Search or do', placeholder: 'Search or do', groups: { do: 'Do', runs: 'Runs', data: 'Data', models: 'Models', go: 'Go to' }, nothing: (words: string) => `Nothing matches “${words}”.`,
  move: 'move', do: 'do', close: 'close', pause: (name: string) => `Pause ${name}`, pauseWhy: 'keeps everything, goes on later', resume: (name: string) => `Go on with ${name}`, stop: (name: string) => `Stop ${name}`, checkpoint: (name: string) => `Save ${name} now`,
  newRun: 'New run', trainOn: (name: string) => `Train on ${name}`, add: 'Add examples', addModel: 'Add a model from a folder', serveOff: 'Stop serving', theme: (name: string) => `Look: ${name}`, tryRun: (name: string) => `Try ${name}`, loss: (x: string) => `loss ${x}`, training: (p: string) => `training, ${p}`,
};
