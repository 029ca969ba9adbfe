"""Chromium, driven by selenium: as a reader has it, or as a phone or in the dark."""

from __future__ import annotations

import importlib
import importlib.resources
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["CHROMIUM", "DRIVER", "chromium", "looked_at", "violations"]

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}


@contextmanager
def chromium(*words: str) -> Iterator[Any]:
    """Start the browser, without a window; what pages say and ask for is logged."""
    webdriver = importlib.import_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,1700"):
        options.add_argument(word)
    for word in words:
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def looked_at(driver: Any, phone: bool = False, dark: bool = False) -> Iterator[None]:
    """Have pages shown as on a phone, or to somebody who asked for dark colours."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    if phone:
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def violations(driver: Any) -> list[str]:
    """Ask axe-core what of the page in the browser keeps somebody out: its rules, and where."""
    axe = importlib.resources.files("axe_core_python") / "axe.min.js"
    driver.execute_script(axe.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[0]; axe.run().then((found) => done(found.violations));"
    )
    return [f"{v['id']}: {node['html']}" for v in found for node in v["nodes"]]
