// Shows the pages that have every word; without it all of them are listed.
"use strict";
(() => {
  const input = document.getElementById("q"), count = document.getElementById("count");
  const lines = [...document.querySelectorAll(".found li")].map(li => [li, `${li.textContent} ${li.dataset.w}`.toLowerCase()]);
  const look = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [li, text] of lines) {
      li.hidden = !words.every(word => text.includes(word));
      found += !li.hidden;
    }
    for (const part of document.querySelectorAll(".found")) part.hidden = !part.querySelector("li:not([hidden])");
    count.textContent = words.length ? `${found} of ${lines.length} pages` : `${lines.length} pages`;
  };
  input.value = new URLSearchParams(location.search).get("q") || "";
  input.addEventListener("input", look);
  look();
})();
