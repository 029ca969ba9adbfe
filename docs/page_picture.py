"""Draw page.png, the page in which a network reads and learns, as Chromium shows it.

PYTHONPATH=tests python docs/page_picture.py
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from tools.browser import chromium, looked_at

from autonn import export, optim

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import digits

PICTURE = Path(__file__).with_name("page.png")
WIDTH, HEIGHT, SCALE = 1100, 780, 1.5

# A one with a long flag, as it is written in many countries; the digits are from another one.
STROKES = """
strokes.push([[52, 96], [72, 84], [92, 68], [108, 48], [120, 34], [117, 62], [113, 96], [109, 130],
  [105, 168]]);
look();
"""
TEACH = "teach(1, () => setTimeout(arguments[0], 100));"


def main() -> None:
    """Train the network of the main example, draw, teach, and take the picture."""
    training, _ = digits.split_digits()
    model = digits.network()
    digits.learn(model, training, None, optimizer=optim.SGD(lr=0.8), iterations=800, penalty=1.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        chromium("--hide-scrollbars") as browser,
        looked_at(browser),
    ):
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": SCALE, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        path = Path(folder, "digits.html")
        export(model, path)
        browser.get(path.as_uri())
        browser.execute_script(STROKES)
        read = browser.execute_script("return $('result').textContent")
        browser.execute_async_script(TEACH)
        shot = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
        print(f"read as {read}; then it was taught that this is 1")
    picture = Image.open(io.BytesIO(base64.b64decode(shot))).convert("RGB")
    # 256 colours, those of its own: a third of the bytes.
    picture.quantize(256, dither=Image.Dither.NONE).save(PICTURE, optimize=True)
    print(f"{PICTURE.name}: {picture.size}, {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
