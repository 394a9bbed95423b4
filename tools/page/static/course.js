// A page opened from disk may not fetch others, so search shows its hits without their first lines there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A flip-book says how high it is; its frame grows to fit. Messages work where the page is opened from disk, too.
window.addEventListener("message", event => {
  for (const frame of document.querySelectorAll("iframe.flipbook"))
    if (frame.contentWindow === event.source && event.data && event.data.flipbookHeight)
      frame.style.height = Math.ceil(event.data.flipbookHeight) + 4 + "px";
});
// The theme's arrows in the side bar have no name for a screen reader: they get their entry's.
document.addEventListener("DOMContentLoaded", () => {
  for (const arrow of document.querySelectorAll("nav summary")) {
    const entry = arrow.closest("li").querySelector("a");
    arrow.setAttribute("aria-label", "Pages under " + entry.textContent.trim());
  }
});
