"use strict";

// Keeps the progress bars of active jobs up to date by the live stream; see common/jobs/admin.py.
(() => {
  // Progress may come more often than it is worth showing.
  const MIN_INTERVAL_MS = 300;
  let timer, stop;

  const activeBars = () => [...document.querySelectorAll("[data-progress-active]")];

  async function refresh() {
    timer = undefined;
    const bars = activeBars();
    if (!bars.length || document.hidden) return;
    const query = new URLSearchParams(bars.map((bar) => ["id", bar.dataset.progress]));
    const response = await fetch(`${bars[0].dataset.progressUrl}?${query}`);
    if (!response.ok) return;
    const fragments = await response.json();
    for (const bar of bars) replace(bar, fragments[bar.dataset.progress]);
    if (!activeBars().length) stop();
  }

  function replace(bar, fragment) {
    if (!fragment) return;
    bar.outerHTML = fragment;
    const hasEnded = !document.querySelector(`[data-progress="${bar.dataset.progress}"][data-progress-active]`);
    // The rest of a job's own page has changed, too.
    if (hasEnded && "progressReload" in bar.dataset) location.reload();
  }

  function refreshSoon() {
    // The server may be restarting; the next event or poll tries again.
    timer ??= setTimeout(() => refresh().catch(() => {}), MIN_INTERVAL_MS);
  }

  function start() {
    const bars = activeBars();
    if (!bars.length) return;
    const isShown = (target) => activeBars().some((bar) => bar.dataset.progress === target.id);
    stop = followEvents(bars[0].dataset.progressTypes.split(" "), {
      onEvent: (event) => event.targets.some(isShown) && refreshSoon(),
      poll: refreshSoon,
    });
    document.addEventListener("visibilitychange", refreshSoon);
  }

  document.addEventListener("DOMContentLoaded", start);
})();
