"use strict";

// On a row's page of the browsable API: says that the row has changed, by the live stream.
(() => {
  const notice = document.getElementById("row-changed");
  const id = location.pathname.match(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i)?.[0].toLowerCase();
  if (!id) return;
  followEvents(notice.dataset.eventTypes.split(" "), {
    onEvent: (event) => {
      if (event.targets.some((target) => target.id === id)) notice.hidden = false;
    },
    poll: () => {},
  });
})();
