// Shared by both widgets: pictures kept ready, a canvas with zoom, and keys that stay inside.

const KEPT = 24; // places on either side whose JPEGs are kept; the kernel counts on it too
const DECODED = 3; // places on either side that are decoded ahead

// JPEGs from the kernel, decoded before they are needed.
class Pictures {
  constructor(onReady) {
    this.jpegs = new Map();
    this.bitmaps = new Map();
    this.failed = new Map();
    this.place = 0;
    this.onReady = onReady;
  }
  move(place) {
    this.place = place;
    for (const key of [...this.jpegs.keys()])
      if (Math.abs(key - place) > KEPT) this.jpegs.delete(key);
    for (const [key, bitmap] of [...this.bitmaps])
      if (Math.abs(key - place) > DECODED) {
        bitmap?.close?.();
        this.bitmaps.delete(key);
      }
    for (let step = 0; step <= DECODED; step++)
      for (const near of [place + step, place - step]) this.decode(near);
  }
  add(place, jpeg) {
    if (Math.abs(place - this.place) > KEPT) return;
    this.failed.delete(place);
    this.jpegs.set(place, new Blob([jpeg], { type: "image/jpeg" }));
    if (Math.abs(place - this.place) <= DECODED) this.decode(place);
  }
  fail(place, reason) {
    this.failed.set(place, reason);
    if (place === this.place) this.onReady(place);
  }
  get(place) {
    return this.bitmaps.get(place) ?? null;
  }
  async decode(place) {
    const jpeg = this.jpegs.get(place);
    if (!jpeg || this.bitmaps.has(place)) return;
    this.bitmaps.set(place, null); // on its way
    try {
      const bitmap = await createImageBitmap(jpeg);
      if (Math.abs(place - this.place) > DECODED || !this.bitmaps.has(place)) {
        bitmap.close();
        this.bitmaps.delete(place);
        return;
      }
      this.bitmaps.set(place, bitmap);
    } catch (error) {
      this.bitmaps.delete(place);
      this.jpegs.delete(place);
      this.failed.set(place, "the browser cannot show this picture: " + error.message);
    }
    if (place === this.place) this.onReady(place);
  }
  close() {
    for (const bitmap of this.bitmaps.values()) bitmap?.close?.();
    this.bitmaps.clear();
    this.jpegs.clear();
  }
}

// A canvas that shows one picture: wheel zoom to 8 times, dragging, contrast.
class Screen {
  constructor(canvas) {
    this.canvas = canvas;
    this.bitmap = null;
    this.zoom = 1; // of the fitted picture
    this.centre = [0.5, 0.5]; // of the view, as a share of the picture
    this.stretched = false;
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.grab(event));
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(canvas);
  }
  show(bitmap) {
    if (this.bitmap?.width !== bitmap.width || this.bitmap?.height !== bitmap.height)
      this.canvas.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    this.bitmap = bitmap;
    this.draw();
  }
  // Pixels of the canvas for a pixel of the picture, and where the picture's corner lies.
  layout() {
    const { width, height } = this.canvas;
    const fit = Math.min(width / this.bitmap.width, height / this.bitmap.height);
    const scale = fit * this.zoom;
    const size = [this.bitmap.width * scale, this.bitmap.height * scale];
    const corner = [width, height].map((side, axis) => {
      if (size[axis] <= side) return (side - size[axis]) / 2;
      const wanted = side / 2 - this.centre[axis] * size[axis];
      return Math.min(0, Math.max(side - size[axis], wanted));
    });
    return { fit, scale, size, corner };
  }
  draw() {
    const { canvas, bitmap } = this;
    const width = Math.round(canvas.clientWidth * devicePixelRatio);
    const height = Math.round(canvas.clientHeight * devicePixelRatio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    if (!bitmap || !width || !height) return;
    const { scale, size, corner } = this.layout();
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = this.zoom === 1 || scale < 1.5; // zoomed in: pixels as they are
    context.drawImage(bitmap, corner[0], corner[1], size[0], size[1]);
    canvas.style.filter = this.stretched ? this.stretch() : "";
  }
  // A filter that takes the darkest 1 % to black and the brightest 1 % to white.
  stretch() {
    const small = new OffscreenCanvas(96, 54);
    const context = small.getContext("2d", { willReadFrequently: true });
    context.drawImage(this.bitmap, 0, 0, 96, 54);
    const bytes = context.getImageData(0, 0, 96, 54).data;
    const grey = [];
    for (let i = 0; i < bytes.length; i += 4)
      grey.push((bytes[i] + bytes[i + 1] + bytes[i + 2]) / 765);
    grey.sort((a, b) => a - b);
    // Never to the borders of endoscopic pictures, which are black: they hide how dark it is.
    const inside = grey.filter((value) => value > 0.04);
    const low = inside[Math.floor(inside.length * 0.01)] ?? 0;
    const high = Math.max(inside[Math.floor(inside.length * 0.99)] ?? 1, low + 0.05);
    const gain = 1 / (high - low);
    const contrast = 1 + (2 * low) / (high - low);
    return `brightness(${gain / contrast}) contrast(${contrast})`;
  }
  wheel(event) {
    event.preventDefault();
    event.stopPropagation();
    if (!this.bitmap) return;
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 300), this.under(event));
  }
  // Zoom so that `point`, a share of the picture, stays where it is.
  zoomTo(zoom, point = this.centre) {
    const before = this.zoom;
    this.zoom = Math.min(8, Math.max(1, zoom));
    const kept = before / this.zoom;
    this.centre = point.map((share, axis) => share + (this.centre[axis] - share) * kept);
    this.settle();
  }
  // One pixel of the picture on one of the screen.
  native() {
    if (this.bitmap) this.zoomTo(1 / this.layout().fit);
  }
  grab(event) {
    if (this.zoom === 1) return;
    this.canvas.setPointerCapture(event.pointerId);
    let [x, y] = [event.clientX, event.clientY];
    const drag = (move) => {
      const { size } = this.layout();
      this.centre[0] -= ((move.clientX - x) * devicePixelRatio) / size[0];
      this.centre[1] -= ((move.clientY - y) * devicePixelRatio) / size[1];
      [x, y] = [move.clientX, move.clientY];
      this.settle();
    };
    this.canvas.addEventListener("pointermove", drag);
    const end = () => this.canvas.removeEventListener("pointermove", drag);
    this.canvas.addEventListener("pointerup", end, { once: true });
    this.canvas.addEventListener("pointercancel", end, { once: true });
  }
  // Keep the view inside the picture.
  settle() {
    if (!this.bitmap) return;
    const { size } = this.layout();
    const sides = [this.canvas.width, this.canvas.height];
    this.centre = this.centre.map((share, axis) => {
      const half = Math.min(0.5, sides[axis] / 2 / size[axis]);
      return Math.min(1 - half, Math.max(half, share));
    });
    this.draw();
  }
  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const { size, corner } = this.layout();
    const at = [event.clientX - box.left, event.clientY - box.top];
    return at.map((value, axis) => (value * devicePixelRatio - corner[axis]) / size[axis]);
  }
  close() {
    this.observer.disconnect();
  }
}

// Give keys to `take` while the widget has the focus, and not to the notebook.
function keepKeys(root, take) {
  root.tabIndex = 0;
  root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's shortcuts look for this
  const down = (event) => {
    event.stopPropagation();
    if (event.key === "Escape" && event.shiftKey) return root.blur();
    if (!["Shift", "Control", "Alt", "Meta"].includes(event.key)) event.preventDefault();
    if (!event.ctrlKey && !event.metaKey && !event.altKey) take(event);
  };
  const stop = (event) => event.stopPropagation();
  root.addEventListener("keydown", down);
  for (const kind of ["keyup", "keypress", "paste", "copy", "cut"])
    root.addEventListener(kind, stop);
  root.addEventListener("contextmenu", stop); // JupyterLab's menu has commands for cells
  root.addEventListener("pointerdown", () => root.focus({ preventScroll: true }));
  root.addEventListener("click", () => root.scrollIntoView({ block: "nearest" }));
}

// One view of a widget: it says that it is alive, and hears if another view is the active one.
class Link {
  constructor(model, take) {
    this.model = model;
    this.id = Math.random().toString(36).slice(2);
    this.heard = performance.now();
    this.listener = (message, buffers) => {
      if (message.view && message.view !== this.id) return;
      this.heard = performance.now();
      take(message, buffers);
    };
    model.on("msg:custom", this.listener);
    this.timer = setInterval(() => this.send({ type: "alive" }), 1000);
    this.send({ type: "hello" });
  }
  send(message) {
    try {
      this.model.send({ ...message, view: this.id });
    } catch {
      this.heard = -Infinity; // the kernel is gone
    }
  }
  // Seconds since the kernel last said anything.
  get silence() {
    return (performance.now() - this.heard) / 1000;
  }
  close() {
    clearInterval(this.timer);
    this.model.off("msg:custom", this.listener);
    this.send({ type: "bye" });
  }
}

function make(tag, name, parent, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  parent?.append(element);
  return element;
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const pad = (value) => String(value).padStart(2, "0");
  const hundredths = pad(Math.floor((seconds - whole) * 100 + 1e-6));
  return `${pad(Math.floor(whole / 3600))}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}.${hundredths}`;
}
