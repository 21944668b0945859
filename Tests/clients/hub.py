"""A stub of a model hub, on Scripted: one repository, and whatever goes wrong on request."""

import hashlib
import json

from scripted import Scripted, whole

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def git_id(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Hub:
    """Serves `files` (name to bytes) of `org/model` at `commit`.

    `answers` maps a path to the pieces of its answer instead; `siblings` adds names that are only listed. Files in
    `large` are redirected to `cdn` (another Hub's port), as the real hub does with LFS files.
    """

    def __init__(self, files, commit=COMMIT, repo="org/model"):
        self.files, self.commit, self.repo = dict(files), commit, repo
        self.answers, self.siblings, self.large, self.cdn, self.token = {}, [], set(), None, None
        self.server = Scripted(self.answer)
        self.url = f"http://127.0.0.1:{self.server.port}"

    def answer(self, received):
        path = received.line.split(" ")[1]
        if path in self.answers:
            return self.answers[path]
        if path.startswith("/cdn/"):
            return [whole(200, self.files[path[len("/cdn/"):]], content_type="application/octet-stream")]
        if self.token and received.header("authorization") != f"Bearer {self.token}":
            return [whole(401, b'{"error":"Invalid credentials"}')]
        prefix = f"/api/models/{self.repo}/revision/"
        if path.startswith(prefix):
            if path[len(prefix):] not in ("main", self.commit):
                return [whole(404, b'{"error":"Revision Not Found"}')]
            names = [*self.files, *self.siblings]
            return [whole(200, json.dumps({"sha": self.commit, "siblings": [{"rfilename": n} for n in names]}).encode())]
        prefix = f"/{self.repo}/resolve/{self.commit}/"
        name = path[len(prefix):] if path.startswith(prefix) else None
        if name not in self.files:
            return [whole(404, b'{"error":"Entry not found"}')]
        content = self.files[name]
        commit = f"X-Repo-Commit: {self.commit}"
        if name in self.large:
            return [whole(302, b"", commit, f'X-Linked-Etag: "{sha256(content)}"', f"X-Linked-Size: {len(content)}",
                          f"Location: http://127.0.0.1:{(self.cdn or self).server.port}/cdn/{name}")]
        return [whole(200, content, commit, f'ETag: "{git_id(content)}"', content_type="text/plain")]

    def path(self, name):
        return f"/{self.repo}/resolve/{self.commit}/{name}"

    def asked(self):
        return [received.line.split(" ")[1] for received in self.server.received]

    def stop(self):
        self.server.stop()
