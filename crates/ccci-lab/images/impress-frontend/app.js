// Shows who is logged in and what documents there are, by asking the API as any other client does.
"use strict";

const API = "/api/v1.0/";
const csrf = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function ask(path, options = {}) {
  const answer = await fetch(API + path, { credentials: "same-origin", ...options });
  if (!answer.ok) throw Object.assign(new Error(`${path}: ${answer.status}`), { status: answer.status });
  return answer.json();
}

function post(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": csrf() };
  return ask(path, { method: "POST", headers, body: JSON.stringify(body) });
}

function session(user) {
  const nav = document.getElementById("session");
  if (!user) {
    nav.replaceChildren(element("a", "Log in", { class: "button", id: "login", href: API + "authenticate/" }));
    return;
  }
  const logout = element("form", "", { class: "plain", method: "post", action: API + "logout/" });
  logout.append(
    element("input", "", { type: "hidden", name: "csrfmiddlewaretoken", value: csrf() }),
    element("button", "Log out", { class: "plain" }),
  );
  nav.replaceChildren(element("span", user.email, { id: "email" }), logout);
}

function row(found) {
  const line = element("tr", "", { "data-id": found.id });
  line.append(
    element("td", found.title || "Untitled document"),
    element("td", (found.title_index ?? ["…"]).join(" "), { class: "words" }),
    element("td", new Date(found.updated_at).toLocaleString("en-GB")),
  );
  return line;
}

async function documents() {
  const list = await ask("documents/");
  const form = element("form", "", { class: "new" });
  const title = element("input", "", { placeholder: "Title of a new document", "aria-label": "Title" });
  form.append(title, element("button", "New document"));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await post("documents/", { title: title.value });
    // The words come from the worker, a moment later.
    setTimeout(documents, 1000);
  });
  const table = element("table", "", { id: "documents" });
  const head = element("tr", "");
  head.append(...["Title", "Words of the title", "Changed"].map((name) => element("th", name)));
  table.append(head, ...list.results.map(row));
  const none = element("p", "There is no document yet.");
  document.getElementById("main").replaceChildren(form, list.count ? table : none);
}

async function start() {
  document.getElementById("backend").textContent = (await ask("config/")).RELEASE;
  try {
    session(await ask("users/me/"));
    await documents();
  } catch (error) {
    if (error.status !== 401) throw error;
    session(null);
    document.getElementById("main").replaceChildren(element("p", "Log in to see your documents."));
  }
  document.body.dataset.ready = "true";
}

start().catch((error) => {
  document.getElementById("main").replaceChildren(element("p", `The backend does not answer: ${error.message}`));
});
