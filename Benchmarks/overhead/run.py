#!/usr/bin/env python3
"""Requests/s and added latency of guardd beside nginx and Envoy as plain proxies, in one run on this machine.

The same 1 KB chat POST goes to a backend that answers at once (nginx `return`), directly and through each proxy. All
listen on 127.0.0.1. Requests/s: wrk, 32 connections, alternating rounds, medians, so that a noisy minute hits all.
Latency: h2load with 8 connections at a fixed total of 1,000 requests/s (an open loop: a closed loop on few cores
measures queueing), medians over rounds, minus the backend alone.

guardd runs with the rules of rules/, exact counting with fixtures/tokenizers/byte-level, budgets, and the decision log
to a file.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("GUARD_BIN", ROOT / ".build" / "release"))
ENVOY = pathlib.Path(os.environ.get("ENVOY", ROOT / ".build" / "bench-venv" / "bin" / "envoy"))
ANSWER = json.dumps({
    "id": "chatcmpl-bench", "object": "chat.completion", "created": 1700000000, "model": "mock",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "All is well, thank you for asking."},
                 "logprobs": None, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 250, "completion_tokens": 9, "total_tokens": 259}}, separators=(",", ":"))
TEXT = ("Please write a short and friendly note to the team about the move of the weekly meeting from Monday to "
        "Tuesday, name the new room, and ask everyone to send their topics until Friday noon. ")


def body():
    message = {"model": "mock", "max_tokens": 64,
               "messages": [{"role": "system", "content": "You are a helpful assistant."},
                            {"role": "user", "content": ""}]}
    room = 1024 - len(json.dumps(message, separators=(",", ":")))
    message["messages"][1]["content"] = (TEXT * 10)[:room]
    return json.dumps(message, separators=(",", ":"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait(port):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


class Stand:
    """The processes of the run, by name, each stopped at the end."""

    def __init__(self, folder, workers):
        self.folder, self.workers, self.running, self.ports = folder, workers, [], {}

    def start(self, name, command, **more):
        log = open(self.folder / f"{name}.log", "wb")
        self.running.append(subprocess.Popen(command, stdout=log, stderr=log, **more))

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def nginx(self, name, server):
        port = self.ports[name] = free_port()
        home = self.folder / name
        home.mkdir()
        (home / "nginx.conf").write_text(f"""
daemon off; worker_processes {self.workers}; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_buffer_size 64k;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u;
  scgi_temp_path {home}/s;
  {server.format(port=port)}
}}""")
        self.start(name, ["nginx", "-c", str(home / "nginx.conf"), "-p", str(home)])
        wait(port)

    def backend(self):
        quoted = ANSWER.replace("'", "\\'")
        self.nginx("backend", "server {{ listen 127.0.0.1:{port} reuseport; default_type application/json; "
                              "location / {{ return 200 '" + quoted.replace("{", "{{").replace("}", "}}") + "'; }} }}")

    def proxies(self):
        upstream = self.ports["backend"]
        self.nginx("nginx", "upstream up {{ server 127.0.0.1:" + str(upstream) + "; keepalive 64; "
                            "keepalive_requests 100000000; }} server {{ listen 127.0.0.1:{port} reuseport; location / {{ "
                            "proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }}")
        port = self.ports["envoy"] = free_port()
        address = lambda port: {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        kind = "type.googleapis.com/envoy.extensions.filters."
        (self.folder / "envoy.json").write_text(json.dumps({"static_resources": {
            "listeners": [{"name": "l", "address": address(port), "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "s",
                    "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [
                        {"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}]},
                    "http_filters": [{"name": "envoy.filters.http.router",
                                      "typed_config": {"@type": kind + "http.router.v3.Router"}}]}}]}]}],
            "clusters": [{"name": "up", "type": "STATIC", "connect_timeout": "1s", "load_assignment": {
                "cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]}}]}}))
        self.start("envoy", [str(ENVOY), "-c", str(self.folder / "envoy.json"), "--concurrency", str(self.workers),
                             "-l", "error", "--use-dynamic-base-id"])
        wait(port)
        port = self.ports["guardd"] = free_port()
        (self.folder / "hash.key").write_bytes(b"0123456789abcdef0123456789abcdef")
        (self.folder / "guard.yaml").write_text(json.dumps({
            "listen": {"data": f"127.0.0.1:{port}", "health": f"127.0.0.1:{free_port()}",
                       "admin": f"127.0.0.1:{free_port()}"},
            "upstream": {"url": f"http://127.0.0.1:{upstream}", "api": "openai", "model": "mock"},
            "models": [{"match": "mock", "tokenizer": str(ROOT / "fixtures" / "tokenizers" / "byte-level"),
                        "counting": "hf", "contextWindow": 8192, "defaultCompletionTokens": 64}],
            "tenants": {"from": [{"header": "x-tenant", "trusted": True, "as": "plain"}],
                        "hashKeyFile": str(self.folder / "hash.key")},
            "budgets": [{"name": "all", "match": {"tenant": "*"}, "scope": ["tenant"],
                         "request": {"promptTokens": 4096},
                         "window": [{"tokens": 1_000_000_000_000, "per": "day"}]}],
            "policy": {"path": str(ROOT / "rules")},
            "decisionLog": {"sinks": [{"file": {"path": str(self.folder / "decisions.jsonl"), "onFull": "drop"}}]},
        }, indent=1))
        self.start("guardd", [str(BIN / "guardd"), "--config", str(self.folder / "guard.yaml")])
        wait(port)


def wrk(port, script, seconds):
    out = subprocess.run(["wrk", "-t2", "-c32", f"-d{seconds}s", "--latency", "-s", str(script),
                          f"http://127.0.0.1:{port}/v1/chat/completions"], capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        print(out)
        raise SystemExit("wrk saw errors: the figures would mean nothing")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])


def paced(port, data, rate, seconds, folder):
    """p50 and p99 in microseconds of every request of one open-loop run."""
    log = folder / "h2load.tsv"
    log.unlink(missing_ok=True)
    connections = 8
    run = subprocess.run(
        ["h2load", "--h1", "-t1", f"-c{connections}", f"--rps={rate / connections}", f"-D{seconds}",
         "--warm-up-time=1", f"--log-file={log}", "-d", str(data), "-H", "content-type: application/json",
         f"http://127.0.0.1:{port}/v1/chat/completions"], capture_output=True, text=True)
    if not log.exists():
        raise SystemExit(run.stdout + run.stderr)
    times = []
    for line in log.read_text().splitlines():
        _, status, microseconds = line.split("\t")
        if status != "200":
            raise SystemExit(f"h2load saw status {status}")
        times.append(int(microseconds))
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100], len(times) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of one measurement")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--only", help="targets with commas: backend,nginx,envoy,guardd")
    options = parser.parse_args()
    workers = min(2, os.cpu_count() or 1)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="guard-bench-"))
    stand = Stand(folder, workers)
    try:
        stand.backend()
        stand.proxies()
        targets = [t for t in ("backend", "nginx", "envoy", "guardd")
                   if not options.only or t in options.only.split(",")]
        data = folder / "body.json"
        data.write_text(body())
        script = folder / "post.lua"
        script.write_text("wrk.method='POST'\nwrk.headers['content-type']='application/json'\n"
                          f"local f=io.open('{data}','rb')\nwrk.body=f:read('*a')\nf:close()\n")
        for target in targets:
            wrk(stand.ports[target], script, 1)
        rates = {t: [] for t in targets}
        latencies = {t: [] for t in targets}
        for round_ in range(options.rounds):
            order = targets if round_ % 2 == 0 else targets[::-1]
            for target in order:
                rates[target].append(wrk(stand.ports[target], script, options.seconds))
            for target in order:
                latencies[target].append(paced(stand.ports[target], data, options.rate, options.seconds, folder))
            print(f"round {round_ + 1}/{options.rounds}: " + ", ".join(
                f"{t} {rates[t][-1]:,.0f}/s p50 {latencies[t][-1][0]} us" for t in targets), flush=True)
        median = {t: statistics.median(rates[t]) for t in targets}
        p50 = {t: statistics.median(l[0] for l in latencies[t]) for t in targets}
        p99 = {t: statistics.median(l[1] for l in latencies[t]) for t in targets}
        print(f"\nbody {len(data.read_bytes())} B, {os.cpu_count()} cores, {workers} workers each; wrk -t2 -c32, "
              f"{options.rounds} rounds of {options.seconds} s; paced at {options.rate}/s over 8 connections")
        print(f"{'':10} {'requests/s':>11} {'of nginx':>9} {'of envoy':>9} {'p50 us':>8} {'p99 us':>8} "
              f"{'added p50':>10} {'added p99':>10}")
        for t in targets:
            ratio = lambda to: f"{median[t] / median[to]:.2f}" if to in median else "-"
            print(f"{t:10} {median[t]:11,.0f} {ratio('nginx'):>9} {ratio('envoy'):>9} {p50[t]:8.0f} {p99[t]:8.0f} "
                  f"{p50[t] - p50['backend'] if 'backend' in p50 else 0:10.0f} "
                  f"{p99[t] - p99['backend'] if 'backend' in p99 else 0:10.0f}")
        if "guardd" in targets:
            records = folder / "decisions.jsonl"
            count = sum(1 for _ in open(records, "rb")) if records.exists() else 0
            print(f"guardd wrote {count:,} decision records")
    finally:
        stand.stop()
        if os.environ.get("KEEP_LOGS") == "1":
            print(f"logs: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
