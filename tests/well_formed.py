"""What a report's page is made of, by Python's HTML parser: every element is closed in order, every id is there once, every link inside the
page leads to one, nothing is fetched, nothing runs but the one script whose digest the page's policy has, every picture and chart has a text.

usage: well_formed.py FILE.html    prints the number of elements of each kind"""

import base64
import collections
import hashlib
import html.parser
import re
import sys

VOID = {"meta", "img", "br", "hr", "link", "input"}
SVG_VOID = {"path", "rect"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.count, self.ids, self.links, self.faults = [], collections.Counter(), [], [], []
        self.scripts, self.policy, self.last = [], "", None

    def fault(self, text):
        self.faults.append(f"line {self.getpos()[0]}: {text}")

    def look(self, tag, attributes):
        self.count[tag] += 1
        a = dict(attributes)
        if len(a) != len(attributes):
            self.fault(f"{tag}: an attribute stands there twice")
        for name, value in attributes:
            if name.startswith("on"):
                self.fault(f"{tag} has the handler {name}")
            if name in ("src", "href", "action", "data", "poster", "srcset") and not value.startswith(("#", "data:image/webp;base64,")):
                self.fault(f"{tag} fetches {value[:60]}")
        if "id" in a:
            self.ids.append(a["id"])
        if a.get("href", "").startswith("#"):
            self.links.append(a["href"][1:])
        if tag == "img" and not a.get("alt"):
            self.fault("a picture without a text")
        if tag == "svg" and a.get("aria-hidden") != "true" and not (a.get("role") == "img" and a.get("aria-label")):
            self.fault("a chart without a text")
        if a.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = a["content"]
        if tag in ("base", "iframe", "object", "embed", "form", "link"):
            self.fault(f"a {tag}")

    def handle_starttag(self, tag, attributes):
        self.look(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.last = tag

    def handle_startendtag(self, tag, attributes):
        self.look(tag, attributes)
        if tag not in SVG_VOID | VOID:
            self.fault(f"<{tag}/>")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.fault(f"</{tag}> closes nothing")
        self.last = None

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif self.open and self.open[-1] == "style" and re.search(r"url\(|@import", data):
            self.fault("the style fetches something")


def main():
    page = Page()
    page.feed(open(sys.argv[1], encoding="utf-8").read())
    page.close()
    faults = page.faults
    faults += [f"{tag} is not closed" for tag in page.open]
    faults += [f"id {i} stands there {n} times" for i, n in collections.Counter(page.ids).items() if n > 1]
    faults += [f"no section {link}" for link in page.links if link not in page.ids]
    if len(page.scripts) != 1:
        faults.append(f"{len(page.scripts)} scripts")
    else:
        digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
        if f"script-src 'sha256-{digest}'" not in page.policy:
            faults.append("the policy does not know the script: it would not run")
    if "default-src 'none'" not in page.policy:
        faults.append(f"the policy lets things in: {page.policy}")
    for fault in faults:
        print(fault)
    print(" ".join(f"{tag}={n}" for tag, n in sorted(page.count.items())))
    sys.exit(bool(faults))


main()
