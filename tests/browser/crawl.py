"""Every page that a person can reach, once for each shape of its address."""

import re
from collections import deque
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Error, Page

#: Ids in addresses: pages that differ by them alone are one page.
IDS = re.compile(r"/(\d+)(?=/|$)")
LINKS = "links => links.map(link => link.href)"


def shape(url: str) -> str:
    """Return an address without its ids and query."""
    return IDS.sub("/N", urlsplit(url).path)


def crawl(page: Page, *starts: str) -> Iterator[str]:
    """Open one page of each shape that links lead to, within the space of the first start; yield its address.

    The page stands at the address when it is yielded. Nothing is submitted, and pages never write on GET.
    """
    waiting = deque(urljoin(page.url, start) for start in starts)
    root = "/".join(urlsplit(waiting[0]).path.split("/")[:3]) + "/"
    seen = {shape(url) for url in waiting}
    while waiting:
        url = waiting.popleft()
        if not visit(page, url):
            continue
        yield url
        for link in page.locator("a[href]").evaluate_all(LINKS):
            same_site = urlsplit(link).netloc == urlsplit(url).netloc
            if same_site and urlsplit(link).path.startswith(root) and shape(link) not in seen:
                seen.add(shape(link))
                waiting.append(link)


def visit(page: Page, url: str) -> bool:
    """Open an address; return whether it is a page and no download."""
    try:
        answer = page.goto(url)
    except Error as error:
        if "Download is starting" not in error.message and "ERR_ABORTED" not in error.message:
            raise
        return False
    return answer is not None and answer.status == 200 and "text/html" in answer.headers.get("content-type", "")
