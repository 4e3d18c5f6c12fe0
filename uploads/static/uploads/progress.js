"use strict";

// Reloads the progress bars of active sessions while the page is visible.
(() => {
  const POLL_INTERVAL_MS = 1500;
  const activeBars = () => [...document.querySelectorAll("[data-upload-active]")];

  async function refresh() {
    const bars = activeBars();
    const query = new URLSearchParams(bars.map((bar) => ["id", bar.dataset.upload]));
    const response = await fetch(`${bars[0].dataset.uploadUrl}?${query}`);
    if (!response.ok) return;
    const fragments = await response.json();
    for (const bar of bars) {
      const fragment = fragments[bar.dataset.upload];
      if (fragment) bar.outerHTML = fragment;
    }
  }

  async function poll() {
    try {
      if (!document.hidden && activeBars().length) await refresh();
    } catch {
      // The server may be restarting; the next poll tries again.
    }
    if (activeBars().length) setTimeout(poll, POLL_INTERVAL_MS);
  }

  document.addEventListener("DOMContentLoaded", poll);
})();
