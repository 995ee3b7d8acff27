// The page asks the service as any client does: /v1/check with the key that was typed in.
"use strict";

const at = (id) => document.getElementById(id);
const SAID = {
  allow: "Allowed: it may be sent as it is.",
  flag: "Flagged: it may be sent as it is, and is on record.",
  redact: "Redacted: it may be sent without what was found.",
  refuse: "Refused: nothing of it may be sent.",
};
const ORDER = ["allow", "flag", "redact", "refuse"];

function make(name, text, className) {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function say(text, className) {
  at("said").textContent = text;
  at("said").className = className;
}

async function ask(path, body) {
  const headers = { authorization: `Bearer ${at("key").value.trim()}` };
  const options = { headers, cache: "no-store" };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    options.method = "POST";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error?.message ?? `status ${answer.status}`);
  return told;
}

// Positions are code points, and strings here are UTF-16: the text is taken apart first.
function mark(text, findings) {
  const points = Array.from(text);
  const edges = new Set([0, points.length]);
  for (const { start, end } of findings) edges.add(start).add(end);
  const cuts = [...edges].sort((a, b) => a - b);
  const parts = [];
  for (let i = 0; i + 1 < cuts.length; i += 1) {
    const piece = points.slice(cuts[i], cuts[i + 1]).join("");
    const here = findings.filter((f) => f.start <= cuts[i] && f.end >= cuts[i + 1]);
    if (here.length === 0) {
      parts.push(document.createTextNode(piece));
      continue;
    }
    const worst = ORDER[Math.max(...here.map((f) => ORDER.indexOf(f.action)))];
    const marked = make("mark", piece, worst);
    marked.title = [...new Set(here.map((f) => `${f.kind}: ${f.action}`))].join("; ");
    parts.push(marked);
  }
  at("marked").replaceChildren(...parts);
}

function source(evidence) {
  const parts = [];
  if (evidence.document !== null) {
    parts.push(`${evidence.collection ?? ""} ${evidence.document}`.trim());
    if (evidence.corpus_start !== null) parts.push(`${evidence.corpus_start}–${evidence.corpus_end}`);
  }
  if (evidence.matched !== null) parts.push(`${evidence.matched} characters`);
  if (evidence.copies > 1) parts.push(`${evidence.copies} copies`);
  if (evidence.view) parts.push(`disguised: ${evidence.view}`);
  if (evidence.excuse) parts.push(`excused: ${evidence.excuse}`);
  return parts.join(", ");
}

function row(cells, numbers) {
  const made = document.createElement("tr");
  cells.forEach((cell, n) => made.append(make("td", cell, numbers?.includes(n) ? "number" : "")));
  return made;
}

function show(text, verdict) {
  const failed = verdict.failures.map((f) => `${f.detector} (${f.reason})`).join(", ");
  say(SAID[verdict.action] + (failed ? ` Could not judge: ${failed}.` : ""), verdict.action);
  const judged = Object.entries(verdict.coverage)
    .filter(([, share]) => share < 1)
    .map(([name, share]) => ` Judged by ${name}: ${Math.floor(share * 100)} %.`);
  const count = Array.from(text).length;
  at("record").textContent = `${count} characters, on record as ${verdict.id}.${judged.join("")}`;
  mark(text, verdict.findings);
  at("safe").textContent = verdict.text;
  const rows = verdict.findings.map((f) =>
    row([f.kind, `${f.start}–${f.end}`, f.action, f.rule ?? "", source(f.evidence)]),
  );
  const none = row(["Nothing.", "", "", "", ""]);
  at("findings").tBodies[0].replaceChildren(...(rows.length ? rows : [none]));
  const times = Object.entries(verdict.timings).map(([name, seconds]) =>
    row([name, `${(seconds * 1000).toFixed(3)} ms`], [1]),
  );
  at("timings").tBodies[0].replaceChildren(...times);
  at("shown").hidden = false;
}

async function check(event) {
  event.preventDefault();
  const text = at("response").value;
  const prompt = at("prompt").value;
  say("Checking…", "");
  try {
    show(text, await ask("/v1/check", { text, prompt: prompt || null }));
  } catch (error) {
    at("shown").hidden = true;
    say(`No verdict: ${error.message}`, "error");
  }
  at("verdict").focus();
}

async function look() {
  const list = at("force");
  try {
    const state = await ask("/v1/admin/state");
    const items = [
      make("dt", "Policy"),
      make("dd", state.policy + (state.policy_problem ? ` (${state.policy_problem})` : "")),
      make("dt", "Detectors"),
      make("dd", state.detectors.join(", ")),
    ];
    for (const index of state.indexes) {
      const kind = index.public ? "public index" : "index";
      const problem = index.problem ? `; ${index.problem}` : "";
      items.push(make("dt", index.path));
      items.push(make("dd", `${kind}, ${index.documents} documents, changed ${index.changed}${problem}`));
    }
    list.replaceChildren(...items);
  } catch (error) {
    list.replaceChildren(make("dt", "Not shown"), make("dd", error.message));
  }
}

at("ask").addEventListener("submit", check);
at("look").addEventListener("click", look);
for (const id of ["prompt", "response"]) {
  at(id).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("ask").requestSubmit();
  });
}
