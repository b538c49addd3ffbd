// What is not in the language that the page says it is in. `english` are the console's English texts, with
// the names of values in braces. What people have written has no language (`lang=""`).
const wrong = [];
const escaped = (text) => text.replace(/[.*+?^$()|[\]\\]/g, "\\$&");
const patterns = english.map(
  (text) => new RegExp(`^${text.split(/\{[^}]*\}/).map(escaped).join(".+")}$`),
);
const check = (text, element) => {
  const language = element.closest("[lang]").lang;
  for (const part of text.split(" · ").map((part) => part.trim())) {
    if (language.startsWith("en") && /\p{Script=Han}/u.test(part)) wrong.push(`not English: ${part}`);
    if (!language.startsWith("zh")) continue;
    if (patterns.some((pattern) => pattern.test(part))) wrong.push(`not Chinese: ${part}`);
    if (/[a-z]+(,? [a-z]+){3}/.test(part)) wrong.push(`no Chinese sentence: ${part}`);
  }
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName)) {
    check(texts.currentNode.textContent, element);
  }
}
for (const element of document.querySelectorAll("[aria-label]")) {
  check(element.getAttribute("aria-label"), element);
}
return wrong;
