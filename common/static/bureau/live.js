"use strict";

// Follows events over the live stream. While it can't be opened, `poll` is called instead every few
// seconds, and once whenever events may have been missed.
//
//     const stop = followEvents(["session.progress", "session.completed"], { onEvent: (event) => …, poll: () => … });
window.followEvents = (types, { onEvent, poll }) => {
  const POLL_INTERVAL_MS = 1500;
  const MIN_RETRY_MS = 2000;
  const MAX_RETRY_MS = 60000;
  let source, lastEventId, pollTimer, retryTimer;
  let retryMs = MIN_RETRY_MS;
  let isStopped = false;

  function csrfToken() {
    const field = document.querySelector("[name=csrfmiddlewaretoken]");
    return field?.value ?? document.cookie.match(/csrftoken=(\w+)/)?.[1] ?? "";
  }

  async function streamUrl() {
    const response = await fetch("/api/v1/events/tickets", {
      method: "POST",
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken() },
    });
    if (!response.ok) throw new Error(`No ticket: ${response.status}`);
    const url = new URL((await response.json()).stream_url);
    url.searchParams.set("types", types.join(","));
    if (lastEventId) url.searchParams.set("since", lastEventId);
    return url;
  }

  function receive(message) {
    lastEventId = message.lastEventId || lastEventId;
    onEvent(JSON.parse(message.data));
  }

  async function open() {
    try {
      source = new EventSource(await streamUrl());
    } catch {
      reopenLater();
      return;
    }
    source.onopen = () => {
      retryMs = MIN_RETRY_MS;
      clearInterval(pollTimer);
      pollTimer = undefined;
      if (!lastEventId) poll();
    };
    // A ticket works once, so the browser's own attempts to reconnect would fail.
    source.onerror = () => {
      source.close();
      reopenLater();
    };
    source.addEventListener("reset", () => {
      lastEventId = undefined;
      poll();
    });
    for (const name of types) source.addEventListener(name, receive);
  }

  function reopenLater() {
    if (isStopped) return;
    pollTimer ??= setInterval(poll, POLL_INTERVAL_MS);
    retryTimer = setTimeout(open, retryMs * (0.5 + Math.random()));
    retryMs = Math.min(2 * retryMs, MAX_RETRY_MS);
  }

  open();
  return () => {
    isStopped = true;
    source?.close();
    clearInterval(pollTimer);
    clearTimeout(retryTimer);
  };
};
