"""The page as somebody sees it who has a phone, or a dark screen, or no mouse: a browser that can be all of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser import Browser

_KEYS: dict[str, dict[str, Any]] = {
    "Tab": {"windowsVirtualKeyCode": 9},
    "Enter": {"windowsVirtualKeyCode": 13, "text": "\r"},
    " ": {"windowsVirtualKeyCode": 32, "text": " "},
}
_LOWEST_CONTRAST = 4.5

_POOR_CONTRAST = """(() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
  const over = (top, below) => Object.fromEntries(["r", "g", "b"].map((c) => [c, top[c] * top.a + below[c] * (1 - top.a)]));
  const ground = (one) => {
    if (!one) return parse(getComputedStyle(document.documentElement).backgroundColor);
    const own = parse(getComputedStyle(one).backgroundColor);
    return own.a === 1 ? own : over(own, ground(one.parentElement));
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const poor = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const one = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !one.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(one).color)), light(ground(one))].sort().reverse();
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < LOWEST) poor.push(`${ratio.toFixed(2)}: ${texts.currentNode.data.trim()}`);
  }
  return poor;
})()""".replace("LOWEST", str(_LOWEST_CONTRAST))

_UNLABELLED = """[...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")]
  .filter((one) => !(one.labels?.length || one.innerText?.trim() || one.getAttribute("aria-label")))
  .map((one) => one.outerHTML)"""


class Eyes(Browser):
    """A browser in the hands of somebody."""

    def be(self, *, width: int = 1200, scheme: str = "light") -> None:
        """Have a screen this wide, and this liking for light or dark."""
        phone = width < 500
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800 if phone else 900,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def wait_until(self, script: str) -> None:
        """Wait until an expression is true in the page."""
        self._until(script, f"it did not come to be that {script}", 20)

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key.strip() or "Space", **_KEYS[key])

    def write(self, text: str) -> None:
        """Type a text where the focus is."""
        self._call("Input.insertText", text=text)

    def tab_to(self, text: str) -> None:
        """Press Tab until what has the focus says this, or is labelled so."""
        said = "(() => { const at = document.activeElement; return (at.labels?.[0] ?? at).innerText?.trim() ?? ''; })()"
        passed = []
        for _ in range(80):
            self.press("Tab")
            passed.append(str(self.evaluate(said)))
            if text in passed[-1]:
                return
        self.fail(f"Tab does not come to {text!r}, only to {passed}")

    def focus_is_visible(self) -> bool:
        """Tell whether one sees where the focus is."""
        return bool(self.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 2"))

    def offline(self, gone: bool) -> None:
        """Lose the network, or find it again."""
        self._call("Network.enable")
        self._call("Network.emulateNetworkConditions", offline=gone, latency=0, downloadThroughput=-1, uploadThroughput=-1)

    def without_scripts(self, without: bool = True) -> None:
        """Have no scripts run from the next page on."""
        self._call("Emulation.setScriptExecutionDisabled", value=without)

    def require_readable(self) -> None:
        """Fail where a text has too little contrast, the page has to be scrolled sideways, or something has no name."""
        self.wait_until("document.readyState === 'complete'")
        poor, width = self.evaluate(_POOR_CONTRAST), self.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert poor == [], f"too little contrast at {self.address}: {poor}"
        assert width[0] <= width[1], f"{self.address} is wider than the screen"
        assert self.evaluate(_UNLABELLED) == [], f"something at {self.address} has no name"
        assert self.evaluate("document.querySelectorAll('main h1').length") == 1

    def whole_picture(self, path: Path, *, width: int, most: int = 2400) -> None:
        """Keep a picture of the whole page."""
        import base64

        height = min(int(self.evaluate("document.documentElement.scrollHeight")), most)
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]))
