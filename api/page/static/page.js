// What makes the page live. All that matters works without it: links and forms.
// A region with the id "live" is asked for again every few seconds, while somebody can see it; a connection that is lost is told,
// with how old is what is shown.
(() => {
  "use strict";
  const SECONDS = 5;
  const region = () => document.getElementById("live");
  const connection = document.getElementById("connection");
  const told = document.getElementById("told");
  let shownAt = Date.now();
  let lost = false;

  const isWriting = () => {
    const at = document.activeElement;
    const live = region();
    return live && at && live.contains(at) && ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName);
  };

  const ask = () => {
    const live = region();
    if (!live || !live.hasAttribute("hx-get") || document.hidden || isWriting()) return;
    window.htmx.trigger(live, "refresh");
  };

  const howOld = () => Math.round((Date.now() - shownAt) / 1000);

  const tellAge = () => {
    const seconds = howOld();
    const old = document.getElementById("old");
    if (old) old.textContent = seconds >= 2 * SECONDS ? `, ${seconds} s ago` : "";
    if (lost) {
      connection.firstElementChild.textContent = ` What is shown is ${seconds} s old.`;
    }
  };

  const setLost = (why) => {
    if (!lost) {
      lost = true;
      connection.textContent = `${why} It is asked again every ${SECONDS} seconds.`;
      const age = document.createElement("span");
      age.setAttribute("aria-live", "off");
      connection.append(age);
      connection.hidden = false;
    }
    tellAge();
  };

  document.addEventListener("htmx:sendError", () => setLost("The connection to Holdfast is lost."));
  document.addEventListener("htmx:timeout", () => setLost("Holdfast does not answer in time."));
  document.addEventListener("htmx:responseError", (event) => setLost(`Holdfast answers with the error ${event.detail.xhr.status}.`));

  // What was opened stays open when a region is replaced.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", () => {
    opened = [...document.querySelectorAll("#live details[open][id]")].map((one) => one.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    shownAt = Date.now();
    lost = false;
    connection.hidden = true;
    connection.textContent = "";
    const shown = document.getElementById("shown");
    const at = region()?.dataset.at;
    if (shown && at) {
      shown.setAttribute("datetime", at);
      shown.textContent = `${at.slice(11, 19)} UTC`;
    }
    const say = region()?.dataset.say ?? "";
    if (told.textContent !== say) told.textContent = say;
    tellAge();
  });

  document.addEventListener("visibilitychange", ask);
  window.setInterval(ask, 1000 * SECONDS);
  window.setInterval(tellAge, 1000);

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });
})();
