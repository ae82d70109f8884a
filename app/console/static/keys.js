// Keys for those who do not want to reach for the mouse: / to search, j and k through rows, Enter to open one. Single
// letters are in the way of those who speak to their machine, so they can be switched off, for this browser.

const OFF = "stillwatch-keys-off";
const wanted = document.getElementById("keys");
if (wanted) {
  wanted.checked = localStorage.getItem(OFF) === null;
  wanted.addEventListener("change", () => (wanted.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
}

const typing = (target) => target instanceof HTMLElement && target.matches("input, select, textarea");
const links = () => [...document.querySelectorAll("tbody tr td a")];

function step(by) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  next?.focus();
}

document.addEventListener("keydown", (event) => {
  if (!wanted?.checked || typing(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const search = document.getElementById("search");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  } else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
});
