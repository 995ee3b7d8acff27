"""The console in a real browser: by keyboard alone, on a screen as small as a telephone's."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright import sync_api

from guardrail.server.identity import Scope
from tests.server.conftest import CLEAN, SECRET
from tests.server.running import Running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REQUIRED = os.environ.get("GUARDRAIL_TEST_SERVERS") == "required"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    if CHROMIUM is None:
        if REQUIRED:
            pytest.fail("chromium is not installed")
        # A contributor's machine may lack it; the gate of CI installs it and never comes here.
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 900), (360, 740)], ids=["desk", "telephone"])
def page(
    browser: sync_api.Browser, server: Running, request: pytest.FixtureRequest
) -> Iterator[sync_api.Page]:
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(server.url + "/console")
    yield page
    context.close()
    assert not [p for p in problems if "401" not in p and "autocomplete" not in p]


def typed(page: sync_api.Page, key: str, response: str, prompt: str = "") -> None:
    """Fill in the form and send it, without a mouse."""
    page.keyboard.press("Tab")  # the link to the verdict
    page.keyboard.press("Tab")
    page.keyboard.insert_text(key)
    page.keyboard.press("Tab")
    page.keyboard.insert_text(prompt)
    page.keyboard.press("Tab")
    page.keyboard.insert_text(response)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#said.allow, #said.redact, #said.refuse, #said.error")


def test_a_leak_is_shown_where_it_stands(
    page: sync_api.Page, server: Running, tmp_path: Path
) -> None:
    typed(page, server.key(Scope.MODERATE), f"🙂 Well. {SECRET} <b>Anything</b> else?")
    assert page.inner_text("#said").startswith("Redacted")
    assert page.inner_text("#marked mark.redact") == SECRET.rstrip(".")
    assert "[REDACTED]" in page.inner_text("#safe")
    assert "<b>Anything</b>" in page.inner_text("#safe")
    assert "note.txt" in page.inner_text("#findings tbody")
    assert "overlap" in page.inner_text("#timings")
    request = json.loads(server.records("check")[-1].body)["request"]
    assert request in page.inner_text("#record")
    assert page.locator("#verdict:focus").count() == 1
    width = page.viewport_size["width"] if page.viewport_size else 0
    for part in ("h1", "#response", "#said", "#record", "#marked", "#safe", ".wide", "#timings"):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    shots = Path(os.environ.get("GUARDRAIL_SCREENSHOTS", tmp_path))
    page.screenshot(path=shots / f"console-{width}.png", full_page=True)


def test_a_clean_text_and_errors(page: sync_api.Page, server: Running) -> None:
    typed(page, "gr_nobody", CLEAN)
    assert "a valid API key is needed" in page.inner_text("#said")
    page.fill("#key", server.key(Scope.MODERATE, Scope.ADMIN))
    page.click("button[type=submit]")
    page.wait_for_selector("#said.allow")
    assert page.inner_text("#safe") == CLEAN
    page.click("#look")
    page.wait_for_selector("#force dt:nth-of-type(3)")
    assert "1 documents" in page.inner_text("#force")


def test_nothing_comes_from_elsewhere_and_no_other_file_is_served(server: Running) -> None:
    answer = httpx.get(server.url + "/console", timeout=60)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "://" not in answer.text
    for name in ("..%2fsettings.py", "console.py", "%2e%2e/app.py"):
        assert httpx.get(f"{server.url}/console/{name}", timeout=60).status_code == 404
