/* The pictures of the page: decoded when they are needed, and drawn with a range of values. */

const KEPT = 8; // decoded or drawn frames of each picture that are kept

const CURVES = {
  linear: (t) => t,
  root: (t) => Math.sqrt(t),
  logarithm: (t) => Math.log1p(1000 * t) / Math.log1p(1000),
};

/* Keep the newest entries of a map. */
function remember(map, key, value) {
  map.set(key, value);
  if (map.size > KEPT) map.delete(map.keys().next().value);
  return value;
}

function bytesOf(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
  return bytes;
}

async function inflated(text) {
  const stream = new Blob([bytesOf(text)]).stream();
  const whole = new Response(stream.pipeThrough(new DecompressionStream("deflate")));
  return new Uint8Array(await whole.arrayBuffer());
}

/* Undo the differences along rows: low bytes of all channels, then high bytes. */
function summed(bytes, width) {
  const count = bytes.length / 2;
  const codes = new Uint16Array(count);
  for (let start = 0; start < count; start += width) {
    let code = 0;
    for (let k = start; k < start + width; k++) {
      code += bytes[k] + (bytes[count + k] << 8);
      codes[k] = code;
    }
  }
  return codes;
}

function canvasOf(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

class Picture {
  constructor(index, description, width, height) {
    Object.assign(this, description, { index, width, height });
    this.decoded = new Map();
    this.codes = new Map();
    this.drawn = new Map();
  }

  /* An image element, or the codes of all channels. */
  decode(frame) {
    const known = this.decoded.get(frame);
    return known ?? remember(this.decoded, frame, this.decodeNow(frame));
  }

  async decodeNow(frame) {
    const text = document.getElementById(`picture-${this.index}-${frame}`).textContent;
    if (this.kind === "data") return summed(await inflated(text), this.width);
    const image = new Image();
    image.src = `data:image/${this.kind};base64,${text}`;
    await image.decode();
    return image;
  }

  /* Codes of a frame: channels one after another, or interleaved with `stride`. */
  async pixels(frame) {
    const known = this.codes.get(frame);
    if (known) return known;
    const source = await this.decode(frame);
    const count = this.width * this.height;
    let pixels = { codes: source, stride: 1, plane: count };
    if (this.kind !== "data") {
      const context = canvasOf(this.width, this.height).getContext("2d", { willReadFrequently: true });
      context.drawImage(source, 0, 0);
      const codes = context.getImageData(0, 0, this.width, this.height).data;
      pixels = { codes, stride: 4, plane: 1 };
    }
    return remember(this.codes, frame, pixels);
  }

  /* The values of a pixel, as text. */
  async valueAt(frame, x, y) {
    const { codes, stride, plane } = await this.pixels(frame);
    const values = [];
    for (let c = 0; c < this.channels; c++) {
      const value = this.low + this.step * codes[(y * this.width + x) * stride + c * plane];
      values.push(Number(value.toPrecision(4)));
    }
    return values.join(", ");
  }

  isNative(tone) {
    const high = this.low + this.step * this.most;
    const near = (a, b) => Math.abs(a - b) <= 1e-6 * (high - this.low);
    return tone.curve === "linear" && near(tone.low, this.low) && near(tone.high, high);
  }

  /* Something that a canvas can draw: an image element or a canvas. */
  async shown(frame, tone) {
    if (this.kind !== "data" && this.isNative(tone)) return this.decode(frame);
    const key = [frame, tone.low, tone.high, tone.curve].join();
    const known = this.drawn.get(key);
    return known ?? remember(this.drawn, key, this.draw(await this.pixels(frame), tone));
  }

  table(tone) {
    const table = new Uint8Array(this.most + 1);
    const curve = CURVES[tone.curve];
    for (let code = 0; code <= this.most; code++) {
      const t = (this.low + this.step * code - tone.low) / (tone.high - tone.low);
      table[code] = Math.round(255 * curve(Math.min(1, Math.max(0, t))));
    }
    return table;
  }

  draw({ codes, stride, plane }, tone) {
    const canvas = canvasOf(this.width, this.height);
    const context = canvas.getContext("2d");
    const image = context.createImageData(this.width, this.height);
    const table = this.table(tone);
    const words = new Uint32Array(image.data.buffer); // one for each pixel: alpha, blue, green, red
    const [green, blue] = this.channels === 3 ? [plane, 2 * plane] : [0, 0];
    for (let k = 0, at = 0; k < words.length; k++, at += stride) {
      const colors = table[codes[at]] | (table[codes[at + green]] << 8) | (table[codes[at + blue]] << 16);
      words[k] = colors | 0xff000000;
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }
}
