/** Return a button that is a star, full or not. */
export function starIn(full, label) {
  const star = document.createElement("button");
  star.type = "button";
  star.tabIndex = -1;
  star.textContent = full ? "★" : "☆";
  star.title = label;
  return star;
}
