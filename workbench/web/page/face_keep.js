// What the Face tab keeps over a reload, in this browser alone. Knows nothing about what it means.

const KEPT = "sidelight.face";

export function kept() {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}") ?? {};
  } catch {
    return {}; // somebody else's text: the tab begins as it is
  }
}

// Whether it is kept: there may be no room, or it may not be allowed; then a reload begins anew, and nothing else.
export function keep(values) {
  try {
    localStorage.setItem(KEPT, JSON.stringify(values));
  } catch {
    return false;
  }
  return true;
}
