"""SDKs of APIs that guardd does not read yet: they get their own not-found error, at once, and the model is not asked."""

import unittest

import anthropic
import ollama

from harness import Guard, Mock, wait_for


class UnguardedClientTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = Mock()
        cls.guard = Guard(cls.mock.port)
        cls.url = f"http://127.0.0.1:{cls.guard.port}"

    @classmethod
    def tearDownClass(cls):
        cls.guard.stop()
        cls.mock.stop()

    def setUp(self):
        self.forwarded = self.mock.stats()["requests"]
        self.recorded = len(self.guard.records())

    def attempts(self, count):
        """So many requests were refused, none was forwarded: a refusal that waiting cannot change is not retried."""
        wait_for("the records", 5, lambda: len(self.guard.records()) - self.recorded >= count)
        self.assertEqual(len(self.guard.records()) - self.recorded, count)
        self.assertEqual(self.mock.stats()["requests"], self.forwarded)

    def test_anthropic(self):
        for stream in (False, True):
            with self.subTest(stream=stream), anthropic.Anthropic(base_url=self.url, api_key="k") as client:
                with self.assertRaises(anthropic.NotFoundError) as caught:
                    client.messages.create(model="mock", max_tokens=5, stream=stream,
                                           messages=[{"role": "user", "content": "hi"}])
                self.assertEqual(caught.exception.body["error"]["code"], "unguarded_route")
        self.attempts(2)

    def test_ollama(self):
        client = ollama.Client(host=self.url)
        with self.assertRaises(ollama.ResponseError) as caught:
            client.chat(model="mock", messages=[{"role": "user", "content": "hi"}])
        self.assertEqual(caught.exception.status_code, 404)
        self.assertIn("This endpoint is not guarded", caught.exception.error)
        self.attempts(1)


if __name__ == "__main__":
    unittest.main()
