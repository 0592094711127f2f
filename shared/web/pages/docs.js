// Draws /openapi.json as a page. Everything is set as text, never as markup.
"use strict";

function element(name, text, parent) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function resolve(schema, all) {
  const name = schema && schema.$ref ? schema.$ref.split("/").pop() : null;
  return name ? { ...all[name], title: name } : schema || {};
}

function typeOf(schema, all) {
  const found = resolve(schema, all);
  const choices = found.anyOf || found.oneOf;
  if (choices) return choices.map((choice) => typeOf(choice, all)).join(" | ");
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (found.type === "array") return typeOf(found.items, all) + "[]";
  if (schema && schema.$ref) return found.title;
  return [found.type, found.format].filter(Boolean).join(":") || "any";
}

function table(rows, parent) {
  const body = element("tbody", "", element("table", "", parent));
  for (const row of rows) {
    const line = element("tr", "", body);
    for (const cell of row) element("td", cell, line);
  }
}

function fields(schema, all, parent, seen = new Set()) {
  const found = resolve(schema, all);
  const inner = found.type === "array" ? resolve(found.items, all) : found;
  if (!inner.properties || seen.has(inner.title)) return;
  seen.add(inner.title);
  element("p", inner.title || "", parent);
  const required = new Set(inner.required || []);
  table(Object.entries(inner.properties).map(([name, property]) =>
    [name + (required.has(name) ? " *" : ""), typeOf(property, all), property.description || ""]), parent);
  for (const property of Object.values(inner.properties)) fields(property, all, parent, seen);
}

function examples(content, parent) {
  const shown = content.example ? [content.example] : Object.values(content.examples || {}).map((one) => one.value);
  for (const example of shown) element("pre", JSON.stringify(example, null, 2), parent);
}

function operation(method, path, described, all, parent) {
  const box = element("details", "", parent);
  const head = element("summary", "", box);
  element("b", method.toUpperCase(), head);
  element("code", path, head);
  element("span", "  " + (described.summary || ""), head);
  if (described.description) element("p", described.description, box);
  const parameters = described.parameters || [];
  if (parameters.length) table(parameters.map((one) =>
    [one.in + " " + one.name + (one.required ? " *" : ""), typeOf(one.schema, all), one.description || ""]), box);
  for (const [type, content] of Object.entries((described.requestBody || {}).content || {})) {
    element("h4", "请求 Request · " + type, box);
    fields(content.schema, all, box);
    examples(content, box);
  }
  for (const [status, answer] of Object.entries(described.responses || {})) {
    element("h4", status + " · " + (answer.description || ""), box);
    for (const content of Object.values(answer.content || {})) {
      fields(content.schema, all, box);
      examples(content, box);
    }
  }
}

async function draw() {
  const api = await (await fetch("/openapi.json")).json();
  const all = (api.components || {}).schemas || {};
  const place = document.getElementById("operations");
  for (const [path, methods] of Object.entries(api.paths || {})) {
    for (const [method, described] of Object.entries(methods)) operation(method, path, described, all, place);
  }
}

draw();
