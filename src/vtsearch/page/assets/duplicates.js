// Duplicates: a group a row; one key decides it, and what is decided stays so. No file is ever deleted.

import { button, fill, fold, h, icon, number, several } from "./dom.js";
import { groupPictures, groupTitle } from "./group.js";
import { emptyNotice, errorNotice, newest, say, skeleton } from "./notices.js";
import { roving } from "./roving.js";
import { whereOf } from "./where.js";

const GROUPS_AT_ONCE = 20;
const RULES = ["first", "largest", "oldest", "newest"];

/** The room of duplicates. @param {object} page @param {{filter: HTMLElement}} shared with Neighbours */
export function duplicatesRoom(page, { filter }) {
  const progress = h("section.progress", { "aria-label": "Progress" });
  const settings = h("section.settings");
  const list = h("div.rows.groups-of-duplicates");
  const end = h("p.end");
  const main = h("div.room.duplicates", list, end);
  const view = {
    page,
    progress,
    settings,
    list,
    end,
    key: null,
    groups: [],
    done: [],
    total: 0,
    open: 0,
    said: [],
    writes: Promise.resolve(),
  };
  const run = newest(main);
  view.rove = roving(list, ".duplicate");

  function show(state) {
    const info = page.info();
    filter.show(state, info);
    drawSettings(view, state);
    const key = JSON.stringify([info.name, state.within, state.keep, state.decided, whereOf(state, info)]);
    if (key === view.key) return undefined;
    fill(list, skeleton(12));
    fill(end);
    const asked = Promise.all([page.answer(askOf(view, 0)), page.answer({ what: "decisions", index: info.name })]);
    return run(
      asked,
      ([answer, { decisions }]) => {
        Object.assign(view, {
          key,
          groups: [],
          done: [],
          total: answer.groups,
          open: answer.undecided,
          earlier: state.decided ? 0 : answer.groups - answer.undecided,
          said: decisions,
        });
        filter.complain(null);
        fill(list);
        append(view, answer);
        if (!answer.results.length) fill(list, nothing(view, answer));
        say(`${several(answer.groups, "group")}, ${answer.undecided} undecided`);
      },
      (error) => {
        view.key = null;
        if (/^where\b/.test(error.detail ?? "")) filter.complain(error.detail);
        fill(progress);
        fill(list, errorNotice(error, [{ text: "Try again", run: () => page.again() }]));
      },
    );
  }
  const act = (how) => () => decide(view, activeGroup(view), how);
  const keys = [
    { key: "j", title: "next group", run: () => view.rove.move(1) },
    { key: "k", title: "group before", run: () => view.rove.move(-1) },
    ..."123456789".split("").map((key, place) => ({ key, run: act(place) })),
    { key: "1 – 9", title: "keep that picture alone" },
    { key: "a", title: "keep all", run: act("all") },
    { key: "n", title: "not duplicates", run: act("distinct") },
    { key: "u", title: "undo", run: () => undo(view, view.done.at(-1)) },
    { key: "w", title: "filter by SQL", run: () => page.openFilter("textarea") },
  ];
  return {
    side: [progress, settings, filter],
    main,
    show,
    keys,
    hint: "1 to 9 keeps that picture · a keeps all · n says they are no duplicates · u undoes · j and k move",
  };
}

function askOf({ page }, offset) {
  const { within, keep, decided } = page.state;
  return {
    what: "duplicates",
    index: page.info().name,
    radius: within,
    keep,
    answered: decided,
    where: whereOf(page.state, page.info()),
    offset,
    limit: GROUPS_AT_ONCE,
  };
}

function nothing({ page }, { groups }) {
  if (!groups)
    return emptyNotice(
      `No duplicates within radius ${page.state.within}`,
      "A larger radius finds pictures that are less alike.",
    );
  return emptyNotice(
    "All groups are decided",
    "No file was deleted: `vtsearch decide INDEX --export remove.sh` writes what may go. Show what is decided to look at it again.",
  );
}

function drawSettings(view, { within, keep, decided }) {
  const { page, settings } = view;
  const radius = h("input", {
    type: "number",
    min: 0,
    max: page.info().bits,
    value: within,
    title: "Bits in which two items of a group may differ",
    onchange: () => radius.checkValidity() && page.go({ within: radius.valueAsNumber || 0 }),
  });
  const rule = h(
    "select",
    { title: "Which picture of a group stands first", onchange: () => page.go({ keep: rule.value }) },
    RULES.map((each) => h("option", { value: each, text: each, selected: each === keep })),
  );
  const shows = h("input", { type: "checkbox", onchange: () => page.go({ decided: shows.checked }) });
  shows.checked = decided;
  if (!settings.contains(document.activeElement)) {
    fill(
      settings,
      fold(
        "Groups",
        "How groups are made",
        h("label", h("span", "radius"), radius),
        h("label", h("span", "first"), rule),
        h("label", h("span", "show decided"), shows),
      ),
    );
  }
}

function drawProgress(view) {
  const { total, open, progress, page } = view;
  const done = total - open;
  fill(
    progress,
    h("h2", "Duplicates"),
    h("p.big", total ? `${number(done)} of ${number(total)}` : "0"),
    h("p.quiet", "groups decided"),
    h(
      "div.bar",
      {
        role: "progressbar",
        "aria-label": "Groups decided",
        "aria-valuemin": 0,
        "aria-valuemax": total,
        "aria-valuenow": done,
      },
      h("span", { style: { "--share": total ? done / total : 0 } }),
    ),
    h(
      "p.quiet",
      page.service.decides
        ? "Decisions are kept in the index. No file is deleted."
        : "This server keeps no decisions: it serves the index read-only.",
    ),
    view.done.length > 0 &&
      button("Undo the last", "Undo the last decision (u)", () => undo(view, view.done.at(-1)), "link"),
  );
}

function append(view, answer) {
  for (const found of answer.results) {
    const how = howDecided(found);
    const group = { ...found, how, was: how, element: h("section.duplicate", { tabindex: "-1" }) };
    group.at = view.earlier + view.groups.push(group);
    view.list.append(group.element);
    drawGroup(view, group);
  }
  const first = view.groups.find(({ how }) => how === null);
  if (first && !view.list.contains(document.activeElement)) view.rove.enter(first.element);
  drawProgress(view);
  drawRest(view, answer);
}

/** Groups decided since they were listed are no longer in the list that the server counts from. */
function drawRest(view, answer) {
  const { end, page } = view;
  const all = page.state.decided ? answer.groups : answer.undecided;
  if (answer.offset + answer.results.length >= all) return fill(end);
  const more = async () => {
    const gone = view.groups.filter(
      ({ how, was }) => how !== null && was === null && (how === "distinct" || !page.state.decided),
    ).length;
    try {
      append(view, await page.answer(askOf(view, view.groups.length - gone)));
    } catch (error) {
      fill(end, errorNotice(error));
    }
  };
  return fill(
    end,
    h("span", `${several(all - answer.offset - answer.results.length, "more group")}`),
    button("More groups", "The next groups", more),
  );
}

function howDecided({ items }) {
  if (items.some(({ verdict }) => !verdict)) return null;
  const kept = items.map(({ verdict }, place) => (verdict === "keep" ? place : -1)).filter((place) => place >= 0);
  return kept.length === items.length ? "all" : kept.length === 1 ? kept[0] : "some";
}

function drawGroup(view, group) {
  const { element, how, items, at } = group;
  const words = how === "distinct" ? "not duplicates" : how === "all" ? "all kept" : how === "some" ? "some kept" : "";
  element.classList.toggle("decided", how !== null);
  element.setAttribute(
    "aria-label",
    `Group ${at} of ${view.total}, ${several(items.length, "picture")}${how === null ? "" : `, decided: ${words || `keep ${how + 1}`}`}`,
  );
  const undone = (event) => (
    event.stopPropagation(),
    undo(view, view.done.find((each) => each.group === group) ?? { group, before: [] })
  );
  if (how !== null) {
    const kept = typeof how === "number" ? [items[how]] : items.slice(0, 6);
    return fill(
      element,
      h(
        "h3",
        icon(how === "distinct" ? "cross" : "tick"),
        groupTitle(group, view.total),
        h("span", words || `keep ${items[how].id}`),
      ),
      h("div.kept", groupPictures(kept, {})),
      view.page.service.decides && button("Undo", "Undo this decision (u: the last one)", undone, "link"),
    );
  }
  const act = (choice) => () => decide(view, group, choice);
  const buttons =
    view.page.service.decides &&
    h(
      "span.verbs",
      button("Keep all", "Keep all (a)", act("all"), "verb"),
      button("Not duplicates", "Not duplicates (n)", act("distinct"), "verb"),
    );
  return fill(
    element,
    h("h3", groupTitle(group, view.total), buttons),
    groupPictures(items, { onKeep: view.page.service.decides ? (place) => decide(view, group, place) : null }),
  );
}

function activeGroup(view) {
  const current = view.rove.current();
  const open = view.groups.filter(({ how }) => how === null);
  return (
    view.groups.find(
      ({ element, how }) => how === null && (element === current || element.contains(document.activeElement)),
    ) ?? open[0]
  );
}

function verdicts(items, how) {
  if (how === "distinct") return [{ verdict: "distinct", ids: items.map(({ id }) => id) }];
  return items.map(({ id }, place) => ({ verdict: how === "all" || place === how ? "keep" : "remove", ids: [id] }));
}

function decide(view, group, how) {
  const { page } = view;
  if (!group || !page.service.decides || (typeof how === "number" && how >= group.items.length)) return;
  const ids = new Set(group.items.map(({ id }) => id));
  const entry = { group, before: view.said.filter((each) => each.ids.some((id) => ids.has(id))) };
  const made = verdicts(group.items, how);
  group.how = how;
  view.open -= 1;
  view.done.push(entry);
  view.said = [...view.said.filter((each) => each.verdict === "distinct" || !ids.has(each.ids[0])), ...made];
  drawGroup(view, group);
  drawProgress(view);
  const next =
    view.groups.slice(view.groups.indexOf(group)).find((each) => each.how === null) ??
    view.groups.find((each) => each.how === null) ??
    group;
  next.element.focus({ preventScroll: true });
  next.element.scrollIntoView({ block: "nearest" });
  write(view, [{ what: "decide", decisions: made }]);
}

/** Requests in the order of the keys; after an error the list is as the server has it. */
function write(view, queries) {
  const { page } = view;
  const index = page.info().name;
  view.writes = view.writes.then(async () => {
    try {
      for (const query of queries) await page.answer({ ...query, index });
      say(`${several(view.open, "group")} left`);
    } catch (error) {
      page.toast(error.detail ?? error.message);
      view.key = null;
      page.again();
    }
  });
  return view.writes;
}

function restore(view, entry) {
  const { group, before } = entry;
  const ids = new Set(group.items.map(({ id }) => id));
  group.how = null;
  view.open += 1;
  view.done = view.done.filter((each) => each !== entry);
  view.said = [...view.said.filter((each) => !each.ids.some((id) => ids.has(id))), ...before];
  drawGroup(view, group);
  drawProgress(view);
}

function undo(view, entry) {
  if (!entry) return;
  const { group, before } = entry;
  restore(view, entry);
  group.element.focus({ preventScroll: true });
  group.element.scrollIntoView({ block: "nearest" });
  const forget = { what: "forget", ids: group.items.map(({ id }) => id) };
  write(view, before.length ? [forget, { what: "decide", decisions: before }] : [forget]);
}
