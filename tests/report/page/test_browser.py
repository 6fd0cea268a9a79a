"""The page in a real browser: light and dark, wide and narrow."""

import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from sdt_lava.report.page import write_report
from tests.graphs import random_sdt_graph
from tests.report.page.test_report import report_of

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--virtual-time-budget=2000",
)  # fmt: skip
PROBE = """<script>
const outside = performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:"));
const page = document.documentElement;
document.title = [page.scrollWidth, window.innerWidth, outside.length].join(" ");
</script></body>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    report = report_of(random_sdt_graph, batch=4, image=(2, 6, 6), channels=4)
    return write_report(report, tmp_path_factory.mktemp("report"))


def chromium(tmp_path, *arguments):
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [CHROMIUM, *FLAGS, profile, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


@pytest.mark.parametrize("width", [500, 1400])
def test_fits_the_window_and_loads_nothing(page, tmp_path, width):
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", PROBE))
    dom = chromium(tmp_path, f"--window-size={width},900", "--dump-dom", probed.as_uri())
    content, window, outside = map(int, re.search(r"<title>(\d+) (\d+) (\d+)<", dom).groups())
    assert content <= window
    assert outside == 0


@pytest.mark.parametrize("width", [500, 1400])
def test_light_and_dark(page, tmp_path, width):
    pictures = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        shot = tmp_path / f"{name}.png"
        look = (f"--window-size={width},1200", f"--blink-settings=preferredColorScheme={scheme}")
        chromium(tmp_path, *look, f"--screenshot={shot}", page.as_uri())
        pictures[name] = np.asarray(Image.open(shot).convert("L"), float)
    # Mostly background, with something on it.
    assert np.median(pictures["light"]) > 200 and np.median(pictures["dark"]) < 60
    assert all(picture.std() > 5 for picture in pictures.values())
