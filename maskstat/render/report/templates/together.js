// Matrices: the cell that is pointed at, in words.
for (const matrix of $$(".mx")) {
  const about = data.meetings[matrix.dataset.of], said = $(`.cell[data-of="${matrix.dataset.of}"]`), image = $("img", matrix);
  if (!about || !classes) continue;
  image.addEventListener("mousemove", (event) => {
    const box = image.getBoundingClientRect(), last = about.classes.length - 1;
    const at = (offset, length) => Math.max(0, Math.min(last, Math.floor(offset / length * (last + 1))));
    const row = at(event.clientY - box.top, box.height), column = at(event.clientX - box.left, box.width);
    const [one, other] = [names[about.classes[row]], names[about.classes[column]]];
    const ratio = about.cells[row][column];
    said.textContent = row === column ? one : `${one} and ${other}: ${ratio ? `${ratio}×` : "never"}`;
  });
  image.addEventListener("mouseleave", () => { said.textContent = ""; });
}
