// What a screen reader and a keyboard need of every page. Returns what is missing.
const missing = [];
const all = (selector) => [...document.querySelectorAll(selector)];
const name = (element) => (element.getAttribute("aria-label") || element.textContent).trim();

if (all("h1").length !== 1) missing.push(`one h1, not ${all("h1").length}`);
all("h1, h2, h3, h4").reduce((above, heading) => {
  const level = Number(heading.tagName[1]);
  if (level > above + 1) missing.push(`a level above ${heading.textContent}`);
  return level;
}, 0);
for (const landmark of ["header", "main", "footer", "html[lang]", "head > title"]) {
  if (all(landmark).length !== 1) missing.push(`one ${landmark}`);
}
for (const navigation of all("nav")) {
  if (!navigation.getAttribute("aria-label")) missing.push("a name of the navigation");
}
for (const table of all("table")) {
  if (!table.caption || !name(table.caption)) missing.push("a caption");
  for (const head of table.querySelectorAll("th")) {
    if (!head.scope) missing.push(`a scope of ${head.textContent}`);
  }
  for (const row of table.tBodies[0].rows) {
    if (!row.querySelector("th[scope=row]")) missing.push(`a head of ${row.textContent}`);
  }
}
for (const input of all("input:not([type=hidden])")) {
  if (!input.labels.length) missing.push(`a label of ${input.name}`);
}
for (const control of all("a, button, summary")) {
  if (!name(control)) missing.push(`a name of ${control.outerHTML}`);
}
for (const sign of all(".sign")) {
  if (sign.getAttribute("aria-hidden") !== "true") missing.push(`aria-hidden of ${sign.outerHTML}`);
  if (name(sign.parentElement) === name(sign)) missing.push(`a word beside ${sign.textContent}`);
}
for (const scroller of all(".scroll")) {
  if (scroller.tabIndex !== 0) missing.push("a scroller that the keyboard reaches");
}
const ids = all("[id]").map((element) => element.id);
for (const id of new Set(ids)) {
  if (/\s/.test(id) || ids.filter((other) => other === id).length > 1) missing.push(`one ${id}`);
}
for (const attribute of ["aria-labelledby", "aria-describedby"]) {
  for (const element of all(`[${attribute}]`)) {
    const target = element.getAttribute(attribute);
    if (!ids.includes(target)) missing.push(`${attribute} ${target}`);
  }
}
const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
if (wide > 0) missing.push(`${wide} pixels of width`);
return missing;
