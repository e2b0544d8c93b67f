// The annotator: one picture, one key.

const CAUSE_KEYS = {
  t: ["occluded_tissue", "tissue"],
  o: ["occluded_tool", "other tool"],
  s: ["self_occluded", "own jaw or shaft"],
  e: ["out_of_view", "edge of view"],
  b: ["blur", "blur"],
  c: ["contrast", "contrast"],
  u: ["unrecognisable", "unrecognisable"],
};
const LABEL_KEYS = { v: ["visible", "none"], i: ["invisible", ""], a: ["absent", "no_clipper"] };
const VERDICT_KEYS = { k: "keep", r: "change", q: "cannot tell" };
const MOVES = { ArrowRight: 1, ArrowLeft: -1 };
const HELP = {
  label: [
    ["v", "visible: both tips are seen"],
    ["i", "invisible, no cause given"],
    ...Object.entries(CAUSE_KEYS).map(([key, [, words]]) => [key, "invisible: " + words]),
    ["a", "absent: no clip applier"],
    ["1 2 3", "confidence: toss-up, probable, clear (before the label)"],
  ],
  audit: [["k", "keep the label"], ["r", "change it"], ["q", "cannot tell"]],
  every: [
    ["← →", "one picture back, on (with Shift: ten)"],
    ["Home End", "first, last picture"],
    ["n", "next picture without a label"],
    ["z", "undo the last label, also of earlier sessions"],
    ["f", "flag the picture"],
    ["wheel + −", "zoom to 8 times; drag to move"],
    ["0", "whole picture"],
    ["p", "native pixels"],
    ["x", "stretch contrast"],
    ["g", "guideline"],
    ["Enter", "close the pass"],
    ["?", "these keys"],
    ["Shift Esc", "leave: keys go to the notebook again"],
  ],
};

class Annotator {
  constructor(model, el) {
    this.build(el);
    this.pictures = new Pictures(() => this.paint());
    this.screen = new Screen(this.canvas);
    this.state = null;
    this.place = 0;
    this.painted = -1;
    this.pressed = 0; // when the key came that led here
    this.unsaved = null;
    this.waiting = []; // keys that came before the last label was on the disk
    this.confidence = "";
    this.number = 0;
    this.link = new Link(model, (message, buffers) => this.take(message, buffers));
    keepKeys(this.root, (event) => this.key(event));
    this.timer = setInterval(() => this.watch(), 500);
  }

  build(el) {
    this.root = make("div", "can-root", el);
    this.head = make("div", "can-head", this.root);
    for (const name of ["who", "done", "where", "mark"])
      this[name] = make("span", "can-" + name, this.head);
    this.note = make("div", "can-note", this.root);
    const stage = make("div", "can-stage", this.root);
    this.canvas = make("canvas", "can-canvas", stage);
    this.veil = make("div", "can-veil", stage);
    this.unfocused = make("div", "can-unfocused", stage, "Click here to label with the keyboard");
    this.overlay = make("div", "can-overlay", stage);
    this.strip = make("canvas", "can-strip", this.root);
    this.banner = make("div", "can-banner", this.root);
    this.buttons = make("div", "can-buttons", this.root);
    this.strip.addEventListener("pointerdown", (event) => {
      if (!this.state) return;
      const share = event.offsetX / this.strip.clientWidth;
      this.go(Math.floor(share * this.count), event.timeStamp);
    });
    this.overlay.addEventListener("pointerdown", (event) => {
      if (event.target === this.overlay && this.state && !this.closedFor) this.hide();
    });
  }

  get count() {
    return this.state?.frames.length ?? 0;
  }

  // Messages of the kernel.
  take(message, buffers) {
    if (message.type === "state") this.begin(message);
    else if (message.type === "picture") this.pictures.add(message.place, buffers[0]);
    else if (message.type === "unreadable") this.pictures.fail(message.place, message.text);
    else if (message.type === "saved") this.saved(message);
    else if (message.type === "failed") this.failed(message);
    else if (message.type === "elsewhere") this.elsewhere();
    else if (message.type === "guideline") this.guideline(message, buffers);
    else if (message.type === "closed") this.closed(message);
  }

  begin(state) {
    this.state = state;
    this.marks = new Map(state.marks.map(([place, ...mark]) => [place, mark]));
    this.flags = new Set(state.flags);
    this.unsaved = null;
    this.waiting = [];
    this.who.textContent = `${state.annotator} · ${state.task}`;
    this.who.title = `order: ${state.order}`;
    this.fillButtons();
    this.warn(state.problems.length ? "Left out:\n" + state.problems.join("\n") : "");
    if (state.closed) return this.closed({ lines: state.closed });
    this.hide();
    this.pictures.move(state.position);
    this.go(state.position, 0);
    this.root.focus({ preventScroll: true });
    // After "Run All" the notebook shows its end: what takes the keys must be seen.
    setTimeout(() => this.root.scrollIntoView({ block: "nearest" }), 500);
  }

  fillButtons() {
    this.buttons.replaceChildren();
    const keys =
      this.state.task === "audit"
        ? Object.entries(VERDICT_KEYS)
        : [
            ...Object.entries(LABEL_KEYS).map(([key, [label]]) => [key, label]),
            ...Object.entries(CAUSE_KEYS).map(([key, [, words]]) => [key, words]),
          ];
    const more = [["n", "next"], ["z", "undo"], ["f", "flag"], ["g", "guideline"], ["?", "keys"]];
    for (const [key, words] of [...keys, null, ...more].map((pair) => pair ?? ["", ""])) {
      if (!key) {
        make("span", "can-gap", this.buttons);
        continue;
      }
      const button = make("button", "can-button can-key-" + key.replace("?", "help"), this.buttons);
      button.tabIndex = -1;
      make("kbd", "", button, key);
      button.append(" " + words);
      button.addEventListener("pointerdown", (event) => event.preventDefault());
      button.addEventListener("click", (event) => {
        this.root.focus({ preventScroll: true });
        this.key({ key, timeStamp: event.timeStamp });
      });
    }
  }

  key(event) {
    if (!this.state) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (this.overlay.classList.contains("can-shown")) return this.overlayKey(key);
    if (key in MOVES) {
      // A held key waits for each picture: none is passed over unseen.
      if (event.repeat && this.painted !== this.place) return;
      return this.go(this.place + MOVES[key] * (event.shiftKey ? 10 : 1), event.timeStamp);
    }
    if (key === "+") return this.screen.zoomTo(this.screen.zoom * 1.5);
    if (key === "-") return this.screen.zoomTo(this.screen.zoom / 1.5);
    if (event.repeat) return;
    if (key === "Home") this.go(0, event.timeStamp);
    else if (key === "End") this.go(this.count - 1, event.timeStamp);
    else if (key === "0") this.screen.zoomTo(1);
    else if (key === "p") this.screen.native();
    else if (key === "x") this.stretch();
    else if (key === "g") this.link.send({ type: "guideline" });
    else if (key === "?") this.help();
    else if (key === "n") this.nextUnlabelled(event.timeStamp);
    else if (!this.closedFor) this.change(key, event.timeStamp);
  }

  // Keys that change something: one at a time, each on the disk before the next.
  change(key, time) {
    if (this.unsaved) {
      if (this.waiting.length < 4) this.waiting.push([key, time, this.place]);
      return;
    }
    const audit = this.state.task === "audit";
    if (key === "z") this.ask({ type: "undo" });
    else if (key === "Enter") this.confirmClosing();
    else if (key === "f") this.ask({ type: "flag", place: this.place });
    else if (audit && key in VERDICT_KEYS) this.label(VERDICT_KEYS[key], "", time);
    else if (audit) return;
    else if ("123".includes(key)) this.setConfidence(key);
    else if (key in LABEL_KEYS) this.label(...LABEL_KEYS[key], time);
    else if (key in CAUSE_KEYS) this.label("invisible", CAUSE_KEYS[key][0], time);
  }

  setConfidence(key) {
    const mark = this.marks.get(this.place);
    if (mark && this.painted === this.place) {
      const [label, cause] = mark;
      return this.ask({ type: "label", place: this.place, label, cause, confidence: key, seconds: 0 });
    }
    this.confidence = this.confidence === key ? "" : key;
    this.describe();
  }

  label(label, cause, time) {
    // Nothing is judged unseen.
    if (this.painted !== this.place) return this.flash("The picture was not there yet.");
    const place = this.place;
    const seconds = Math.max(0, (performance.now() - this.since) / 1000);
    this.marks.set(place, [label, cause, this.confidence]);
    this.ask({ type: "label", place, label, cause, confidence: this.confidence, seconds });
    this.confidence = "";
    if (place + 1 < this.count) this.go(place + 1, time);
    else this.describe();
  }

  ask(message) {
    this.number += 1;
    this.unsaved = { number: this.number, since: performance.now(), place: this.place };
    this.link.send({ ...message, number: this.number });
    this.settle();
  }

  // Whether the picture of this place is shown and nothing waits for the disk (tests look at it).
  settle() {
    this.root.dataset.settled = this.painted === this.place && !this.unsaved;
  }

  saved(message) {
    if (message.number !== this.unsaved?.number) return;
    this.unsaved = null;
    if (message.place !== null) {
      if (message.mark) this.marks.set(message.place, message.mark);
      else this.marks.delete(message.place);
      (message.flagged ? this.flags.add : this.flags.delete).call(this.flags, message.place);
    }
    if (message.go !== null) this.go(message.go, performance.now());
    this.warn("");
    this.describe();
    if (this.count === this.marks.size && message.mark) this.confirmClosing();
    const next = this.waiting.shift();
    // A key that was meant for another picture is not played back.
    if (next && next[2] === this.place) this.change(next[0], next[1]);
    else this.waiting = [];
  }

  failed(message) {
    if (message.number !== this.unsaved?.number) return;
    this.unsaved = null;
    this.waiting = [];
    if (message.place !== null) {
      if (message.mark) this.marks.set(message.place, message.mark);
      else this.marks.delete(message.place);
      this.go(message.place, performance.now());
    }
    this.warn("NOT SAVED: " + message.text);
    this.describe();
  }

  go(place, time) {
    place = Math.max(0, Math.min(this.count - 1, place));
    const moved = place !== this.place || this.painted === -1;
    this.place = place;
    if (moved) {
      this.confidence = "";
      this.painted = -1;
      this.pressed = time;
      this.pictures.move(place);
      this.link.send({ type: "at", place });
      this.paint();
    }
    this.describe();
  }

  nextUnlabelled(time) {
    for (let step = 1; step <= this.count; step++) {
      const place = (this.place + step) % this.count;
      if (!this.marks.has(place)) return this.go(place, time);
    }
    this.flash(`Every picture has a ${this.state.words[0]}.`);
  }

  paint() {
    if (!this.state || this.painted === this.place || this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      const bitmap = this.pictures.get(this.place);
      const reason = this.pictures.failed.get(this.place);
      this.veil.textContent = bitmap ? "" : reason ? "This picture cannot be shown.\n" + reason : "";
      this.canvas.classList.toggle("can-old", !bitmap);
      this.veil.classList.toggle("can-shown", Boolean(!bitmap && reason));
      if (!bitmap) return;
      this.screen.show(bitmap);
      this.painted = this.place;
      this.since = performance.now();
      const detail = { place: this.place, key: this.pressed, painted: this.since };
      this.settle();
      this.root.dispatchEvent(new CustomEvent("painted", { detail, bubbles: true }));
    });
  }

  describe() {
    if (!this.state) return;
    const [video, frame] = this.state.frames[this.place];
    const { id, fps } = this.state.videos[video];
    const [word, done] = this.state.words;
    this.done.textContent = `${this.marks.size} of ${this.count} ${done}`;
    this.where.textContent = `${id} · ${clock(frame / fps)} · frame ${frame}`;
    this.note.textContent = this.state.notes[this.place] ?? "";
    const mark = this.marks.get(this.place);
    const words = mark
      ? mark[0] + (mark[1] && !["none", "no_clipper"].includes(mark[1]) ? ` (${mark[1]})` : "")
      : `no ${word}`;
    const confidence = mark?.[2] || this.confidence;
    const flag = this.flags.has(this.place) ? " ⚑" : "";
    this.mark.textContent = words + (confidence ? ` · confidence ${confidence}` : "") + flag;
    this.mark.dataset.label = mark?.[0] ?? "";
    this.drawStrip();
    this.settle();
  }

  // The pass as a line: what is labelled, flagged, and where one is.
  drawStrip() {
    const width = (this.strip.width = this.strip.clientWidth || 600);
    const height = (this.strip.height = 14);
    const context = this.strip.getContext("2d");
    const cell = width / this.count;
    context.fillStyle = "#444";
    context.fillRect(0, 4, width, 6);
    context.fillStyle = "#7fb3ff";
    for (const place of this.marks.keys())
      context.fillRect(place * cell, 4, Math.max(1, cell), 6);
    context.fillStyle = "#ffc857";
    for (const place of this.flags) context.fillRect(place * cell, 0, Math.max(2, cell), 4);
    context.fillStyle = "#fff";
    context.fillRect(Math.min(width - 3, (this.place + 0.5) * cell - 1), 0, 3, height);
  }

  stretch() {
    this.screen.stretched = !this.screen.stretched;
    this.screen.draw();
    this.flash(this.screen.stretched ? "contrast stretched" : "contrast as recorded");
  }

  // The kernel's silence, and labels that wait for the disk.
  watch() {
    if (!this.state || !this.root.isConnected) return;
    const waits = this.unsaved && performance.now() - this.unsaved.since > 1500;
    if (waits)
      this.warn("The kernel does not answer: the last label is NOT SAVED. Nothing more is taken until it is.");
    else if (this.link.silence > 4)
      this.warn("The kernel is busy or gone. If it was restarted, run the cell again.");
    else if (this.banner.textContent.startsWith("The kernel")) this.warn("");
  }

  warn(text) {
    this.banner.textContent = text;
    this.banner.classList.toggle("can-shown", Boolean(text));
  }
  flash(text) {
    this.warn(text);
    clearTimeout(this.flashing);
    this.flashing = setTimeout(() => this.banner.textContent === text && this.warn(""), 1500);
  }

  // Overlays.
  show(...content) {
    this.overlay.replaceChildren(...content);
    this.overlay.classList.add("can-shown");
  }
  hide() {
    this.overlay.classList.remove("can-shown");
    this.overlay.replaceChildren();
    this.confirming = false;
  }
  overlayKey(key) {
    if (this.closedFor) return;
    if (key === "Enter" && this.confirming) {
      this.hide();
      return this.ask({ type: "close" });
    }
    if (["Escape", "?", "g", "Enter", " "].includes(key)) this.hide();
  }
  help() {
    const box = make("div", "can-box");
    make("h3", "", box, "Keys");
    const list = make("dl", "can-keys", box);
    const own = this.state.task === "audit" ? HELP.audit : HELP.label;
    for (const [key, words] of [...own, ...HELP.every]) {
      make("dt", "", list, key);
      make("dd", "", list, words);
    }
    make("p", "can-small", box, "Esc closes this.");
    this.show(box);
  }
  guideline(message, buffers) {
    const box = make("div", "can-box");
    make("div", "can-guideline", box).innerHTML = message.html; // the package's own file
    const grid = make("div", "can-examples", box);
    message.examples.forEach((words, index) => {
      const figure = make("figure", "", grid);
      const url = URL.createObjectURL(new Blob([buffers[index]], { type: "image/jpeg" }));
      const picture = make("img", "", figure);
      picture.onload = () => URL.revokeObjectURL(url);
      picture.src = url;
      make("figcaption", "", figure, words);
    });
    make("p", "can-small", box, "Esc closes this.");
    this.show(box);
  }
  confirmClosing() {
    const left = this.count - this.marks.size;
    const [word, done, table] = this.state.words;
    const box = make("div", "can-box can-question");
    make("h3", "", box, left ? `${left} pictures have no ${word}` : `Every picture has a ${word}`);
    make("p", "", box, `Closing the pass writes ${table}. From then on its ${word}s stay as they are.`);
    if (left) make("p", "", box, `What is left can be ${done} in a next pass.`);
    make("p", "", box, "Enter: close the pass. Esc: go on.");
    this.show(box);
    this.confirming = true;
  }
  closed(message) {
    this.unsaved = null;
    this.closedFor = true;
    const box = make("div", "can-box");
    make("h3", "", box, "This pass is closed");
    for (const line of message.lines) make("p", "", box, line);
    this.show(box);
    this.warn(message.problem ?? "");
  }
  elsewhere() {
    this.state = null;
    const box = make("div", "can-box can-question");
    make("h3", "", box, "This pass is open in another tab");
    make("p", "", box, "Close it there: this one goes on by itself some seconds later.");
    this.show(box);
  }

  close() {
    clearInterval(this.timer);
    this.link.close();
    this.pictures.close();
    this.screen.close();
  }
}

export default {
  render({ model, el }) {
    const annotator = new Annotator(model, el);
    return () => annotator.close();
  },
};
