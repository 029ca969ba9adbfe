// What scrolls can be reached by the keyboard, and the two sides of a page have their names.
function reach() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, div.math, .cell_output table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
}
document.addEventListener("DOMContentLoaded", () => {
  for (const [side, name] of [["sidebar-drawer", "All pages"], ["toc-drawer", "On this page"]]) {
    document.querySelector(`aside.${side}`)?.setAttribute("aria-label", name);
  }
  reach();
  addEventListener("resize", reach);
});
