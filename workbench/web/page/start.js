// The start image of the form: a place to drop one, with what was dropped. Knows nothing about img2img.
// Its value is {name, url, told, fault}; without a url there is none.

import { make } from "../components/element.js";

export function mount(element, gradio) {
  const file = make("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true });
  const image = make("img", { alt: "the start image", hidden: true });
  const told = make("span", { className: "sl-start-told" });
  const choose = make("button", { type: "button", text: "Choose", onclick: () => file.click() });
  const clear = make("button", { type: "button", text: "Clear", onclick: () => gradio.send.cleared({}) });
  const zone = make("div", { className: "sidelight sl-zone", role: "group", ariaLabel: "Start image" },
    image, told, choose, clear, file);
  const say = (text) => { told.textContent = text; };

  async function take(taken) {
    if (!taken) return;
    say("is being read");
    try {
      const { path } = await gradio.upload(taken);
      gradio.send.dropped({ path, name: taken.name });
    } catch {
      say("It could not be sent: give a PNG, JPEG or WebP below 80 MB.");
    }
  }

  function show(value) {
    const { url = "", told: words = "", fault = "" } = value ?? {};
    image.hidden = !url;
    if (url && image.getAttribute("src") !== url) image.src = url;
    clear.hidden = !url;
    choose.textContent = url ? "Another" : "Choose";
    say(fault || words || "Drop a picture here to begin from it (img2img); 0.4 to 0.6 keeps the face.");
    zone.classList.toggle("sl-fault", Boolean(fault));
  }

  file.onchange = () => { take(file.files[0]); file.value = ""; };
  zone.ondragover = (event) => { event.preventDefault(); zone.classList.add("sl-over"); };
  zone.ondragleave = () => zone.classList.remove("sl-over");
  zone.ondrop = (event) => {
    event.preventDefault();
    zone.classList.remove("sl-over");
    take(event.dataTransfer.files[0]);
  };
  element.replaceChildren(zone);
  gradio.watch(show);
  show(gradio.value);
}
