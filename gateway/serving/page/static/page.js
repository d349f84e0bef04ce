// Follows what happens for as long as somebody can see it, and asks what the form asks.
"use strict";

// -- the parts of the page -----------------------------------------------------------------------------
// What is as it should be is not touched, so that focus and what was opened stay.  Nor is text that is selected, until it
// no longer is.

const latest = {}; // by the name of the part: its HTML
let selected = new Set(); // parts with selected text that is as it was

function replaceParts(parts) {
  for (const [name, html] of Object.entries(parts)) {
    const part = document.querySelector(`[data-part="${name}"]`);
    if (!part) continue;
    latest[name] = html;
    const wanted = document.createElement("template");
    wanted.innerHTML = html; // the server has escaped every text in it
    makeChildrenLike(part, wanted.content);
  }
}

function replaceSelected() {
  if (!getSelection().isCollapsed) return;
  const names = [...selected];
  selected = new Set();
  replaceParts(Object.fromEntries(names.map((name) => [name, latest[name]])));
}

function isSelected(node) {
  const selection = getSelection();
  return !selection.isCollapsed && selection.containsNode(node, true);
}

const keyOf = (node) => node.dataset?.key;

const isAlike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function makeChildrenLike(place, wanted) {
  const keys = new Set(Array.from(wanted.children, keyOf));
  const known = new Map(Array.from(place.children, (child) => [keyOf(child), child]));
  let here = place.firstChild;
  for (const next of [...wanted.childNodes]) {
    const key = keyOf(next);
    while (here && keyOf(here) !== undefined && !keys.has(keyOf(here))) here = removed(here);
    const moved = key === undefined ? undefined : known.get(key);
    if (here && isAlike(here, next)) {
      if (moved === here) known.delete(key);
      makeLike(here, next);
      here = here.nextSibling;
    } else if (moved && isAlike(moved, next)) {
      known.delete(key);
      if (isInUse(moved)) here = movedBehind(moved, here);
      else place.insertBefore(moved, here);
      makeLike(moved, next);
    } else {
      place.insertBefore(next, here);
    }
  }
  while (here) here = removed(here);
}

// Who is moved loses focus and selection, so all that stands between goes instead.
function movedBehind(node, here) {
  while (here !== node) {
    const next = here.nextSibling;
    node.after(here);
    here = next;
  }
  return node.nextSibling;
}

const isInUse = (node) => node.contains(document.activeElement) || isSelected(node);

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}

function makeLike(node, wanted) {
  if (node.isEqualNode(wanted)) return;
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (isSelected(node)) selected.add(node.parentElement.closest("[data-part]").dataset.part);
    else node.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...node.attributes]) {
    if (name !== "open" && !wanted.hasAttribute(name)) node.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  makeChildrenLike(node, wanted);
}

// -- following -----------------------------------------------------------------------------------------
// A browser has six connections to a host, for all its tabs together: one that nobody sees holds none.

const SILENCE = 15000; // milliseconds without news after which this page no longer counts as live
const AGAIN = 5000;

let events = null;
let silence = 0;
let wait = 0; // milliseconds until it is tried again

function tell(text, kind, why) {
  const badge = document.getElementById("live");
  badge.textContent = text;
  badge.className = `badge ${kind}`;
  badge.title = why;
  document.body.classList.toggle("stale", kind === "bad");
  clearTimeout(silence);
}

function isLive() {
  tell("live", "good", "This page follows what happens.");
  silence = setTimeout(() => isNotLive("Nothing has been heard of the gateway for a while."), SILENCE);
  wait = 0;
}

function isNotLive(why) {
  tell("not live", "bad", why);
}

function follow() {
  if (events || document.hidden) return;
  events = new EventSource("/events");
  const on = (name, act) => events.addEventListener(name, (event) => {
    act(JSON.parse(event.data));
    isLive();
  });
  on("sections", replaceParts);
  on("history", begin);
  on("points", keep);
  events.onerror = () => {
    isNotLive("The gateway cannot be reached, or has too many who look on.");
    if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
    events = null;
    setTimeout(comeBack, wait);
    wait = AGAIN;
  };
}

function pause() {
  if (!events) return;
  events.close();
  events = null;
  tell("paused", "plain", "This page follows what happens while it can be seen.");
}

async function comeBack() {
  if (events || document.hidden) return;
  // Who is no longer signed in gets the form.
  const answer = await fetch("/", { headers: { Accept: "text/html" } }).catch(() => null);
  if (answer && answer.status === 401) location.reload();
  else follow();
}

// -- explain -------------------------------------------------------------------------------------------

async function explain(event) {
  event.preventDefault();
  const form = event.target;
  const shown = document.getElementById("explanation");
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      headers: { Accept: "text/plain" },
      body: new URLSearchParams(new FormData(form)),
    });
    shown.textContent = await answer.text();
  } catch (error) {
    shown.textContent = error.message;
  }
}

// -- begin ---------------------------------------------------------------------------------------------

document.getElementById("explain-form").addEventListener("submit", explain);
document.addEventListener("selectionchange", replaceSelected);
document.addEventListener("visibilitychange", () => (document.hidden ? pause() : follow()));
addEventListener("pagehide", pause);
addEventListener("pageshow", follow);
follow();
