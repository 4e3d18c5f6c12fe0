"use strict";

// Keeps the bars of sessions that are under way moving, as long as somebody looks at the page.
(() => {
  const PAUSE = 1500;
  const moving = () => [...document.querySelectorAll("[data-upload-active]")];

  async function refresh() {
    const bars = moving();
    const query = new URLSearchParams(bars.map((bar) => ["id", bar.dataset.upload]));
    const response = await fetch(`${bars[0].dataset.uploadUrl}?${query}`);
    if (!response.ok) return;
    const fragments = await response.json();
    for (const bar of bars) {
      const fragment = fragments[bar.dataset.upload];
      if (fragment) bar.outerHTML = fragment;
    }
  }

  async function tick() {
    try {
      if (!document.hidden && moving().length) await refresh();
    } catch {
      // The server may be restarting; the next tick asks again.
    }
    if (moving().length) setTimeout(tick, PAUSE);
  }

  document.addEventListener("DOMContentLoaded", tick);
})();
