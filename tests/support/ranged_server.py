"""A web server of one folder in memory: parts of files, ETags, and what goes wrong on request."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], bool]


class RangedServer:
    """`files` by path; `answer` may answer in its place, and says so.

    `marks` are the headers that tell of what version an answer is. `before` is called before each
    GET of a file, with the number of those that were.
    """

    def __init__(self, marks: tuple[str, ...] = ("ETag", "Last-Modified")):
        self.files: dict[str, bytes] = {}
        self.marks = marks
        self.version = 0
        self.gets = 0
        self.before: Callable[[int], None] = lambda number: None
        self.answer: Answer = lambda request: False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                outer.serve(self, body=False)

            def do_GET(self) -> None:
                outer.serve(self, body=True)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def serve(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        try:
            if not self.answer(request):
                self._serve(request, body=body)
        except OSError:  # who asked has given up
            request.close_connection = True

    def _serve(self, request: BaseHTTPRequestHandler, *, body: bool) -> None:
        if body:
            self.before(self.gets)
            self.gets += 1
        path = request.path.partition("?")[0]
        data = self.files.get(path)
        if data is None:
            request.send_response(404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        whole = len(data)
        if part:
            start, end = int(part[1]), min(int(part[2]), whole - 1)
            data = data[start : end + 1]
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{end}/{whole}")
        else:
            request.send_response(200)
        values = {
            "ETag": f'"{hashlib.md5(self.files[path]).hexdigest()}"',
            "Last-Modified": f"Wed, 01 Jan 2025 00:00:{self.version:02} GMT",
        }
        for mark in self.marks:
            request.send_header(mark, values[mark])
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if body:
            request.wfile.write(data)


@contextmanager
def serving(*marks: str) -> Iterator[RangedServer]:
    """A server that runs."""
    ranged = RangedServer(marks) if marks else RangedServer()
    thread = threading.Thread(target=ranged.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield ranged
    ranged.server.shutdown()
    ranged.server.server_close()
    thread.join()
