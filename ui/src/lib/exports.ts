// The number formats of an export's form, and the request that stands for a choice.
import type { ExportChoice, ExportPrecision, ExportQuantization, ExportRequest } from '../bindings';

export type NumberFormat = ExportPrecision | ExportQuantization;

/** The number formats of a form's weights, the usual one first; none where the form decides. */
export const formatsOf = (choice: ExportChoice): NumberFormat[] => [...choice.quantizations, ...choice.precisions];

/** The request; without a wish the usual format counts. */
export function requestOf(source: string, choice: ExportChoice, format: NumberFormat | null, folder: string | null): ExportRequest {
  const wanted = format ?? formatsOf(choice)[0];
  const precision = choice.precisions.find((one) => one === wanted);
  const quantize = choice.quantizations.find((one) => one === wanted);
  return { source, to: choice.form, ...(precision && { precision }), ...(quantize && { quantize }), ...(folder !== null && { output: folder }) };
}
