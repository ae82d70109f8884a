// What more than one script makes of a page.

/** An element with attributes and a text; a text is never read as markup. */
export function made(name, attributes = {}, text = "") {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

/** An answer of our own server. */
export async function asked(address) {
  const answer = await fetch(address, { redirect: "error" });
  if (!answer.ok) throw new Error(answer.status === 404 ? "another generation was published; load the page again" : `${answer.status} ${answer.statusText}`);
  return answer;
}
