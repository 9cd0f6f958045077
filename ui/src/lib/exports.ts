// Which forms a result can take, which number formats a form has, and the request that stands for a choice.
import type { ExportForm, ExportRequest, Task } from '../bindings';

const WHOLE = ['bf16', 'f16', 'f32'] as const;
const BLOCKS = ['q4_k_m', 'q8_0', 'q6_k', 'q5_k_m', 'q4_0'] as const;

/** The forms of a result, the one that most people want first. */
export function formsFor(task: Task, hasAdapter: boolean): ExportForm[] {
  const forms: ExportForm[] = hasAdapter ? ['peft', 'merged'] : ['merged'];
  if (task === 'classify') return forms;
  return hasAdapter ? [...forms, 'gguf', 'ollama', 'gguf-adapter', 'mlx'] : [...forms, 'gguf', 'ollama'];
}

/** The number formats of a form's weights, the usual one first; none where the form decides. */
export function formatsOf(form: ExportForm): readonly string[] {
  if (form === 'merged') return WHOLE;
  return form === 'gguf' || form === 'ollama' ? [...BLOCKS, ...WHOLE] : [];
}

const isWhole = (format: string): format is (typeof WHOLE)[number] => (WHOLE as readonly string[]).includes(format);

export function requestOf(wish: { source: string; to: ExportForm; format: string | null; folder: string | null }): ExportRequest {
  const request: ExportRequest = { source: wish.source, to: wish.to };
  if (wish.folder !== null) request.output = wish.folder;
  if (wish.format === null) return request;
  if (isWhole(wish.format)) request.precision = wish.format;
  else request.quantize = wish.format as NonNullable<ExportRequest['quantize']>;
  return request;
}
