// The review: a video, its score over time, and what live would have shown.

const COLOURS = {
  labels: ["#0072b2", "#d55e00", "#6b7480"],
  states: ["#6b7480", "#0072b2", "#d55e00", "#c9a400"],
};
const SPEEDS = [0.25, 0.5, 1, 2, 4];
const JUMPS = { a: "alarm", m: "miss", f: "false alarm", l: "label change" };
const SCORE = [6, 96]; // the curve's rows, then the strips
const STRIPS = { label: 104, alarm: 124, phases: 144 };
const HEIGHT = 178;
const LEFT = 52;
const REVIEW_HELP = [
  ["← →", "one frame (with Shift: ten)"],
  ["Home End", "first, last frame"],
  ["space", "play, stop"],
  ["< >", "slower, faster: a quarter to four times"],
  ["a", "next alarm (with Shift: the one before)"],
  ["m", "next miss: invisible, and no warning"],
  ["f", "next false alarm"],
  ["l", "next label change"],
  ["t", "back to the frozen threshold"],
  ["click", "go there; wheel on the curve: zoom in time"],
  ["drag the line", "try another threshold (exploratory)"],
  ["wheel + − 0", "zoom the picture"],
  ["p x", "native pixels, stretch contrast"],
  ["Shift Esc", "leave: keys go to the notebook again"],
];

class Review {
  constructor(model, el) {
    this.root = make("div", "can-root", el);
    const head = make("div", "can-head", this.root);
    this.where = make("span", "can-where", head);
    this.says = make("span", "can-done", head);
    this.mark = make("span", "can-mark", head);
    const stage = make("div", "can-stage", this.root);
    this.canvas = make("canvas", "can-canvas can-review", stage);
    this.veil = make("div", "can-veil", stage);
    make("div", "can-unfocused", stage, "Click here to use the keyboard");
    this.overlay = make("div", "can-overlay", stage);
    this.chart = make("canvas", "can-chart", this.root);
    this.foot = make("div", "can-head can-foot", this.root);
    this.threshold = make("span", "", this.foot);
    this.rates = make("span", "", this.foot);
    this.hint = make("span", "can-done can-right", this.foot, "space play · a m f l jump · ? keys");
    this.pictures = new Pictures(() => this.paint());
    this.screen = new Screen(this.canvas);
    this.place = 0;
    this.painted = -1;
    this.speed = 1;
    this.overlay.addEventListener("pointerdown", () => this.overlay.classList.remove("can-shown"));
    this.chart.addEventListener("pointerdown", (event) => this.press(event));
    this.chart.addEventListener("wheel", (event) => this.zoomTime(event), { passive: false });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.chart);
    this.link = new Link(model, (message, buffers) => this.take(message, buffers));
    keepKeys(this.root, (event) => this.key(event));
  }

  take(message, buffers) {
    if (message.type === "state") this.begin(message);
    else if (message.type === "curve") this.curve(message, buffers);
    else if (message.type === "picture") this.pictures.add(message.place, buffers[0]);
    else if (message.type === "unreadable") this.pictures.fail(message.place, message.text);
    else if (message.type === "elsewhere") {
      this.veil.textContent = "This review is open in another tab.";
      this.veil.classList.add("can-shown");
    }
  }

  begin(state) {
    this.state = state;
    this.view = [0, state.places];
    this.link.send({ type: "curve" });
    this.go(this.place, 0);
  }

  curve(message, buffers) {
    const bytes = buffers.map((view) => view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    this.frames = new Int32Array(bytes[0]);
    this.scores = new Float32Array(bytes[1]);
    this.labels = new Uint8Array(bytes[2]);
    this.states = new Uint8Array(bytes[3]);
    this.places = this.state.frames ? this.frames.map((_, index) => index) : this.frames;
    this.judged = message;
    this.asked = false;
    if (this.wanted !== undefined) this.ask(this.wanted);
    const [threshold, hysteresis, seconds] = message.setting;
    this.threshold.textContent =
      `threshold ${threshold.toFixed(3)}, ends below ${(threshold - hysteresis).toFixed(3)}, ` +
      `${seconds} s · ` + (message.exploratory ? "EXPLORATORY, NOT FROZEN" : this.state.origin);
    this.threshold.classList.toggle("can-exploratory", message.exploratory);
    this.rates.textContent = message.rates;
    this.describe();
    this.draw();
  }

  key(event) {
    if (!this.state) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (this.overlay.classList.contains("can-shown")) return this.overlay.classList.remove("can-shown");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step) {
      this.stop();
      if (event.repeat && this.painted !== this.place) return;
      return this.go(this.place + step * (event.shiftKey ? 10 : 1), event.timeStamp);
    }
    if (key === "+") return this.screen.zoomTo(this.screen.zoom * 1.5);
    if (key === "-") return this.screen.zoomTo(this.screen.zoom / 1.5);
    if (event.repeat) return;
    if (key === "Home") this.go(0, event.timeStamp);
    else if (key === "End") this.go(this.state.places - 1, event.timeStamp);
    else if (key === " ") this.playing ? this.stop() : this.play();
    else if (key === "<" || key === ",") this.faster(-1);
    else if (key === ">" || key === ".") this.faster(1);
    else if (key in JUMPS) this.jump(JUMPS[key], event.shiftKey ? -1 : 1, event.timeStamp);
    else if (key === "t") this.link.send({ type: "frozen" });
    else if (key === "0") this.screen.zoomTo(1);
    else if (key === "p") this.screen.native();
    else if (key === "x") {
      this.screen.stretched = !this.screen.stretched;
      this.screen.draw();
    } else if (key === "?") this.help();
  }

  go(place, time) {
    this.place = Math.max(0, Math.min(this.state.places - 1, place));
    this.painted = -1;
    this.pressed = time;
    this.pictures.move(this.place);
    this.link.send({ type: "at", place: this.place });
    const [first, last] = this.view;
    if (this.place < first || this.place >= last) {
      const half = (last - first) / 2;
      this.look(this.place - half, this.place + half);
    }
    this.paint();
    this.describe();
    this.draw();
  }

  jump(name, direction, time) {
    this.stop();
    const moments = this.judged?.moments[name] ?? [];
    const places = moments.map((frame) => this.placeOf(frame));
    const found =
      direction > 0
        ? places.find((place) => place > this.place)
        : places.findLast((place) => place < this.place);
    if (found === undefined) this.says.textContent = `no ${name} ${direction > 0 ? "after" : "before"}`;
    else {
      this.go(found, time);
      this.says.textContent = name;
    }
  }

  placeOf(frame) {
    return this.state.frames ? this.state.frames.indexOf(frame) : frame;
  }

  paint() {
    if (!this.state || this.painted === this.place || this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      const bitmap = this.pictures.get(this.place);
      const reason = this.pictures.failed.get(this.place);
      this.veil.textContent = reason ?? "";
      this.veil.classList.toggle("can-shown", Boolean(!bitmap && reason));
      this.canvas.classList.toggle("can-old", !bitmap && !this.playing);
      if (!bitmap) return;
      this.screen.show(bitmap);
      this.painted = this.place;
      this.root.dataset.settled = true;
      const detail = { place: this.place, key: this.pressed, painted: performance.now() };
      this.root.dispatchEvent(new CustomEvent("painted", { detail, bubbles: true }));
    });
  }

  // Index of the last judged frame at or before a place, -1 where there is none.
  at(place) {
    let [low, high] = [0, this.places.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.places[middle] <= place) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  describe() {
    if (!this.state) return;
    const frame = this.state.frames?.[this.place] ?? this.place;
    const { video, fps } = this.state;
    const speed = this.playing ? ` · ${this.speed} times` : "";
    this.where.textContent = `${video} · ${clock(frame / fps)} · frame ${frame}${speed}`;
    const index = this.places ? this.at(this.place) : -1;
    if (index < 0) return;
    const label = this.state.labels[this.labels[index]];
    const state = this.state.states[this.states[index]];
    this.mark.textContent = `${state} · p(invisible) ${this.scores[index].toFixed(3)}` +
      (label ? ` · labelled ${label}` : "");
    this.mark.style.background = COLOURS.states[this.states[index]];
  }

  // The chart.
  x(place) {
    const [first, last] = this.view;
    return LEFT + ((place - first) / (last - first)) * (this.width - LEFT - 6);
  }
  placeAt(x) {
    const [first, last] = this.view;
    return Math.floor(first + ((x - LEFT) / (this.width - LEFT - 6)) * (last - first));
  }
  y(score) {
    return SCORE[1] - score * (SCORE[1] - SCORE[0]);
  }
  look(first, last) {
    const span = Math.min(this.state.places, Math.max(20, last - first));
    first = Math.max(0, Math.min(this.state.places - span, first));
    this.view = [first, first + span];
  }

  draw() {
    if (!this.judged) return;
    const begun = performance.now();
    const ratio = devicePixelRatio;
    this.width = this.chart.clientWidth;
    this.chart.width = this.width * ratio;
    this.chart.height = HEIGHT * ratio;
    const c = this.chart.getContext("2d");
    c.scale(ratio, ratio);
    c.font = "11px system-ui, sans-serif";
    this.drawStrips(c);
    this.drawScore(c);
    c.fillStyle = "#fff";
    c.fillRect(this.x(this.place + 0.5) - 0.75, 0, 1.5, HEIGHT - 16);
    const [first, last] = this.view;
    c.fillStyle = "#b9c0cb";
    c.fillText(clock(first / this.state.fps).slice(0, 8), LEFT, HEIGHT - 3);
    const end = clock(last / this.state.fps).slice(0, 8);
    c.fillText(end, this.width - 6 - c.measureText(end).width, HEIGHT - 3);
    this.root.dataset.drawn = performance.now() - begun; // milliseconds; tests look at it
  }

  drawScore(c) {
    const [threshold, hysteresis] = this.judged.setting;
    c.fillStyle = "#b9c0cb";
    c.fillText("p(inv.)", 2, SCORE[0] + 10);
    const begin = Math.max(0, this.at(this.view[0]));
    const end = Math.min(this.places.length, this.at(this.view[1]) + 2);
    // Of a pixel's frames the lowest and the highest: no peak is lost in an hour.
    c.strokeStyle = "#e4e7eb";
    c.lineWidth = 1;
    c.beginPath();
    let [column, low, high, previous] = [-1, 1, 0, null];
    const flush = () => {
      if (column < 0) return;
      if (previous === null) c.moveTo(column, this.y(high));
      else c.lineTo(column, this.y(high));
      if (high > low) c.lineTo(column, this.y(low));
      previous = column;
    };
    const narrow = end - begin < this.width;
    for (let i = begin; i < end; i++) {
      const exact = this.x(this.places[i] + 0.5);
      const x = narrow ? exact : Math.round(exact);
      if (x !== column) {
        flush();
        [column, low, high] = [x, this.scores[i], this.scores[i]];
      } else {
        low = Math.min(low, this.scores[i]);
        high = Math.max(high, this.scores[i]);
      }
    }
    flush();
    c.stroke();
    c.strokeStyle = this.judged.exploratory ? "#ffc857" : "#7fb3ff";
    for (const [level, dash] of [[threshold, []], [threshold - hysteresis, [4, 4]]]) {
      c.setLineDash(dash);
      c.beginPath();
      c.moveTo(LEFT, this.y(level));
      c.lineTo(this.width - 6, this.y(level));
      c.stroke();
    }
    c.setLineDash([]);
  }

  drawStrips(c) {
    for (const [name, y] of Object.entries(STRIPS)) {
      if (name === "phases" && !this.state.phases.length) continue;
      c.fillStyle = "#b9c0cb";
      c.fillText(name, 2, y + 11);
      c.fillStyle = "#2d3138";
      c.fillRect(LEFT, y, this.width - LEFT - 6, 14);
    }
    this.drawRuns(c, this.labels, COLOURS.labels, STRIPS.label);
    this.drawRuns(c, this.states, COLOURS.states, STRIPS.alarm);
    this.state.phases.forEach(([start, end, name], index) => {
      const [x0, x1] = [Math.max(LEFT, this.x(start)), Math.min(this.width - 6, this.x(end))];
      if (x1 <= x0) return;
      c.fillStyle = ["#3f5e4a", "#5e513f", "#4a3f5e", "#3f525e"][index % 4];
      c.fillRect(x0, STRIPS.phases, x1 - x0, 14);
      c.fillStyle = "#eee";
      if (c.measureText(name).width < x1 - x0 - 6) c.fillText(name, x0 + 3, STRIPS.phases + 11);
    });
  }

  // Runs of equal values; a frame stands until the next one, at most a second.
  drawRuns(c, values, colours, y) {
    const begin = Math.max(0, this.at(this.view[0]));
    const end = Math.min(values.length, this.at(this.view[1]) + 1);
    const longest = this.state.frames ? 1 : Math.ceil(this.state.fps);
    let start = begin;
    for (let i = begin; i < end; i++) {
      const next = i + 1 < values.length ? this.places[i + 1] : this.places[i] + 1;
      const breaks = next - this.places[i] > longest;
      if (i + 1 < end && values[i + 1] === values[i] && !breaks) continue;
      const last = Math.min(next, this.places[i] + longest);
      const [x0, x1] = [this.x(this.places[start]), this.x(last)];
      const colour = colours[values[i]];
      if (colour) {
        c.fillStyle = colour;
        c.fillRect(Math.max(LEFT, x0), y, Math.max(1, Math.min(x1, this.width - 6) - Math.max(LEFT, x0)), 14);
      }
      start = i + 1;
    }
  }

  press(event) {
    if (!this.judged) return;
    this.stop();
    this.chart.setPointerCapture(event.pointerId);
    const level = this.y(this.judged.setting[0]);
    const drags = Math.abs(event.offsetY - level) < 6;
    const move = (at) => {
      if (drags) this.ask(Math.min(1, Math.max(0.01, (SCORE[1] - at.offsetY) / (SCORE[1] - SCORE[0]))));
      else this.go(this.placeAt(at.offsetX), at.timeStamp);
    };
    if (!drags) move(event);
    this.chart.addEventListener("pointermove", move);
    const end = () => this.chart.removeEventListener("pointermove", move);
    this.chart.addEventListener("pointerup", end, { once: true });
    this.chart.addEventListener("pointercancel", end, { once: true });
  }

  // Ask for another threshold; while an answer is on its way only the newest wish is kept.
  ask(value) {
    if (this.asked) this.wanted = value;
    else {
      this.asked = true;
      this.wanted = undefined;
      this.link.send({ type: "threshold", value });
    }
  }

  zoomTime(event) {
    event.preventDefault();
    event.stopPropagation();
    const middle = this.placeAt(event.offsetX);
    const factor = Math.exp(event.deltaY / 300);
    const [first, last] = this.view;
    this.look(middle - (middle - first) * factor, middle + (last - middle) * factor);
    this.draw();
  }

  // Playing. A picture that is late slows the video down; none is passed over for it.
  play() {
    const begun = { place: this.place, time: performance.now(), speed: this.speed };
    this.playing = begun;
    const tick = () => {
      if (this.playing !== begun) return;
      const frames = ((performance.now() - begun.time) / 1000) * this.state.fps * begun.speed;
      const target = Math.min(begun.place + Math.floor(frames), this.state.places - 1);
      if (this.painted !== this.place) {
        begun.place = this.place;
        begun.time = performance.now();
      } else if (target > this.place) this.go(target, performance.now());
      if (this.place >= this.state.places - 1) return this.stop();
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }
  stop() {
    this.playing = null;
    this.describe();
  }
  faster(step) {
    const index = SPEEDS.indexOf(this.speed) + step;
    this.speed = SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, index))];
    this.says.textContent = `${this.speed} times`;
    if (this.playing) this.play();
  }

  help() {
    const box = make("div", "can-box");
    make("h3", "", box, "Keys");
    const list = make("dl", "can-keys", box);
    for (const [key, words] of REVIEW_HELP) {
      make("dt", "", list, key);
      make("dd", "", list, words);
    }
    this.overlay.replaceChildren(box);
    this.overlay.classList.add("can-shown");
  }

  close() {
    this.stop();
    this.observer.disconnect();
    this.link.close();
    this.pictures.close();
    this.screen.close();
  }
}

export default {
  render({ model, el }) {
    const review = new Review(model, el);
    return () => review.close();
  },
};
