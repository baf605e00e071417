import { pageStyle } from './style.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it may stand in an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, sign => entities[sign]!);
}

/** A table whose first column is words and whose other columns are numbers. */
export function htmlTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = titles.map(title => `<th scope="col">${escapeHtml(title)}</th>`).join('');
  const line = ([name = '', ...cells]: readonly string[]): string =>
    `<tr><th scope="row">${escapeHtml(name)}</th>${cells.map(cell => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
  return `<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${rows.map(line).join('')}</tbody></table></div>`;
}

/** A list whose items are plain text. */
export function htmlList(items: readonly string[]): string {
  return `<ul>${items.map(item => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;
}

/** Coloured keys of a chart, in the order of its series. */
export function htmlLegend(names: readonly string[], classes: readonly string[]): string {
  const keys = names.map(
    (name, at) => `<span class="key ${classes[at % classes.length]}"></span>${escapeHtml(name)}`,
  );
  return `<p class="legend">${keys.map(key => `<span>${key}</span>`).join(' ')}</p>`;
}

/** Labelled facts, each with one line or several. */
export function htmlFacts(facts: readonly (readonly [label: string, ...lines: string[]])[]): string {
  const entries = facts.map(([label, ...lines]) => {
    const values = lines.map(line => `<dd>${escapeHtml(line)}</dd>`).join('');
    return `<dt>${escapeHtml(label)}</dt>${values}`;
  });
  return `<dl>${entries.join('')}</dl>`;
}

/** A drawing with the line below it. */
export function htmlFigure(drawing: string, caption: string): string {
  return `<figure>${drawing}<figcaption>${escapeHtml(caption)}</figcaption></figure>`;
}

/** A whole page without any script around its body. */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${pageStyle}</style>
</head>
<body>
${body}
</body>
</html>
`;
}
