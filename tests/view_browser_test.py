"""Opens the page of `ponder view` in Chromium and looks at what it shows.

    view_browser_test.py PONDER [SCREENSHOT.png [dark]]

Exits with 77, "skipped", where Chromium is not installed. With SCREENSHOT.png
it only makes a picture.
"""

import contextlib
import html.parser
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import browser  # noqa: E402
import view_samples  # noqa: E402


class Page(html.parser.HTMLParser):
    """Texts by the class of the element that they are in, and all tags."""

    def __init__(self, text):
        super().__init__()
        self.title, self.tags, self.by_class = "", [], {}
        self.stack = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "br", "img", "input"):
            self.stack.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self.stack and self.stack[-1][0] == "title":
            self.title += data
        for _, attributes in self.stack:
            for name in (attributes.get("class") or "").split():
                self.by_class[name] = self.by_class.get(name, "") + data

    def count(self, name):
        return sum(name in (a.get("class") or "").split()
                   for _, a in self.tags)


def look(url):
    page = Page(browser.dom(url))
    body = next(a for tag, a in page.tags if tag == "body")
    assert body.get("data-ready") == "true", "the page has not finished"
    return page


def check_first_page(url, samples):
    page = look(url)
    assert page.title == "run – ponder view", page.title
    assert page.by_class["count"] == "64 samples in 8 groups", page.by_class
    assert page.count("row") == 8 and page.count("dot") == 64
    assert page.count("sample") == 8
    assert page.by_class["prompt"] == samples[0]["prompt"]
    assert page.by_class["gold"] == samples[0]["answer"]
    # Every response is there, as text: thought and answer.
    shown = page.by_class["thought"] + page.by_class.get("answer", "")
    for sample in samples[:8]:
        for part in sample["response"].split("</think>"):
            assert part.lstrip("\n") in shown, part
        assert sample["reason"] in page.by_class["reason"]
    # A shaded token for each piece that has a text.
    tokens = sum(s["tokens"] for s in samples[:8])
    assert tokens <= page.count("token") <= tokens + 16, page.count("token")
    assert any("rgba(var(--heat)" in (a.get("style") or "")
               for _, a in page.tags)
    assert "accuracy" in page.by_class["parts"]


def check_markup_stays_text(url, samples):
    # Not in the group that is shown without being asked for.
    attacked = next(i for i, s in enumerate(samples)
                    if i >= 8 and view_samples.ATTACK in s["response"])
    page = look(f"{url}#group={attacked // 8}")
    assert page.by_class["prompt"] == samples[attacked]["prompt"]
    assert view_samples.ATTACK in page.by_class["answer"]
    assert page.title == "run – ponder view", page.title
    assert not any(tag == "img" for tag, _ in page.tags)
    assert sum(tag == "script" for tag, _ in page.tags) == 1


def reward_fell(samples):
    """Whether a sample's group has a lower mean reward than the group before it
    of the same problem."""
    before, fell = {}, []
    for first in range(0, len(samples), 8):
        group = samples[first:first + 8]
        rewards = [s["reward"] for s in group if s["reward"] is not None]
        mean = sum(rewards) / len(rewards) if rewards else math.nan
        problem = group[0]["problem"]
        fell += [problem in before and mean < before[problem]] * len(group)
        before[problem] = mean
    return fell


def check_filters(url, samples):
    wanted = {
        "reward_fell": reward_fell(samples),
        "truncated": [s["finish_reason"] == "length" for s in samples],
        "unscorable": [s["verdict"] == "UNSCORABLE" for s in samples],
        "wrong_well_formed": [s["verdict"] == "WRONG" and
                              s["components"]["format"] == 1 for s in samples],
    }
    for name, matches in wanted.items():
        page = look(f"{url}#filter={name}")
        assert sum(matches) > 0, name
        assert page.by_class["count"].startswith(f"{sum(matches)} samples"), (
            name, page.by_class["count"])
        pressed = [a for tag, a in page.tags if a.get("aria-pressed") == "true"]
        assert len(pressed) == 1
    page = look(f"{url}#step=2")
    assert page.by_class["count"] == "32 samples in 4 groups"


@contextlib.contextmanager
def served(ponder, run, count):
    """The address of a page that shows `count` samples, and the samples."""
    subprocess.run([sys.executable,
                    pathlib.Path(__file__).parent / "view_samples.py", run,
                    str(count)], check=True)
    samples = [json.loads(line) for line in
               (run / "samples" / "grpo.jsonl").read_text().splitlines()]
    server = subprocess.Popen([ponder, "view", run, "--port", "0"],
                              stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/", line)[0], samples
    finally:
        server.terminate()
        server.wait()


def main():
    browser.skip_without()
    ponder = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        if len(sys.argv) > 2:
            run = pathlib.Path(folder) / "run"
            with served(ponder, run, 1600) as (url, _):
                browser.screenshot(url + "#filter=wrong_well_formed",
                                   pathlib.Path(sys.argv[2]).absolute(),
                                   dark="dark" in sys.argv[3:])
            return
        with served(ponder, pathlib.Path(folder) / "run", 64) as page:
            check_first_page(*page)
            check_markup_stays_text(*page)
        with served(ponder, pathlib.Path(folder) / "long", 256) as page:
            check_filters(*page)
    print("the page shows what the samples say")


if __name__ == "__main__":
    main()
