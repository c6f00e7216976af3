// The page's bus, loaded before whoever asks for it. Knows nothing about what goes over it.

import "./page.js";

export default () => window.Sidelight;
