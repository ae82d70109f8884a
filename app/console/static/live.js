// Parts of a page that change by themselves: an element with data-live names the address of its content, which is
// asked for every other second for as long as the page can be seen. Where an answer is missing, what is there stays.

const EVERY_MS = 2000;

async function renew(part) {
  const answer = await fetch(part.dataset.live, { headers: { accept: "text/html" }, redirect: "error" });
  if (!answer.ok) return;
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (part.contains(document.activeElement)) return; // somebody is about to press what would be taken away
  if (found.body.textContent === part.textContent) return;
  part.replaceChildren(...found.body.childNodes);
}

async function keep(part) {
  if (!document.hidden) await renew(part).catch(() => {});
  setTimeout(() => keep(part), EVERY_MS);
}

for (const part of document.querySelectorAll("[data-live]")) setTimeout(() => keep(part), EVERY_MS);
