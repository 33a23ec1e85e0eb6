"""An HTTP server that decides about users, or gives keys, and remembers what it was asked."""

import contextlib
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


class AuthServer:
    """Answers each path with what its function makes of the form. Without one it is 404."""

    def __init__(self, certificate=None):
        self.answers, self.asked, self.lock = {}, [], threading.Lock()
        self.status, self.delay, self.connections = 200, 0, 0
        self.peak, self.now, self.sockets = 0, 0, []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self):
                server.connections += 1
                server.sockets.append(self.request)
                super().setup()

            def do_GET(self):
                self._answer(urlsplit(self.path).query)

            def do_POST(self):
                assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
                self._answer(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _answer(self, text):
                path, form = urlsplit(self.path).path.strip("/"), dict(parse_qsl(text, True, errors="surrogateescape"))
                with server.lock:
                    server.asked.append((self.command, path, form))
                    server.now += 1
                    server.peak = max(server.peak, server.now)
                time.sleep(server.delay)
                answer = server.answers.get(path)
                body = (answer(form) if answer else "nothing here").encode()
                with server.lock:
                    server.now -= 1
                self.send_response(server.status if answer else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
            self.scheme = "https"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def url(self, path):
        """Where a path is."""
        return f"{self.scheme}://localhost:{self.http.server_address[1]}/{path}"

    def forms(self, path):
        """What was asked at a path."""
        with self.lock:
            return [form for _, asked, form in self.asked if asked == path]

    def forget(self):
        """Nothing has been asked."""
        with self.lock:
            self.asked.clear()

    def stop(self):
        """Listens no more, and talks to nobody."""
        if self.thread.is_alive():
            self.http.shutdown()
            self.http.server_close()
            self.thread.join()
            for connected in self.sockets:
                with contextlib.suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)
