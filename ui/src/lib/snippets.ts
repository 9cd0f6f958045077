// Ready lines for other programs, with the real address and name in them.
import type { ServedKind } from '../bindings';

export type Language = 'curl' | 'python' | 'javascript';
export type Piece = { text: string; kind: 'plain' | 'name' | 'string' };

/** How to ask a served model, in one language. */
export function snippet(language: Language, address: string, model: string, kind: ServedKind, question: string): string {
  const path = kind === 'classifier' ? '/predict' : '/v1/chat/completions';
  const json = JSON.stringify;
  if (kind === 'classifier') {
    if (language === 'curl') return curl(address + path, [`{"model": ${json(model)},`, ` "text": ${json(question)}}`]);
    if (language === 'python') {
      return ['import json, urllib.request', '', `body = {"model": ${json(model)}, "text": ${json(question)}}`,
        `request = urllib.request.Request("${address}${path}", json.dumps(body).encode(),`,
        '                                 {"Content-Type": "application/json"})', 'print(json.load(urllib.request.urlopen(request)))'].join('\n');
    }
    return [`const answer = await fetch("${address}${path}", {`, '  method: "POST",', '  headers: { "Content-Type": "application/json" },',
      `  body: JSON.stringify({ model: ${json(model)}, text: ${json(question)} }),`, '});', 'console.log(await answer.json());'].join('\n');
  }
  if (language === 'curl') {
    return curl(address + path, ['{', `    "model": ${json(model)},`, '    "messages": [{"role": "user",', `      "content": ${json(question)}}],`, '    "stream": true', '  }']);
  }
  if (language === 'python') {
    return ['from openai import OpenAI', '', `client = OpenAI(base_url="${address}/v1", api_key="none")`, 'answer = client.chat.completions.create(',
      `    model=${json(model)},`, `    messages=[{"role": "user", "content": ${json(question)}}],`, ')', 'print(answer.choices[0].message.content)'].join('\n');
  }
  return [`const answer = await fetch("${address}${path}", {`, '  method: "POST",', '  headers: { "Content-Type": "application/json" },', '  body: JSON.stringify({',
    `    model: ${json(model)},`, `    messages: [{ role: "user", content: ${json(question)} }],`, '  }),', '});',
    'console.log((await answer.json()).choices[0].message.content);'].join('\n');
}

function curl(address: string, body: string[]): string {
  const text = body.join('\n').replaceAll("'", String.raw`'\''`);
  return `curl ${address} \\\n  -H "Content-Type: application/json" \\\n  -d '${text}'`;
}

/** The snippet in pieces to colour: strings, and the word it begins with. */
export function coloured(code: string): Piece[] {
  const out: Piece[] = [];
  for (const match of code.matchAll(/^(curl|import|from|const)\b|"(?:[^"\\]|\\.)*"|[^"]+?(?=^(?:curl|import|from|const)\b|"|$(?![\s\S]))|[\s\S]/gm)) {
    const text = match[0];
    const kind = match[1] ? 'name' : text.startsWith('"') && text.length > 1 ? 'string' : 'plain';
    const last = out.at(-1);
    if (last && last.kind === kind && kind === 'plain') last.text += text;
    else out.push({ text, kind });
  }
  return out;
}
