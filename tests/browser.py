"""Debian's Chromium without a window, for tests that look at pages."""

import shutil
import subprocess
import tempfile

SKIPPED = 77


def find():
    """The program, or None where it is not installed."""
    for name in ("chromium", "chromium-headless-shell"):
        path = shutil.which(name)
        if path:
            return path
    return None


def skip_without():
    if find() is None:
        print("skipped: Chromium is not there; scripts/setup-browser "
              "installs it")
        raise SystemExit(SKIPPED)


def run(url, *options, wait_ms=8000):
    with tempfile.TemporaryDirectory() as profile:
        result = subprocess.run(
            [find(), "--headless", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--hide-scrollbars",
             f"--user-data-dir={profile}", f"--virtual-time-budget={wait_ms}",
             *options, url],
            capture_output=True, text=True, timeout=180)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def dom(url, wait_ms=8000):
    """The page as it is once its scripts have run."""
    return run(url, "--dump-dom", wait_ms=wait_ms)


def screenshot(url, path, width=1400, height=900, dark=False, wait_ms=8000):
    options = [f"--screenshot={path}", f"--window-size={width},{height}"]
    if dark:
        options.append("--blink-settings=preferredColorScheme=0")
    run(url, *options, wait_ms=wait_ms)
