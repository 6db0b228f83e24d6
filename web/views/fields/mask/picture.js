/** The pictures that masks are painted on. */

import { pictureOf } from "../files.js";
import { canvasOf, contextOf } from "./layer.js";
import { decodePng } from "./png.js";

/** @typedef {import("./png.js").Pixels} Pixels */

/** How wide and high a mask is that lies on no picture. */
const EMPTY = 512;

/** Return a white picture, for a mask that lies on none. @returns {Pixels} */
export function blank() {
  return { width: EMPTY, height: EMPTY, data: new Uint8ClampedArray(EMPTY * EMPTY * 4).fill(255) };
}

/** Read the pixels of a picture that workflows load. @param {string} name @returns {Promise<Pixels>} */
export async function readPicture(name) {
  const answer = await fetch(pictureOf(name));
  if (!answer.ok)
    throw new Error(answer.status === 404 ? `there is no file “${name}”` : `the server answered ${answer.status}`);
  const file = await answer.blob();
  const exact = await decodePng(file);
  if (exact) return exact;
  const bitmap = await createImageBitmap(file);
  const context = contextOf(canvasOf(bitmap.width, bitmap.height));
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return { width: bitmap.width, height: bitmap.height, data };
}

/** Draw a picture without its alpha. @param {Pixels} pixels */
export function drawn(pixels) {
  const canvas = canvasOf(pixels.width, pixels.height);
  const opaque = new Uint8ClampedArray(pixels.data);
  for (let i = 3; i < opaque.length; i += 4) opaque[i] = 255;
  contextOf(canvas).putImageData(new ImageData(opaque, pixels.width, pixels.height), 0, 0);
  return canvas;
}
