// Fills each <select data-backroom-item="ITEM_ID"> of a shop's page with the schedules that the item may be ordered on.
// What is offered, and whether None is, the shop's settings say; a value is what the order's line calls
// auto_order_schedule, and empty for None. The tag that loads this file carries the browser key: data-key="browser_…".
(() => {
  const { src, dataset } = document.currentScript;
  const fill = async (select) => {
    const id = select.dataset.backroomItem;
    const headers = { "x-ultracart-browser-key": dataset.key };
    const reply = await fetch(new URL(`items/${encodeURIComponent(id)}`, src), { headers });
    if (!reply.ok) throw new Error(`Backroom: item ${id} is answered with ${reply.status}`);
    const { item } = await reply.json();
    const offered = item.schedules || [];
    const options = offered.map((one) => new Option(one.name, one.auto_order_schedule || ""));
    // Where None is not offered, one must be chosen: nothing is, until the shopper does.
    select.required = offered.length > 0 && offered.every((one) => one.auto_order_schedule);
    if (select.required) {
      const choose = new Option(select.dataset.choose || "Choose how often", "", true, true);
      choose.disabled = true;
      options.unshift(choose);
    }
    select.replaceChildren(...options);
    select.hidden = select.disabled = !offered.length;
    select.dispatchEvent(new CustomEvent("backroom:schedules", { bubbles: true, detail: item }));
  };
  const start = () => {
    for (const select of document.querySelectorAll("select[data-backroom-item]")) fill(select).catch(console.error);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
