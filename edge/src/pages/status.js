"use strict";

const PERIOD_MS = 2000;
const WORDS = { SERVING: "serving", NOT_SERVING: "not serving" };

function mark(element, state) {
  const good = state === "SERVING";
  element.textContent = (good ? "● " : "○ ") + (WORDS[state] || state);
  element.classList.toggle("good", good);
  element.classList.toggle("bad", !good);
}

function row(name, state, trouble) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = "/health/" + encodeURIComponent(name);
  link.textContent = name;
  const word = document.createElement("span");
  word.className = "state";
  mark(word, state);
  item.append(link, word);
  if (trouble) {
    const why = document.createElement("small");
    why.textContent = trouble;
    item.append(why);
  }
  return item;
}

function show(health) {
  mark(document.getElementById("overall"), health.status);
  const troubles = health.troubles || {};
  const rows = Object.entries(health.services).map(([name, state]) => row(name, state, troubles[name]));
  const list = document.getElementById("list");
  // Replacing equal rows would take the focus away from whoever is on one of them.
  if (list.textContent !== rows.map((item) => item.textContent).join("")) {
    list.replaceChildren(...rows);
  }
  document.getElementById("updated").textContent = "Last: " + new Date().toLocaleTimeString() + ".";
}

async function update() {
  try {
    const response = await fetch("/health", { cache: "no-store" });
    show(await response.json());
  } catch {
    mark(document.getElementById("overall"), "not reachable");
  }
  setTimeout(update, PERIOD_MS);
}

update();
