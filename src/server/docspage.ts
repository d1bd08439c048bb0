// The page at /docs: it fetches /v1/openapi.json and shows it, with nothing from elsewhere.

export const DOCS_PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Offshoot API</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff; }
h1 small { font-weight: normal; color: #666; font-size: 1rem; }
details { border: 1px solid #ddd; border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } summary code { font-weight: 600; } summary b { display: inline-block; width: 4.5rem; color: #0a58a8; }
table { border-collapse: collapse; width: 100%; margin: .4rem 0; font-size: .9rem; }
td { border-top: 1px solid #eee; padding: .25rem .5rem .25rem 0; vertical-align: top; } td:first-child { white-space: nowrap; }
pre { background: #f5f5f5; padding: .6rem; overflow: auto; font-size: .85rem; } .kind { color: #777; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; }
  pre { background: #242424; } details, td { border-color: #444; } summary b { color: #7db7f0; } }
</style></head><body>
<h1>Offshoot <small id="version"></small></h1>
<p>Send <code>Authorization: Bearer KEY</code> where the service has keys. The same as <a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>
<pre>curl -s localhost:8080/v1/exec -H 'content-type: application/json' -d '{"code": "print(6*7)"}'</pre>
<main id="main">Loading…</main>
<script>
const el = (tag, text, ...children) => { const e = document.createElement(tag); if (text) e.textContent = text; e.append(...children); return e; };
const kind = (s) => s.const !== undefined ? JSON.stringify(s.const) : s.enum ? s.enum.map((v) => JSON.stringify(v)).join(' | ')
  : s.anyOf ? s.anyOf.map(kind).join(' | ') : s.type === 'array' ? kind(s.items || {}) + '[]' : s.title || s.type || 'any';
const fields = (schema) => {
  const table = el('table');
  for (const [name, s] of Object.entries(schema.properties || {})) {
    const must = (schema.required || []).includes(name) ? ' *' : '';
    const type = el('span', kind(s)); type.className = 'kind';
    table.append(el('tr', '', el('td', '', el('code', name + must)), el('td', '', type), el('td', s.description || '')));
  }
  return table;
};
const part = (title, content) => {
  const { schema } = (content && (content['application/json'] || Object.values(content)[0])) || {};
  return schema && schema.properties ? [el('h4', title), fields(schema)] : [];
};
const parameters = (list) => ({ properties: Object.fromEntries(list.map((p) => [p.name, { ...p.schema, description: p.description }])) });
fetch('/v1/openapi.json').then((r) => r.json()).then((api) => {
  document.getElementById('version').textContent = api.info.version;
  const main = document.getElementById('main'); main.textContent = '';
  const groups = {};
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, op] of Object.entries(methods)) (groups[(op.tags || ['other'])[0]] ||= []).push([method, path, op]);
  }
  for (const [tag, ops] of Object.entries(groups)) {
    main.append(el('h2', tag));
    for (const [method, path, op] of ops) {
      const d = el('details', '', el('summary', '',
        el('b', method.toUpperCase()), el('code', path), document.createTextNode(' ' + (op.summary || ''))));
      if (op.description) d.append(el('p', op.description));
      if (op.parameters) d.append(el('h4', 'Parameters'), fields(parameters(op.parameters)));
      d.append(...part('Body', op.requestBody && op.requestBody.content));
      for (const [status, r] of Object.entries(op.responses || {})) d.append(...part('Answer ' + status, r.content));
      main.append(d);
    }
  }
});
</script></body></html>
`;
