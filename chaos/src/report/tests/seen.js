// Writes what a reader of the page has before their eyes to where a program finds it.
addEventListener("load", () => {
  const problems = [];
  const shown = (element) => element.getClientRects().length > 0;
  const whole = (text) => text.replace(/\s+/g, " ").trim();
  if (document.documentElement.scrollWidth > innerWidth) problems.push("the page is wider than the window");
  for (const svg of document.querySelectorAll("svg")) {
    const name = svg.getAttribute("aria-label");
    const frame = svg.getBoundingClientRect();
    if (frame.width < 100 || frame.height < 20) problems.push(`${name}: nothing is to be seen`);
    const boxes = [...svg.querySelectorAll("text")].map((text) => [whole(text.textContent), text.getBoundingClientRect()]);
    boxes.forEach(([text, box], index) => {
      if (box.width === 0) return;
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        problems.push(`${name}: ${text} is cut off`);
      for (const [other, its] of boxes.slice(index + 1))
        if (its.width > 0 && box.left < its.right - 1 && its.left < box.right - 1 && box.top + 2 < its.bottom - 2 && its.top + 2 < box.bottom - 2)
          problems.push(`${name}: ${text} and ${other} lie on each other`);
    });
  }
  document.documentElement.dataset.seen = JSON.stringify({
    problems,
    width: innerWidth,
    background: getComputedStyle(document.body).backgroundColor,
    headings: [...document.querySelectorAll("h2")].filter(shown).map((heading) => whole(heading.innerText)),
    text: whole(document.body.innerText),
  });
});
