"use strict";

const EXAMPLE_DEPTH = 4;
const SHOWN_MAX = 1 << 20;
let api;

/** An element with properties and children. */
function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

const name = (reference) => reference.slice(reference.lastIndexOf("/") + 1);
const resolve = (value) =>
  value && value.$ref ? value.$ref.slice(2).split("/").reduce((at, key) => at[key], api) : value;

/** A comment without the line breaks of its source; paragraphs and lists stay. */
const prose = (text) => (text || "").replace(/([^\n])\n(?![\n\-*])/g, "$1 ");

/** A schema's type in a few words. */
function typed(schema) {
  if (schema.$ref) return name(schema.$ref);
  if (schema.anyOf) return schema.anyOf.map(typed).join(" or ");
  if (schema.type === "array") return "list of " + typed(schema.items);
  if (schema.additionalProperties && schema.additionalProperties !== true) return "map of " + typed(schema.additionalProperties);
  const type = [].concat(schema.type || "anything").join(" or ");
  const more = schema.format || schema.contentEncoding || (schema.enum && schema.enum.join(" | "));
  return more ? `${type} (${more})` : type;
}

/** What is inside a schema, opened on demand: messages may hold themselves. */
function inside(schema) {
  if (schema.anyOf) return make("div", {}, ...schema.anyOf.map(inside));
  const inner = schema.items || (schema.additionalProperties !== true && schema.additionalProperties);
  if (inner) return inside(inner);
  const target = resolve(schema);
  if (!target.properties && !target.enum) return null;
  if (!schema.$ref) return fields(target);
  const details = make("details", {}, make("summary", { className: "soft" }, name(schema.$ref)));
  details.addEventListener("toggle", () => details.append(fields(target)), { once: true });
  return details;
}

function fields(schema) {
  const list = make("dl", { className: "fields" });
  if (schema.description) list.append(make("dd", { className: "text" }, prose(schema.description)));
  if (schema.enum) list.append(make("dd", {}, schema.enum.join(" | ")));
  for (const [key, field] of Object.entries(schema.properties || {})) {
    const title = make("code", { className: field.deprecated ? "gone" : "" }, key);
    list.append(make("dt", {}, title, " ", make("span", { className: "type" }, typed(field))));
    list.append(make("dd", { className: "text" }, prose(field.description), inside(field)));
  }
  return list;
}

/** A body to begin with. */
function example(schema, depth = 0) {
  const target = resolve(schema);
  const whole = { ...target, ...schema };
  if (whole.anyOf) return example(whole.anyOf[0], depth);
  if (whole.enum) return whole.enum[0];
  const type = [].concat(whole.type)[0];
  if (type === "object" && depth < EXAMPLE_DEPTH) {
    const rivals = new Set();
    for (const { oneOf = [] } of whole.allOf || []) {
      oneOf.slice(1).forEach((choice) => (choice.required || []).forEach((key) => rivals.add(key)));
    }
    const wanted = Object.entries(whole.properties || {}).filter(([key, field]) => !field.readOnly && !rivals.has(key));
    return Object.fromEntries(wanted.map(([key, field]) => [key, example(field, depth + 1)]));
  }
  const plain = { object: {}, array: [], string: "", integer: 0, number: 0, boolean: false };
  if (type === "array" && depth < EXAMPLE_DEPTH) return [example(whole.items, depth + 1)];
  if (whole.format === "date-time") return new Date().toISOString();
  return /int64/.test(whole.format || "") ? "0" : plain[type] ?? null;
}

/** A row of the form; `read` gives what was typed. */
function row(parameter) {
  const many = parameter.schema.type === "array" || parameter.style === "deepObject";
  const input = many ? make("textarea", { rows: 2 }) : make("input", { type: "text", autocomplete: "off" });
  if (many) input.placeholder = parameter.style ? "key=value, one a line" : "one a line";
  const required = parameter.required ? " *" : "";
  const label = make("label", {}, make("code", {}, parameter.name), required, " ", make("span", { className: "type" }, `${typed(parameter.schema)}, ${parameter.in}`), input);
  const element = make("div", { className: "row" }, label, make("span", { className: "soft text" }, prose(parameter.description)));
  const read = () => (many ? input.value.split("\n").filter(Boolean) : input.value === "" ? [] : [input.value]);
  return { parameter, element, read };
}

/** The address and headers of what was filled in. */
function request(path, rows) {
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, read } of rows) {
    for (const value of read()) {
      if (parameter.in === "header") headers[parameter.name] = value;
      if (parameter.in === "query" && parameter.style) {
        const [key, ...rest] = value.split("=");
        query.append(`${parameter.name}[${key}]`, rest.join("="));
      } else if (parameter.in === "query") query.append(parameter.name, value);
    }
    if (parameter.in !== "path") continue;
    const text = read().join("");
    const encoded = parameter["x-malla-multi-segment"] ? text.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(text);
    path = path.replace(`{${parameter.name}}`, () => encoded);
  }
  const token = document.getElementById("token").value;
  if (token) headers.Authorization = "Bearer " + token;
  return { url: path + (query.size ? "?" + query : ""), headers };
}

/** Shows an answer as it comes; streams may never end. */
async function show(response, output) {
  const type = response.headers.get("content-type") || "";
  const title = `${response.status} ${response.statusText}\n${[...response.headers].map((header) => header.join(": ")).join("\n")}\n\n`;
  output.textContent = title;
  if (!response.body) return;
  if (!/json|text|xml/.test(type)) {
    output.textContent += `${(await response.blob()).size} bytes`;
    return;
  }
  let text = "";
  for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
    const { value, done } = await reader.read();
    if (done) break;
    text = (text + value).slice(-SHOWN_MAX);
    output.textContent = title + text;
  }
  try {
    output.textContent = title + JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Lines, events, or no JSON at all: shown as it came.
  }
}

function trial(method, path, operation) {
  const rows = (operation.parameters || []).map(resolve).map(row);
  const content = (operation.requestBody || {}).content || {};
  // A form in parts is for files; the other form has the same fields.
  const types = Object.keys(content).filter((type) => type !== "multipart/form-data");
  const body = make("textarea", { rows: 8, spellcheck: false, ariaLabel: "Body" });
  const type = make("select", { ariaLabel: "Media type of the body" }, ...types.map((type) => make("option", {}, type)));
  const begin = () => {
    const media = content[type.value];
    const schema = media["x-malla-items"] || media.schema;
    const value = schema && example(schema);
    const written = () => (/form/.test(type.value) ? new URLSearchParams(value).toString() : JSON.stringify(value, null, /ndjson/.test(type.value) ? 0 : 2));
    body.value = schema ? written() : "";
  };
  if (types.length) begin();
  type.addEventListener("change", begin);
  const accepted = Object.values(operation.responses).flatMap((answer) => Object.keys(resolve(answer).content || {}));
  const accept = make("select", {}, ...[...new Set([...accepted, "*/*"])].map((type) => make("option", {}, type)));
  const send = make("button", { type: "button" }, "Send");
  const stop = make("button", { type: "button", disabled: true }, "Stop");
  const output = make("pre", { hidden: true, ariaLive: "polite", tabIndex: 0 });
  let aborter;
  stop.addEventListener("click", () => aborter.abort());
  send.addEventListener("click", async () => {
    const { url, headers } = request(path, rows);
    aborter = new AbortController();
    stop.disabled = output.hidden = false;
    output.textContent = "waiting";
    headers.Accept = accept.value;
    if (types.length) headers["Content-Type"] = type.value === "*/*" ? "application/octet-stream" : type.value;
    const options = { method, headers, cache: "no-store", signal: aborter.signal, body: types.length && method !== "GET" ? body.value : undefined };
    try {
      await show(await fetch(url, options), output);
    } catch (error) {
      output.textContent += `\n${error}`;
    }
    stop.disabled = true;
  });
  const bodyRows = types.length ? [make("h4", {}, "Body ", type), body, ...Object.values(content).slice(0, 1).map((media) => media.schema && inside(media.schema))] : [];
  return make("div", {}, ...rows.map((row) => row.element), ...bodyRows, make("p", {}, send, " ", stop, make("label", {}, " Accept ", accept)), output);
}

function answers(operation) {
  const list = make("dl", { className: "fields" });
  for (const [status, reference] of Object.entries(operation.responses)) {
    const answer = resolve(reference);
    list.append(make("dt", {}, make("code", {}, status), " ", make("span", { className: "type" }, Object.keys(answer.content || {}).join(", "))));
    const media = Object.values(answer.content || {})[0];
    list.append(make("dd", { className: "text" }, prose(answer.description), media && media.schema ? inside(media.schema) : null));
  }
  return list;
}

function entry(method, path, operation) {
  const lock = (operation.security || []).some((needed) => Object.keys(needed).length) ? " (with a token)" : "";
  const summary = make("summary", { className: operation.deprecated ? "gone" : "" }, make("span", { className: `verb ${method}` }, method), make("code", {}, path), " ", make("span", { className: "soft" }, (operation.summary || "") + lock));
  const details = make("details", { className: "operation", id: operation.operationId }, summary);
  details.dataset.words = [method, path, operation.operationId, operation.description].join(" ").toLowerCase();
  const open = () => details.append(make("div", {}, make("p", { className: "text" }, prose(operation.description)), make("p", { className: "note" }, "gRPC: ", operation["x-malla-rpcs"].join(", "), operation["x-malla-websocket"] ? "; also as a WebSocket, on the same path" : ""), trial(method, path, operation), make("h4", {}, "Answers"), answers(operation)));
  details.addEventListener("toggle", open, { once: true });
  return details;
}

function list() {
  const groups = new Map(api.tags.map((tag) => [tag.name, make("section", {}, make("h2", {}, tag.name), make("p", { className: "note text" }, prose(tag.description)))]));
  for (const [path, item] of Object.entries(api.paths)) {
    const operations = { ...item, ...item["x-additionalOperations"] };
    for (const [method, operation] of Object.entries(operations)) {
      if (operation.operationId) groups.get(operation.tags[0]).append(entry(method.toUpperCase(), path, operation));
    }
  }
  document.getElementById("operations").replaceChildren(...groups.values());
}

function find() {
  const words = document.getElementById("find").value.toLowerCase().split(" ").filter(Boolean);
  for (const group of document.querySelectorAll("section")) {
    const rows = [...group.querySelectorAll(".operation")];
    rows.forEach((row) => (row.hidden = !words.every((word) => row.dataset.words.includes(word))));
    group.hidden = rows.every((row) => row.hidden);
  }
}

async function start() {
  try {
    api = await (await fetch("/openapi.json")).json();
  } catch (error) {
    document.getElementById("operations").textContent = `The document cannot be read: ${error}`;
    return;
  }
  document.getElementById("about").textContent = api.info.description;
  document.getElementById("find").addEventListener("input", find);
  list();
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted && wanted.matches("details")) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

start();
