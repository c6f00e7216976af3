// Masks as PNG files, 8-bit grey, every byte as painted: a canvas would pass premultiplied alpha and colour management.
// Knows nothing about editors. A file of another kind (colour, 16 bit, palette) is read through a canvas.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const through = async (bytes, stream) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());

function chunk(name, data) {
  const whole = new Uint8Array(data.length + 12), view = new DataView(whole.buffer);
  view.setUint32(0, data.length);
  whole.set(new TextEncoder().encode(name), 4);
  whole.set(data, 8);
  view.setUint32(data.length + 8, crcOf(whole.subarray(4, data.length + 8)));
  return whole;
}

export async function encodeGrey(pixels, width, height) {
  const rows = new Uint8Array((width + 1) * height); // each begins with its filter: none
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const head = new Uint8Array(13), view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head[8] = 8;
  const packed = await through(rows, new CompressionStream("deflate"));
  const chunks = [chunk("IHDR", head), chunk("IDAT", packed), chunk("IEND", new Uint8Array())];
  return new Blob([Uint8Array.from(SIGNATURE), ...chunks], { type: "image/png" });
}

// {width, height, pixels}; throws where the file is no picture.
export async function decodeGrey(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const found = SIGNATURE.every((byte, at) => bytes[at] === byte) ? partsOf(bytes) : null;
  if (!found?.isPlain) return throughCanvas(blob);
  const { width, height } = found;
  const rows = await through(joined(found.data), new DecompressionStream("deflate"));
  if (rows.length < (width + 1) * height) throw new Error("the PNG is cut off");
  return { width, height, pixels: unfiltered(rows, width, height) };
}

function partsOf(bytes) {
  const view = new DataView(bytes.buffer), data = [];
  let width = 0, height = 0, isPlain = false;
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = view.getUint32(at), name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "IHDR") {
      [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
      isPlain = bytes[at + 16] === 8 && bytes[at + 17] === 0 && bytes[at + 20] === 0;
    }
    if (name === "tRNS") isPlain = false;
    if (name === "IDAT") data.push(bytes.subarray(at + 8, at + 8 + size));
    at += size + 12;
  }
  return { width, height, isPlain, data };
}

function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

// The five filters of the PNG specification, one byte a pixel.
const FILTERS = [
  () => 0, (left) => left, (left, above) => above, (left, above) => (left + above) >> 1, paeth,
];

function unfiltered(rows, width, height) {
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = y * (width + 1), to = y * width, filter = FILTERS[rows[from]];
    if (!filter) throw new Error("the PNG is damaged");
    if (rows[from] === 0) {
      pixels.set(rows.subarray(from + 1, from + 1 + width), to);
      continue;
    }
    for (let x = 0; x < width; x++) {
      const left = x ? pixels[to + x - 1] : 0, above = y ? pixels[to + x - width] : 0;
      pixels[to + x] = rows[from + 1 + x] + filter(left, above, x && y ? pixels[to + x - width - 1] : 0);
    }
  }
  return pixels;
}

// Rec. 601 luma as other tools turn colour to grey; what is transparent is not masked.
async function throughCanvas(blob) {
  const image = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = image, context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height), pixels = new Uint8Array(width * height);
  for (let at = 0, i = 0; at < pixels.length; at++, i += 4) {
    pixels[at] = Math.round((data[i] * 0.299 + data[i + 1] * 0.587 + data[i + 2] * 0.114) * (data[i + 3] / 255));
  }
  return { width, height, pixels };
}
