// How two pictures differ, per channel and amplified, as a canvas and in numbers. Knows nothing about panes or zoom.
// Values are the display's 8-bit sRGB; a picture of another size is read at the nearest pixel of the first one's grid.

function pixelsOf(image, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// {canvas, most, mean, share}: largest and mean difference in levels of 255, and the share of pixels that differ.
export function differenceOf(first, second, gain) {
  const [width, height] = [first.naturalWidth, first.naturalHeight];
  const one = pixelsOf(first, width, height), other = pixelsOf(second, width, height).data;
  const data = one.data;
  let most = 0, sum = 0, count = 0;
  for (let i = 0; i < data.length; i += 4) {
    let isEqual = true;
    for (let channel = i; channel < i + 3; channel++) {
      const by = Math.abs(data[channel] - other[channel]);
      data[channel] = by * gain; // a clamped array: 255 at most
      sum += by;
      if (by > most) most = by;
      if (by) isEqual = false;
    }
    data[i + 3] = 255;
    if (!isEqual) count++;
  }
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").putImageData(one, 0, 0);
  return { canvas, most, mean: sum / (width * height * 3), share: count / (width * height) };
}
