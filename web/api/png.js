/** Workflows in pictures: the texts of a PNG, the EXIF of a WebP. */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const LATIN = new TextDecoder("latin1");
const UTF8 = new TextDecoder();
/** Texts that unpack to more, together, are no workflow. */
const LONGEST = 32 * 2 ** 20;

/** @typedef {{left: number}} Room bytes that texts may still unpack to */

/**
 * Return the texts of a picture by their keywords; none where it has none, or is no picture that is known here.
 * @param {ArrayBuffer} data
 * @returns {Promise<Map<string, string>>}
 */
export async function pictureTexts(data) {
  const bytes = new Uint8Array(data);
  if (SIGNATURE.every((byte, at) => bytes[at] === byte)) return pngTexts(bytes);
  const [container, form] = [LATIN.decode(bytes.subarray(0, 4)), LATIN.decode(bytes.subarray(8, 12))];
  if (container === "RIFF" && form === "WEBP") return webpTexts(bytes);
  return new Map();
}

/** @param {Uint8Array<ArrayBuffer>} bytes @returns {Promise<Map<string, string>>} */
async function pngTexts(bytes) {
  /** @type {Map<string, string>} */
  const texts = new Map();
  const room = { left: LONGEST };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = SIGNATURE.length; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = LATIN.decode(bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) break; // it is cut off
    const body = bytes.subarray(at + 8, at + 8 + length);
    const found = await READERS.get(kind)?.(body, room);
    if (found && !texts.has(found[0])) texts.set(...found);
    if (kind === "IEND") break;
    at += 12 + length;
  }
  return texts;
}

/** @typedef {[keyword: string, text: string]} Text */

/** @param {Uint8Array<ArrayBuffer>} body @returns {Promise<Text | null>} */
async function plainText(body) {
  const end = body.indexOf(0);
  return end < 0 ? null : [LATIN.decode(body.subarray(0, end)), LATIN.decode(body.subarray(end + 1))];
}

/** @param {Uint8Array<ArrayBuffer>} body @param {Room} room @returns {Promise<Text | null>} */
async function packedText(body, room) {
  const end = body.indexOf(0);
  const text = end < 0 ? null : await unpack(body.subarray(end + 2), room);
  return text === null ? null : [LATIN.decode(body.subarray(0, end)), LATIN.decode(text)];
}

/**
 * Keyword, whether it is packed, how, language, keyword in that language, text.
 * @param {Uint8Array<ArrayBuffer>} body
 * @param {Room} room
 * @returns {Promise<Text | null>}
 */
async function longText(body, room) {
  const end = body.indexOf(0);
  const language = body.indexOf(0, end + 3);
  const translated = body.indexOf(0, language + 1);
  if (end < 0 || language < 0 || translated < 0) return null;
  const rest = body.subarray(translated + 1);
  const text = body[end + 1] === 1 ? await unpack(rest, room) : rest;
  return text === null ? null : [LATIN.decode(body.subarray(0, end)), UTF8.decode(text)];
}

/** @param {Uint8Array<ArrayBuffer>} packed @param {Room} room @returns {Promise<Uint8Array<ArrayBuffer> | null>} */
async function unpack(packed, room) {
  if (room.left <= 0) return null;
  try {
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
    const parts = [];
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      room.left -= part.value.length;
      if (room.left < 0) {
        await reader.cancel();
        return null;
      }
      parts.push(part.value);
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  } catch {
    return null; // it is damaged
  }
}

/**
 * Some programs write `workflow:{...}` and `prompt:{...}` into tags of the EXIF.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function webpTexts(bytes) {
  /** @type {Map<string, string>} */
  const texts = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 12; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at + 4, true);
    if (LATIN.decode(bytes.subarray(at, at + 4)) === "EXIF") {
      const text = UTF8.decode(bytes.subarray(at + 8, at + 8 + length));
      for (const [, keyword = "", value = ""] of text.matchAll(/(nodegraph|workflow|prompt):(\{[^\0]*)/gi)) {
        texts.set(keyword.toLowerCase(), value);
      }
    }
    at += 8 + length + (length % 2);
  }
  return texts;
}

/** @type {ReadonlyMap<string, (body: Uint8Array<ArrayBuffer>, room: Room) => Promise<Text | null>>} */
const READERS = new Map([["tEXt", plainText], ["iTXt", longText], ["zTXt", packedText]]);
