"""Browsers that send too much: refused with words, in bounded memory."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

LONG = "x" * 1_000_000


@pytest.fixture
def memory(server):
    """MiB of the server, now and at most."""

    def mib(kind="VmRSS"):
        return int(Path(f"/proc/{server.pid}/status").read_text().split(f"{kind}:")[1].split()[0]) / 1024

    return mib


def test_an_address_that_is_too_long_is_answered_with_words(url):
    with pytest.raises(urllib.error.HTTPError, match=r"414: The address has 1,000,00\d characters, more than 8,000"):
        urllib.request.urlopen(f"{url}?{LONG}")
    assert urllib.request.urlopen(f"{url}?{LONG[:7000]}").status == 200


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory of a process of Linux")
def test_a_file_of_100_mb_is_refused_by_the_page_without_being_sent(one_tab, memory, tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as content:
        content.truncate(100_000_000)
    before = memory("VmHWM")
    one_tab.page.locator("#model").set_input_files(file)
    one_tab.page.wait_for_function("document.getElementById('message').textContent.includes('large.json has')")
    said = one_tab.page.locator("#message").text_content()
    assert said == "large.json has 100,000,000 bytes; a file may have at most 2,000,000."
    assert memory("VmHWM") < before + 16
