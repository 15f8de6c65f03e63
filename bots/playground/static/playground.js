// The page of the playground. The server holds all state; here it is only shown, and what people do is sent there.
const facts = JSON.parse(document.getElementById("words").textContent);
const EMOJI = ["👍", "❤", "🎉"];
const TOAST_MS = 7000;
const state = { people: new Map(), rooms: new Map(), messages: new Map() };
const pending = new Map();
const columns = new Map();
let me = localStorage.getItem("stormo.me") || "anna";
let socket = null;
let acts = 0;
let fresh = false;

const byId = (id) => document.getElementById(id);
const say = (id, name = "") => facts.say[id].replace("{name}", name);
const bot = { id: "stormo", name: "Stormo" };

function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// Only for HTML that the server made: everything in it is escaped there.
function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

const PATHS = {
  reply: "M9 6 4 11l5 5M4 11h9a6 6 0 0 1 6 6v1",
  edit: "M4 20h4L19 9l-4-4L4 16v4M13 7l4 4",
  delete: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  send: "M4 12 20 4l-5 16-3.500-6.500L4 12M11.500 13.500 20 4",
  lock: "M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8M4.500 20c1-4 4-5.500 7.500-5.500s6.500 1.500 7.500 5.500",
  back: "M15 5l-7 7 7 7",
  pin: "M9 4h6l-1 6 3 3H7l3-3-1-6M12 13v7",
  attach: "M8 12.500 14.500 6a3 3 0 0 1 4.200 4.200L10 19a5 5 0 0 1-7-7l8.500-8.500",
  close: "M6 6l12 12M18 6 6 18",
  eye: "M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

const TONES = [5, 0, 3, 1, 6, 4, 7, 2];
const hue = (id) => (id === bot.id ? 2 : TONES[[...state.people.keys()].indexOf(id) % 8] ?? 4);

function avatar(id, name) {
  if (id === bot.id) return h("img", { class: "avatar", src: "static/flock.svg", alt: "" });
  return h("span", { class: `avatar hue${hue(id)}`, "aria-hidden": "true" }, [...name][0] || "?");
}

const clock = new Intl.DateTimeFormat(facts.language, { hour: "2-digit", minute: "2-digit" });
const order = (id) => Number(id.split("-").pop());
const nameOf = (id) => (id === bot.id ? bot.name : state.people.get(id)?.name || id);
const bare = (emoji) => emoji.replace(/\ufe0f/g, "");
// ❤ alone is text in many fonts.
const drawn = (emoji) => (bare(emoji) === "❤" ? "❤\ufe0f" : emoji);

// -- the wire ---------------------------------------------------------------------------------------------------

let pause = 300;

function connect() {
  const url = new URL("ws", document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  socket = new WebSocket(url);
  socket.addEventListener("open", () => { pause = 300; });
  socket.addEventListener("message", (frame) => receive(JSON.parse(frame.data)));
  socket.addEventListener("close", () => {
    for (const done of pending.values()) done({ error: say("offline") });
    pending.clear();
    document.body.classList.add("offline");
    warn(say("offline"), true);
    setTimeout(connect, pause);
    pause = Math.min(pause * 2, 5000);
  });
}

function act(fields) {
  return new Promise((resolve) => {
    if (socket?.readyState !== WebSocket.OPEN) return resolve({ error: say("offline") });
    const n = ++acts;
    pending.set(n, resolve);
    socket.send(JSON.stringify({ who: me, ...fields, n }));
  }).then((done) => {
    if (done.error) warn(done.error);
    return done;
  });
}

function receive(item) {
  if (item.type === "state") takeState(item);
  else if (item.type === "person") { state.people.set(item.person.id, item.person); drawPeople(); drawHeads(); }
  else if (item.type === "room") { state.rooms.set(item.room.id, item.room); drawAdmin(); drawHeads(); }
  else if (item.type === "message") takeMessage(item.message);
  else if (item.type === "done") { pending.get(item.n)?.(item); pending.delete(item.n); }
}

function takeState(item) {
  for (const [map, list] of [[state.people, item.people], [state.rooms, item.rooms], [state.messages, item.messages]]) {
    map.clear();
    for (const one of list) map.set(one.id, one);
  }
  if (!state.people.has(me)) me = item.people[0].id;
  fresh = true;
  document.body.classList.remove("offline");
  byId("alert").hidden = true;
  drawPeople();
  drawAdmin();
  for (const column of columns.values()) column.open(column.room);
  fresh = false;
  document.body.dataset.ready = "yes";
}

function takeMessage(message) {
  state.messages.set(message.id, message);
  const room = state.rooms.get(message.room);
  if (!room) return;
  columns.get(room.look).put(message);
  if (message.by === bot.id && room.private_of === me) columns.get(room.look).notice(room);
}

let warned = 0;

function warn(text, stay = false) {
  const place = byId("alert");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(warned);
  if (!stay) warned = setTimeout(() => { place.hidden = true; }, TOAST_MS);
}

// -- who the visitor is -----------------------------------------------------------------------------------------

function drawPeople() {
  byId("people").replaceChildren(...[...state.people.values()].map((person) => {
    const chosen = person.id === me;
    return h("button", {
      class: "person", role: "radio", "aria-checked": String(chosen), "data-person": person.id,
      tabindex: chosen ? "0" : "-1", onclick: () => become(person.id), onkeydown: stepPeople,
    }, avatar(person.id, person.name), h("span", {}, person.name));
  }));
}

function stepPeople(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const ids = [...state.people.keys()];
  become(ids[(ids.indexOf(me) + step + ids.length) % ids.length]);
  byId("people").querySelector("[aria-checked=true]").focus();
}

function become(id) {
  me = id;
  localStorage.setItem("stormo.me", id);
  drawPeople();
  drawAdmin();
  for (const column of columns.values()) column.open(column.group);
}

function drawAdmin() {
  const rooms = [...state.rooms.values()].filter((room) => !room.private_of);
  byId("admin").checked = rooms.length > 0 && rooms.every((room) => room.admins.includes(me));
}

const drawHeads = () => { for (const column of columns.values()) column.drawHead(); };

// -- one column: the look of one platform ------------------------------------------------------------------------

class Column {
  constructor(look) {
    this.look = look;
    this.room = this.group = look.name;
    this.mode = null;
    this.waiting = false;
    this.head = h("header", { class: "head" });
    this.log = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": look.label, tabindex: "0" });
    this.toasts = h("div", { class: "toasts", role: "status" });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": say("commands") });
    this.bar = h("div", { class: "bar", hidden: true });
    this.box = h("textarea", {
      rows: "1", maxlength: look.max, spellcheck: "false", autocomplete: "off",
      onkeydown: (event) => this.key(event), oninput: () => this.typed(),
    });
    this.sendButton = h("button", { class: "send", "aria-label": say("send"), title: say("send") }, icon("send"));
    this.files = [];
    this.picker = h("input", { type: "file", multiple: true, hidden: true, "aria-label": say("attach"), onchange: () => this.attach() });
    this.form = h("form", { class: "composer", onsubmit: (event) => { event.preventDefault(); this.send(); } },
      h("button", { type: "button", class: "send", "aria-label": say("attach"), title: say("attach"), onclick: () => this.picker.click() },
        icon("attach")), this.picker, this.box, this.sendButton);
    this.node = h("section", { class: `column ${look.name}`, id: `column-${look.name}`, "aria-label": look.label },
      this.head, h("div", { class: "middle" }, this.log, this.toasts), this.chips,
      h("div", { class: "foot" }, this.bar, this.form));
    this.drawChips();
  }

  open(id) {
    let room = state.rooms.get(id);
    if (room?.private_of && room.private_of !== me) room = null;
    this.room = room ? id : this.group;
    if (!state.rooms.get(this.room)?.private_of) this.group = this.room;
    else this.waiting = false;
    this.setMode(null);
    this.drawHead();
    this.log.replaceChildren(this.nobody());
    const here = [...state.messages.values()].filter((message) => message.room === this.room);
    const before = fresh;
    fresh = true;
    for (const message of here.sort((a, b) => order(a.id) - order(b.id))) this.put(message);
    fresh = before;
    this.log.scrollTop = this.log.scrollHeight;
  }

  nobody() {
    return h("p", { class: "nobody" }, say("nothing_yet"));
  }

  notice(room) {
    if (this.room === room.id) return;
    this.waiting = true;
    this.drawHead();
  }

  drawHead() {
    const room = state.rooms.get(this.room);
    if (!room) return;
    const isPrivate = Boolean(room.private_of);
    const rooms = [...state.rooms.values()].filter((one) => one.look === this.look.name && !one.private_of);
    const title = isPrivate ? "Stormo" : room.title.replace(/^#(?=\w+$)/, this.look.name === "discord" ? "" : "#");
    const picture = isPrivate ? avatar(bot.id, bot.name)
      : h("span", { class: "room-picture", "aria-hidden": "true" }, this.look.name === "discord" ? "#" : [...title.replace(/^#/, "")][0].toUpperCase());
    const names = isPrivate || rooms.length < 2 ? h("h2", {}, title)
      : h("select", { "aria-label": say("room"), onchange: (event) => this.open(event.target.value) },
        rooms.map((one) => h("option", { value: one.id, selected: one.id === this.room }, one.title)));
    const below = isPrivate ? say("bot") : say("members", String(state.people.size));
    this.head.replaceChildren(picture,
      h("div", { class: "names" }, names, h("p", {}, below)),
      h("span", { class: "platform" }, this.look.label),
      h("button", {
        class: `door${this.waiting ? " waiting" : ""}`, "aria-pressed": String(isPrivate),
        title: isPrivate ? say("group") : say("private"), "aria-label": isPrivate ? say("group") : say("private"),
        onclick: () => (isPrivate ? this.open(this.group) : this.openPrivate()),
      }, icon(isPrivate ? "back" : "lock"), h("span", {}, isPrivate ? say("group_short") : say("private_short"))));
    this.node.classList.toggle("is-private", isPrivate);
    const hint = say("write", isPrivate ? "Stormo" : room.title);
    this.box.placeholder = hint;
    this.box.setAttribute("aria-label", hint);
  }

  async openPrivate() {
    const done = await act({ do: "private", look: this.look.name });
    if (done.room) { this.open(done.room); this.box.focus(); }
  }

  // -- messages

  put(message) {
    if (message.room !== this.room || (message.only_for && message.only_for !== me)) return;
    const old = this.log.querySelector(`[data-id="${CSS.escape(message.id)}"]`);
    if (message.deleted) { old?.remove(); this.regroup(); return; }
    if (message.kind === "toast") { if (!fresh) this.toast(message); return; }
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 80;
    const held = old?.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    const node = this.draw(message);
    if (old) {
      const before = old.querySelector(".footer")?.textContent, now = node.querySelector(".footer")?.textContent;
      if (!fresh && before !== now) node.querySelector(".footer")?.classList.add("moved");
      old.replaceWith(node);
      if (held) node.querySelector(`[data-act="${held}"]`)?.focus();
    } else {
      this.log.querySelector(".nobody")?.remove();
      if (!fresh) node.classList.add("new");
      this.log.append(node);
    }
    this.regroup();
    if (atEnd || (!old && message.by === me)) this.log.scrollTop = this.log.scrollHeight;
  }

  regroup() {
    let last = null;
    for (const node of this.log.querySelectorAll(".message")) {
      const same = last?.dataset.by === node.dataset.by && !node.dataset.apart && !last.dataset.apart;
      node.classList.toggle("follows", same);
      last = node;
    }
    if (!last && !this.log.querySelector(".nobody")) this.log.append(this.nobody());
  }

  draw(message) {
    const mine = message.by === me, said = message.said, ours = message.by === bot.id;
    const replied = message.reply_to && state.messages.get(message.reply_to);
    const head = h("div", { class: "by" }, h("span", { class: `name hue${hue(message.by)}` }, message.name),
      ours ? h("span", { class: "badge" }, say(this.look.name === "discord" ? "app" : "bot")) : null,
      message.pinned ? h("span", { class: "pinned" }, icon("pin"), say("pinned")) : null,
      h("time", { datetime: message.at }, clock.format(new Date(message.at))));
    const words = h("div", { class: said.frame ? "frame" : "words" },
      said.author ? h("p", { class: "author" }, said.link ? h("a", { href: said.link, target: "_blank", rel: "noopener noreferrer nofollow" }, said.author) : said.author) : null,
      h("div", { class: "text" }, fragment(said.html)),
      this.drawAttached(said.files || []),
      said.command ? h("p", { class: "command" }, h("code", {}, said.command)) : null,
      said.footer ? h("p", { class: "footer" }, said.footer) : null);
    const inside = h("div", { class: "bubble" },
      replied && !replied.deleted ? h("p", { class: "quoted" }, h("b", {}, replied.said.author || replied.name), " ", replied.said.text.slice(0, 80)) : null,
      head, words,
      message.edited && !ours ? h("span", { class: "edited" }, `(${say("edited")})`) : null,
      this.drawReactions(message),
      message.only_for ? this.drawOnlyYou(message) : null,
      h("time", { class: "late", datetime: message.at }, message.edited && !ours ? `${say("edited")} ` : "", clock.format(new Date(message.at))));
    return h("article", {
      class: `message ${mine ? "mine" : ""} ${ours ? "ours" : ""} ${message.only_for ? "ephemeral" : ""} voice-${said.voice}`,
      "data-id": message.id, "data-by": message.by, "data-apart": replied || message.only_for || message.pinned ? "yes" : null, tabindex: "0",
    }, avatar(message.by, message.name), h("div", { class: "body" }, inside, this.drawButtons(message)), this.drawTools(message));
  }

  drawAttached(files) {
    if (!files.length) return null;
    return h("div", { class: "files" }, files.map((file) => {
      const href = `file/${file.id}`;
      if (!file.mime.startsWith("image/")) return h("a", { class: "file", href, download: file.name }, icon("attach"), file.name);
      const picture = h("img", { src: href, alt: file.alt, title: file.alt || file.name, loading: "lazy" });
      return file.spoiler ? h("span", { class: "spoiler", role: "button", tabindex: "0" }, picture)
        : h("a", { href, target: "_blank", rel: "noopener" }, picture);
    }));
  }

  drawButtons(message) {
    if (!message.said.buttons.length) return null;
    return h("div", { class: "buttons" }, message.said.buttons.map((button) => (button.url
      ? h("a", { class: "button", href: button.url, target: "_blank", rel: "noopener noreferrer nofollow" }, button.label)
      : h("button", { class: "button", "data-act": `press ${button.data || button.private}`, onclick: () => this.press(message, button) }, button.label))));
  }

  async press(message, button) {
    await act({ do: "press", message: message.id, data: button.data || button.private });
    if (button.private && this.look.name === "telegram") this.open(`telegram-private-${me}`);
  }

  drawReactions(message) {
    const list = Object.entries(message.reactions);
    if (!list.length) return null;
    return h("div", { class: "reactions" }, list.map(([emoji, who]) => {
      const names = who.map(nameOf).join(", "), on = who.includes(me);
      return h("button", {
        class: "reaction", "aria-pressed": String(on), title: names, "data-act": `reaction ${emoji}`,
        "aria-label": `${emoji} ${who.length}: ${say("reactions", names)}`,
        onclick: () => act({ do: "react", message: message.id, emoji, on: !on }),
      }, h("span", { class: "emoji" }, drawn(emoji)), h("span", { class: "count" }, String(who.length)));
    }));
  }

  drawOnlyYou(message) {
    return h("p", { class: "only-you" }, icon("eye"), h("span", {}, say("only_you")), " · ",
      h("button", { class: "dismiss", onclick: () => act({ do: "delete", message: message.id }) }, say("dismiss")));
  }

  drawTools(message) {
    if (message.only_for) return null;
    const mine = message.by === me, admin = state.rooms.get(message.room)?.admins.includes(me);
    const tool = (name, label, run) => h("button", { class: "tool", "aria-label": label, title: label, "data-act": name, onclick: run }, icon(name));
    return h("div", { class: "tools", role: "group" },
      EMOJI.map((emoji) => h("button", {
        class: "tool emoji", "aria-label": say("react", emoji), title: say("react", emoji), "data-act": emoji,
        onclick: () => act({ do: "react", message: message.id, emoji, on: !(message.reactions[emoji] || []).includes(me) }),
      }, drawn(emoji))),
      tool("reply", say("reply"), () => this.setMode({ reply: message })),
      mine ? tool("edit", say("edit"), () => this.setMode({ edit: message })) : null,
      mine || admin ? tool("delete", say("delete"), () => act({ do: "delete", message: message.id })) : null);
  }

  toast(message) {
    const node = h("div", { class: "toast", "data-id": message.id }, fragment(message.said.html));
    this.toasts.append(node);
    setTimeout(() => node.remove(), TOAST_MS);
  }

  // -- writing

  async attach() {
    for (const file of this.picker.files) {
      const answer = await fetch(`file?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file }).catch(() => null);
      if (answer?.ok) this.files.push(await answer.json());
      else warn(say("failed"));
    }
    this.picker.value = "";
    this.drawFiles();
    this.box.focus();
  }

  drawFiles() {
    this.bar.hidden = !this.mode && !this.files.length;
    if (this.mode || !this.files.length) return;
    this.bar.replaceChildren(icon("attach"), h("span", {}, this.files.map((file) => file.name).join(", ")),
      h("button", { type: "button", "aria-label": say("cancel"), title: say("cancel"), onclick: () => { this.files = []; this.drawFiles(); } }, icon("close")));
  }

  setMode(mode) {
    this.mode = mode;
    this.drawFiles();
    this.sendButton.title = mode?.edit ? say("save") : say("send");
    this.sendButton.setAttribute("aria-label", this.sendButton.title);
    if (!mode) return;
    const text = mode.edit ? say("editing") : say("replying", mode.reply.said.author || mode.reply.name);
    this.bar.replaceChildren(icon(mode.edit ? "edit" : "reply"), h("span", {}, text),
      h("button", { type: "button", "aria-label": say("cancel"), title: say("cancel"), onclick: () => this.leaveMode() }, icon("close")));
    if (mode.edit) this.fill(mode.edit.source);
    this.box.focus();
  }

  leaveMode() {
    if (this.mode?.edit) this.fill("");
    this.setMode(null);
    this.box.focus();
  }

  fill(text) {
    this.box.value = text;
    this.typed();
  }

  typed() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, 160)}px`;
    this.drawChips();
  }

  drawChips() {
    const prefix = this.look.prefix, text = this.box.value, started = text.match(/^([/!])([a-z]*)$/);
    const meant = started && started[1] === prefix
      ? facts.commands.filter((command) => command.name.startsWith(started[2]))
      : facts.commands.filter((command) => command.first);
    this.chips.replaceChildren(...(text && !started ? [] : meant).map((command) => h("button", {
      class: "chip", title: command.help, "data-command": command.name, onclick: () => this.suggest(command),
    }, prefix + command.name)));
  }

  suggest(command) {
    const typed = command.bare ? command.name : command.example;
    this.fill(this.look.prefix + typed);
    this.box.focus();
    const from = command.bare || !typed.includes(" ") ? this.box.value.length : this.box.value.indexOf(" ") + 1;
    this.box.setSelectionRange(from, this.box.value.length);
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.send();
    } else if (event.key === "Escape" && this.mode) this.leaveMode();
    else if (event.key === "ArrowUp" && !this.box.value) {
      const own = [...this.log.querySelectorAll(".message.mine")].pop();
      if (own) { event.preventDefault(); this.setMode({ edit: state.messages.get(own.dataset.id) }); }
    }
  }

  async send() {
    const text = this.box.value.trim(), mode = this.mode;
    if (!text && !this.files.length) return;
    const done = await act(mode?.edit ? { do: "edit", message: mode.edit.id, text }
      : { do: "send", room: this.room, text, reply_to: mode?.reply?.id, files: this.files });
    if (done.error || this.box.value.trim() !== text) return;
    if (!mode?.edit) this.files = [];
    this.fill("");
    this.setMode(null);
  }
}

// -- the page ---------------------------------------------------------------------------------------------------

function showColumn(name) {
  for (const column of columns.values()) column.node.classList.toggle("active", column.look.name === name);
  for (const tab of byId("tabs").children) tab.setAttribute("aria-pressed", String(tab.dataset.look === name));
  const log = columns.get(name).log;
  log.scrollTop = log.scrollHeight;
}

function build() {
  for (const look of facts.looks) {
    const column = new Column(look);
    columns.set(look.name, column);
    byId("columns").append(column.node);
    byId("tabs").append(h("button", { "data-look": look.name, class: look.name, onclick: () => showColumn(look.name) }, look.label));
  }
  showColumn(facts.looks[0].name);
  byId("admin").addEventListener("change", async (event) => { await act({ do: "admin", on: event.target.checked }); drawAdmin(); });
  byId("newcomer").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = event.target.elements.name;
    const done = await act({ do: "person", name: field.value });
    if (done.person) { field.value = ""; become(done.person); }
  });
  byId("stage").addEventListener("click", async (event) => {
    event.target.disabled = true;
    event.target.textContent = say("stage_busy");
    await act({ do: "stage" });
    event.target.disabled = false;
    event.target.textContent = say("stage");
  });
  byId("hints").hidden = localStorage.getItem("stormo.hints") === "hidden";
  byId("hide-hints").addEventListener("click", () => {
    byId("hints").hidden = true;
    localStorage.setItem("stormo.hints", "hidden");
  });
  document.addEventListener("click", (event) => event.target.closest?.(".spoiler")?.classList.toggle("open"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches?.(".spoiler")) event.target.classList.toggle("open");
  });
  connect();
}

build();
