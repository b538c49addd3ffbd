// Keeps a page as it is on the server: puts what has changed in place, leaving everything else, the
// focus and the scroll position alone, and says whether that still works.
"use strict";

(() => {
  const body = document.body;
  const main = document.getElementById("main");
  const said = document.getElementById("said");
  const sign = document.getElementById("live");
  // What the server's clock is ahead of this one.
  const ahead = Number(body.dataset.now) - Date.now();
  // The server says something at least every three seconds.
  const STALE_MS = 9000;
  const AGAIN_MS = 3000;
  const SENTENCES = 5;
  const AHEAD_S = 3;

  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  function attributes(from, to) {
    for (const { name } of [...from.attributes]) {
      // What a person has opened stays open.
      if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
  }

  // Makes the children of `from` like those of `to`.
  function children(from, to) {
    let current = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      let match = current;
      if (wanted.id) {
        while (match && !same(match, wanted)) match = match.nextSibling;
      }
      if (match && same(match, wanted)) {
        while (current !== match) {
          const next = current.nextSibling;
          current.remove();
          current = next;
        }
        if (match.nodeType === Node.ELEMENT_NODE) {
          attributes(match, wanted);
          children(match, wanted);
        } else if (match.data !== wanted.data) {
          match.data = wanted.data;
        }
        current = match.nextSibling;
      } else {
        from.insertBefore(wanted, current);
      }
    }
    while (current) {
      const next = current.nextSibling;
      current.remove();
      current = next;
    }
  }

  function show(html) {
    const focused = document.activeElement;
    children(main, new DOMParser().parseFromString(html, "text/html").body);
    if (focused && focused.id && !focused.isConnected) {
      const again = document.getElementById(focused.id);
      if (again) again.focus({ preventScroll: true });
    }
    ages();
  }

  function say(sentence) {
    const line = document.createElement("p");
    line.textContent = sentence;
    said.append(line);
    while (said.childElementCount > SENTENCES) said.firstElementChild.remove();
  }

  // Writes beside each moment how long ago it was.
  const relative = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "narrow" });

  function ages() {
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time[data-ms]")) {
      const passed = Math.round((now - Number(time.dataset.ms)) / 1000);
      // What has just happened may be a little ahead of this clock; what is further ahead is to come.
      const isAhead = passed < -AHEAD_S;
      const seconds = isAhead ? -passed : Math.max(0, passed);
      const [count, unit] =
        seconds < 90 ? [seconds, "second"]
        : seconds < 5400 ? [Math.round(seconds / 60), "minute"]
        : seconds < 172800 ? [Math.round(seconds / 3600), "hour"]
        : [Math.round(seconds / 86400), "day"];
      time.dataset.ago = relative.format(isAhead ? count : -count, unit);
      time.title = new Date(Number(time.dataset.ms)).toLocaleString(document.documentElement.lang);
    }
  }

  ages();
  setInterval(ages, 1000);
  if (!body.dataset.live) return;

  let source;
  let heardAt = Date.now();
  let state = "";

  function be(next) {
    if (next === state) return;
    state = next;
    sign.hidden = false;
    sign.dataset.state = next;
    body.dataset.state = next;
    const since = new Date(heardAt + ahead).toISOString().slice(11, 19);
    sign.textContent = next === "stale" ? `${sign.dataset.staleText} ${since}` : sign.dataset[`${next}Text`];
  }

  function heard() {
    heardAt = Date.now();
    be("live");
  }

  function listen() {
    source = new EventSource(`/console/live?page=${encodeURIComponent(body.dataset.live)}`);
    source.addEventListener("page", (event) => { heard(); show(JSON.parse(event.data)); });
    source.addEventListener("said", (event) => { heard(); say(JSON.parse(event.data)); });
    source.addEventListener("alive", heard);
    source.addEventListener("over", () => location.reload());
    source.addEventListener("error", () => {
      if (state === "live") be("stale");
      if (source.readyState !== EventSource.CLOSED) return;
      // Refused, not interrupted: the session may be over, or too many watch. The page tells.
      setTimeout(listen, AGAIN_MS);
    });
  }

  be("connecting");
  listen();
  setInterval(() => { if (Date.now() - heardAt > STALE_MS) be("stale"); }, 500);
  // A stream of a page that nobody can come back to is closed at once.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
})();
