"""A server on the loopback address that hands out files, also in the ways in which servers fail."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        server = self.server
        server.asked.append(self.path)
        data = server.files.get(self.path.rsplit('/', 1)[1])
        if data is None:
            self.send_error(404)
            return
        time.sleep(server.delay)
        self.send_response(200)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        cut = server.cuts > 0
        server.cuts -= cut
        self.wfile.write(data[: len(data) // 2] if cut else data)

    def log_message(self, *_):
        """Print nothing."""


@contextmanager
def serve():
    """Yield a server: ``files`` by name, ``cuts`` (answers to break off), ``asked``, ``url``."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    server.files, server.cuts, server.asked, server.delay = {}, 0, [], 0.0
    server.url = f'http://127.0.0.1:{server.server_address[1]}'
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
