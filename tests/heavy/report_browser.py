#!/usr/bin/env python3
"""Opens reports in headless Chromium, over its debugging pipe, at phone width and at desk width, light and dark, with scripts and without. Each page loads,
says nothing on the console, asks for nothing but itself, does not scroll sideways, has no letter below 11 pixels, no text below a contrast of 4.5, and
its charts, pictures, read-out and choice of colours work. Two pages that must be complained about show that it would be seen.

usage: report_browser.py CHROMIUM FOLDER PAGE.html...   screenshots go to FOLDER (Python's own library only)
"""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

# What is looked at inside the page. Returns a list of complaints and some counts.
LOOK = r"""
(() => {
  const bad = [];
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth) bad.push(`scrolls sideways: ${root.scrollWidth} of ${innerWidth} pixels`);
  const plots = [...document.querySelectorAll(".plot > svg")];
  for (const p of plots) {
    const box = p.getBoundingClientRect();
    if (box.width < 150 || box.height < 100) bad.push(`a chart of ${box.width} x ${box.height} pixels`);
    if (!p.querySelector("path.line")) bad.push("a chart without a line");
  }
  for (const s of document.querySelectorAll(".scroll")) if (s.tabIndex !== 0) bad.push("a table that keys cannot scroll");
  for (const i of document.images) if (!i.complete || !i.naturalWidth) bad.push("a picture that does not show");
  const rgb = (text) => { const n = text.match(/[\d.]+/g).map(Number); return { c: n.slice(0, 3), a: n.length > 3 ? n[3] : 1 }; };
  const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { for (; e; e = e.parentElement) { const b = rgb(getComputedStyle(e).backgroundColor); if (b.a === 1) return b.c; } return [255, 255, 255]; };
  let texts = 0, least = 99, smallest = 99;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walker.nextNode()); ) {
    const e = n.parentElement;
    if (!n.textContent.trim() || e.closest("script, style") || !e.getClientRects().length) continue;
    const style = getComputedStyle(e), a = light(rgb(style.color).c), b = light(behind(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
    texts++;
    least = Math.min(least, contrast);
    smallest = Math.min(smallest, size);
    if (contrast < 4.5) bad.push(`contrast ${contrast.toFixed(2)} of "${n.textContent.trim().slice(0, 40)}"`);
    if (size < 11) bad.push(`${size} pixels high: "${n.textContent.trim().slice(0, 40)}"`);
  }
  return { bad, plots: plots.length, pictures: document.images.length, texts, least, smallest, height: root.scrollHeight,
           button: document.querySelectorAll("nav button").length };
})()
"""
# Where the middle of the first chart is.
MIDDLE = """(() => { const p = document.querySelector(".plot"); p.scrollIntoView({ block: "center", behavior: "instant" });
  const b = p.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()"""


class Browser:
    def __init__(self, program, folder):
        to_browser, self.send_end = os.pipe()
        self.read_end, from_browser = os.pipe()
        for end, wanted in ((to_browser, 3), (from_browser, 4)):
            os.set_inheritable(end, True)
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--remote-debugging-pipe",
                 f"--user-data-dir={folder}", "--disable-background-networking", "--disable-component-update", "about:blank"]

        def place():  # 3 and 4 are what the browser reads from and writes to
            a, b = os.dup2(to_browser, 13), os.dup2(from_browser, 14)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen([program, *flags], preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.next, self.events = b"", 1, []

    def receive(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.read_end, 1 << 16)
            assert piece, "the browser ended"
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        number, self.next = self.next, self.next + 1
        message = {"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.send_end, data):]
        while True:
            got = self.receive()
            if got.get("id") == number:
                assert "error" not in got, (method, got["error"])
                return got["result"]
            self.events.append(got)

    def close(self):
        self.call("Browser.close")
        self.process.wait(timeout=30)


class Page:
    def __init__(self, browser, path, width, dark=False, scripts=True):
        self.b = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.events.clear()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=pathlib.Path(path).absolute().as_uri())
        end = time.time() + 60
        while not any(e.get("method") == "Page.loadEventFired" for e in browser.events):
            assert time.time() < end, f"{path} does not load"
            browser.events.append(browser.receive())
        time.sleep(0.3)
        self.call("Page.getLayoutMetrics")  # what came meanwhile is among the events

    def call(self, method, **params):
        return self.b.call(method, self.session, **params)

    def evaluate(self, code):
        result = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def complaints(self):
        """What the console and the network log say against it."""
        out = []
        for e in self.b.events:
            if e.get("sessionId") != self.session:
                continue
            p = e.get("params", {})
            if e["method"] == "Runtime.exceptionThrown":
                out.append("exception: " + p["exceptionDetails"]["text"])
            elif e["method"] == "Runtime.consoleAPICalled":
                out.append(f"console.{p['type']}: " + " ".join(str(a.get("value")) for a in p["args"]))
            elif e["method"] == "Log.entryAdded":
                out.append(f"log: {p['entry']['text']}")
            elif e["method"] == "Network.requestWillBeSent" and not p["request"]["url"].startswith(("file://", "data:image/webp;base64,")):
                out.append("request: " + p["request"]["url"][:80])
        return out

    def files(self):
        return [e["params"]["request"]["url"] for e in self.b.events
                if e.get("sessionId") == self.session and e.get("method") == "Network.requestWillBeSent" and e["params"]["request"]["url"].startswith("file://")]

    def screenshot(self, path, height=900):
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": self.evaluate("innerWidth"), "height": height, "scale": 1})["data"]
        data = base64.b64decode(shot)
        pathlib.Path(path).write_bytes(data)
        return len(data)


def check_controls(browser, folder):
    """Pages that must be complained about."""
    page = pathlib.Path(folder) / "control.html"
    page.write_text("<!DOCTYPE html><title>x</title><img src='http://127.0.0.1:9/x.png'><script>console.error('seen'); nowhere()</script>"
                    "<div style='width:3000px;color:#ddd;background:#fff;font-size:8px'>pale</div>")
    p = Page(browser, page, 400)
    text = " ".join(p.complaints())
    for wanted in "request: http://127.0.0.1:9", "console.error: seen", "exception":
        assert wanted in text, (wanted, text)
    text = " ".join(p.evaluate(LOOK)["bad"])
    for wanted in "scrolls sideways", "contrast", "8 pixels high":
        assert wanted in text, (wanted, text)
    policy = "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; script-src 'sha256-x'\">"
    page.write_text(f"<!DOCTYPE html>{policy}<title>x</title><script>document.title = 'ran'</script>")
    p = Page(browser, page, 400)
    assert p.complaints() and p.evaluate("document.title") == "x", "a policy that keeps a script out is not seen"
    print("controls: a request, an error, an exception, pale and small letters, width and a script against the policy are all noticed")


def check_page(browser, path, folder):
    name = pathlib.Path(path).stem
    for width, dark in ((400, False), (400, True), (768, False), (1400, False), (1400, True)):
        what = f"{name} at {width} pixels, {'dark' if dark else 'light'}"
        p = Page(browser, path, width, dark)
        seen = p.evaluate(LOOK)
        bad = p.complaints() + seen["bad"]
        assert not bad, (what, bad[:5])
        assert seen["plots"] > 0 and seen["button"] == 1 and len(p.files()) == 1, (what, seen, p.files())
        size = p.screenshot(f"{folder}/{name}-{width}{'-dark' if dark else ''}.png", min(seen["height"], 12000))
        assert size > 30000, (what, f"the screenshot has {size} bytes")
        x, y = p.evaluate(MIDDLE)
        p.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        tip = p.evaluate("document.querySelector('.tip')?.textContent")
        assert tip and tip.startswith("step "), (what, "no values under the pointer", tip)
        before = p.evaluate("getComputedStyle(document.body).backgroundColor")
        p.evaluate("document.querySelector('nav button').click()")
        after = p.evaluate("getComputedStyle(document.body).backgroundColor")
        again = p.evaluate(LOOK)["bad"]
        assert before != after and not again and not p.complaints(), (what, before, after, again[:5], p.complaints())
        print(f"{what}: {seen['plots']} charts, {seen['pictures']} pictures, {seen['texts']} texts from {seen['smallest']:.0f} pixels, "
              f"contrast from {seen['least']:.1f}, {seen['height']} pixels high, screenshot {size} bytes, \"{tip[:60]}\"")
    p = Page(browser, path, 1400, scripts=False)
    root = p.call("DOM.getDocument")["root"]["nodeId"]
    count = lambda selector: len(p.call("DOM.querySelectorAll", nodeId=root, selector=selector)["nodeIds"])
    charts, buttons, titles = count(".plot path.line"), count("nav button"), count("h2")
    assert charts > 0 and buttons == 0 and titles >= 6 and not [c for c in p.complaints() if not c.startswith("log: ")], (charts, buttons, p.complaints())
    print(f"{name} without scripts: {charts} lines, {titles} sections")


def main():
    program, folder, pages = sys.argv[1], sys.argv[2], sys.argv[3:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as d:
        browser = Browser(program, d)
        try:
            print(browser.call("Browser.getVersion")["product"])
            check_controls(browser, d)
            for page in pages:
                check_page(browser, page, folder)
        finally:
            browser.close()


main()
