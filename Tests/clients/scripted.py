"""A model server that answers what a test tells it to, byte for byte, and keeps what it was sent."""

import contextlib
import socket
import threading
import time


class Received:
    """One request as it arrived: `line`, `headers` as a list of (lower-case name, value), `body` without its framing."""

    def __init__(self, line, headers, body):
        self.line, self.headers, self.body = line, headers, body

    def header(self, name):
        return next((value for key, value in self.headers if key == name), None)


class Scripted:
    """Serves `script(received) -> pieces`; a piece is bytes (one write), a number of seconds to wait, or "close"."""

    def __init__(self, script=None):
        self.script = script or (lambda received: [whole(200, b"{}")])
        self.received, self.connections = [], 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError), connection:
            unread = b""
            while True:
                received, unread = self.read(connection, unread)
                if received is None:
                    return
                self.received.append(received)
                for piece in self.script(received):
                    if piece == "close":
                        return
                    if isinstance(piece, (int, float)):
                        time.sleep(piece)
                    else:
                        connection.sendall(piece)

    @staticmethod
    def read(connection, unread):
        while b"\r\n\r\n" not in unread:
            more = connection.recv(1 << 16)
            if not more:
                return None, b""
            unread += more
        head, _, body = unread.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value.strip()) for name, _, value in (text.partition(":") for text in lines)]
        length = int(next((value for name, value in headers if name == "content-length"), 0))
        parts = [body]
        have = len(body)
        while have < length:
            more = connection.recv(1 << 16)
            if not more:
                return None, b""
            parts.append(more)
            have += len(more)
        body = b"".join(parts)
        return Received(line, headers, body[:length]), body[length:]

    def stop(self):
        self.listener.close()


def whole(status, body, *lines, content_type="application/json"):
    """The bytes of an answer with a length."""
    head = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def head_of_stream(status=200, *lines, content_type="text/event-stream"):
    head = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", "Transfer-Encoding: chunked", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


LAST_CHUNK = b"0\r\n\r\n"


class Reply:
    """One answer read from a socket."""

    def __init__(self, status, headers, body, interim, closed):
        self.status, self.headers, self.body = status, headers, body
        self.interim, self.closed = interim, closed

    def header(self, name):
        return self.headers.get(name)


class Wire:
    """A client connection of which every byte is ours."""

    def __init__(self, port, timeout=10, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread, self.reset = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        """`False` where the other side has closed: it may have answered already."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def more(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data, self.reset = b"", True
        self.unread += data
        return bool(data)

    def answer(self, method="POST"):
        """The next final answer; `None` where the connection closes before one has begun."""
        interim = []
        while True:
            while b"\r\n\r\n" not in self.unread:
                if not self.more():
                    return None
            head, _, self.unread = self.unread.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            status = int(line.split(" ")[1])
            if status >= 200:
                break
            interim.append(status)
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        body, closed = self.body(method, status, headers)
        return Reply(status, headers, body, interim, closed)

    def body(self, method, status, headers):
        if method == "HEAD" or status in (204, 304):
            return b"", False
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while True:
                while b"\r\n" not in self.unread:
                    if not self.more():
                        return body, True
                size, _, rest = self.unread.partition(b"\r\n")
                count = int(size, 16)
                self.unread = rest
                while len(self.unread) < count + 2:
                    if not self.more():
                        return body + self.unread, True
                body += self.unread[:count]
                self.unread = self.unread[count + 2:]
                if count == 0:
                    return body, False
        length = headers.get("content-length")
        while length is None or len(self.unread) < int(length):
            if not self.more():
                body, self.unread = self.unread, b""
                return body, True
        body, self.unread = self.unread[:int(length)], self.unread[int(length):]
        return body, False

    def closes(self, seconds=3):
        """Whether the other side closes without another answer."""
        self.socket.settimeout(seconds)
        try:
            return not self.unread and not self.more()
        except TimeoutError:
            return False
