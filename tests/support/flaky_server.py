"""A server in front of another that fails on command: error codes, dropped and slow connections."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Fault(NamedTuple):
    """What happens to one answer.

    `status` replaces it, and `retry_after` says when to come again; after `drop_after` bytes of the
    body the connection is closed; `silence` is how many seconds nothing is said before; the body
    comes in pieces of `piece` bytes with `pause` seconds between.
    """

    status: int | None = None
    drop_after: int | None = None
    silence: float = 0.0
    piece: int = 1 << 20
    pause: float = 0.0
    retry_after: str = ""


FINE = Fault()
Plan = Callable[[str, int], Fault]


class FlakyServer:
    """Forwards to `target`; `plan(path, attempt)` says what goes wrong, `attempt` counting from 0.

    `requests` are (method, path with query) of all that came, `most` how many were under way at
    once.
    """

    def __init__(self, target: tuple[str, int]):
        self.target = target
        self.plan: Plan = lambda path, attempt: FINE
        self.requests: list[tuple[str, str]] = []
        self.most = self._running = 0
        self._attempts: Counter[str] = Counter()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self)

            def do_HEAD(self) -> None:
                outer.answer(self)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def reset(self, plan: Plan = lambda path, attempt: FINE) -> None:
        self.plan = plan
        self.requests.clear()
        self._attempts.clear()
        self.most = 0

    def gets(self, part: str) -> int:
        """GET requests of paths that hold this text."""
        return sum(method == "GET" and part in path for method, path in self.requests)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.requests.append((request.command, request.path))
            key = f"{request.command} {request.path} {request.headers.get('Range')}"
            fault = self.plan(request.path, self._attempts[key])
            self._attempts[key] += 1
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            time.sleep(fault.silence)
            self._forward(request, fault)
        except OSError:
            request.close_connection = True  # who asked has given up
        finally:
            with self._lock:
                self._running -= 1

    def _forward(self, request: BaseHTTPRequestHandler, fault: Fault) -> None:
        if fault.status is not None:
            request.send_response(fault.status)
            if fault.retry_after:
                request.send_header("Retry-After", fault.retry_after)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        upstream = http.client.HTTPConnection(*self.target, timeout=20)
        try:
            upstream.request(request.command, request.path, headers=dict(request.headers.items()))
            response = upstream.getresponse()
            body = response.read()
        finally:
            upstream.close()
        request.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                request.send_header(name, value)
        length = response.getheader("Content-Length") if request.command == "HEAD" else len(body)
        request.send_header("Content-Length", str(length))
        request.end_headers()
        kept = body if fault.drop_after is None else body[: fault.drop_after]
        for at in range(0, len(kept), fault.piece):
            request.wfile.write(kept[at : at + fault.piece])
            request.wfile.flush()
            time.sleep(fault.pause)
        if fault.drop_after is not None:
            request.close_connection = True
